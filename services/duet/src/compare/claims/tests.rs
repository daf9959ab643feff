//! Verdicts as tables: what is changed in a run, and what becomes of a statement.

use super::{
    Verdict::{DidNotHold, Held, HeldInPart, TooLittleData},
    *,
};
use crate::compare::{
    fixture::{cluster, laptop},
    measured::{Figure, Quantiles, Scenario, Traffic},
};
use duet_crd::Mode;
use std::{collections::BTreeSet, time::Duration};

fn claim(measured: &Measured, id: &str) -> Claim {
    let mut claims = judge(measured);
    let place = claims.iter().position(|it| it.said.id == id);
    claims.swap_remove(place.unwrap_or_else(|| panic!("no statement {id}")))
}

fn sync<T>(scenario: &mut Scenario<T>) -> &mut T {
    measured(&mut scenario.sync)
}

fn asynchronous<T>(scenario: &mut Scenario<T>) -> &mut T {
    measured(&mut scenario.r#async)
}

fn measured<T>(figure: &mut Figure<T>) -> &mut T {
    match figure {
        Figure::Measured(figure) => figure,
        Figure::Missing { missing } => panic!("{missing}"),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Requests that fail in place of succeeding.
fn fail(traffic: &mut Traffic, failing: u64) {
    traffic.delivered = traffic.delivered.saturating_sub(failing);
    traffic.accepted = traffic.accepted.saturating_sub(failing);
    traffic.failed.insert("503".to_owned(), failing);
}

fn all_at(traffic: &mut Traffic, p50: Duration, p99: Duration) {
    for waits in [&mut traffic.waits, &mut traffic.waits_of_all] {
        *waits = Quantiles {
            samples: 400,
            p50,
            p90: p99,
            p99,
            longest: p99,
        }
        .into();
    }
}

#[test]
fn each_row_of_what_is_said_has_its_statements_in_order() {
    let rows = |mode| {
        let rows = SAID.iter().filter(|it| it.of == mode).map(|it| it.row);
        rows.collect::<BTreeSet<_>>()
    };
    assert_eq!(rows(Mode::Sync), (1..=6).collect());
    assert_eq!(rows(Mode::Async), (7..=14).collect());
    assert!(SAID.is_sorted_by_key(|it| it.row));
    let ids: BTreeSet<_> = SAID.iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), SAID.len(), "an id stands for one statement");
    for said in SAID {
        assert!(
            said.duet.ends_with('.') && !said.words.ends_with('.'),
            "{}",
            said.id
        );
    }
}

#[test]
fn a_statement_tells_its_figures_its_command_and_its_reason_in_figures() {
    for claim in judge(&laptop()) {
        let Judged {
            sync,
            r#async,
            measured,
            judgement,
        } = &claim.judged;
        let has_figure = |text: &str| text.contains(|c: char| c.is_ascii_digit());
        let id = claim.said.id;
        assert!(
            has_figure(r#async) && (has_figure(sync) || id == "hop"),
            "{id}: {sync} {}",
            r#async
        );
        assert!(!measured.is_empty(), "{id}");
        for done in measured {
            assert!(
                done.command.starts_with("duet compare") && !done.done.is_empty(),
                "{id}"
            );
        }
        assert!(
            judgement.because.ends_with('.'),
            "{id}: {}",
            judgement.because
        );
        assert!(
            has_figure(&judgement.because) || id == "hop",
            "{id}: {}",
            judgement.because
        );
    }
}

#[test]
fn a_run_on_a_laptop_is_judged_as_a_reader_would() {
    let expected = [
        ("simple", HeldInPart),
        ("real-time", Held),
        ("response", Held),
        ("blocked", Held),
        ("provisioned", Held),
        ("cascading", HeldInPart),
        ("coupled", Held),
        ("moves-on", Held),
        ("surges", Held),
        ("unprovisioned", Held),
        ("no-drop", Held),
        ("hop", DidNotHold),
        ("control", Held),
        ("retried", Held),
        ("decoupled", Held),
        ("several", Held),
        ("delay", HeldInPart),
        ("long-job", Held),
        ("eventual", HeldInPart),
        ("broker", HeldInPart),
        ("track", DidNotHold),
    ];
    let found: Vec<_> = judge(&laptop())
        .into_iter()
        .map(|it| (it.said.id, it.judged.judgement.verdict))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_was_not_run_is_too_little_data_and_says_why() {
    for (id, why) in [
        ("blocked", "faults.allowed"),
        ("provisioned", "faults.allowed"),
        ("surges", "faults.allowed"),
        ("several", "trending.enabled"),
        ("cascading", "can't be stopped from outside"),
        ("long-job", "faults.allowed"),
        ("control", "faults.allowed"),
    ] {
        let Claim { judged, .. } = claim(&cluster(), id);
        assert_eq!(judged.judgement.verdict, TooLittleData, "{id}");
        assert!(
            judged.judgement.because.contains(why),
            "{id}: {}",
            judged.judgement.because
        );
        assert!(
            judged.sync.contains(why) && judged.r#async.contains(why),
            "{id}"
        );
    }
}

#[test]
fn an_outage_that_was_not_run_leaves_the_others_to_judge_by() {
    for (id, verdict) in [
        ("coupled", Held),
        ("decoupled", Held),
        ("broker", HeldInPart),
    ] {
        assert_eq!(
            claim(&cluster(), id).judged.judgement.verdict,
            verdict,
            "{id}"
        );
    }
}

#[test]
fn nothing_is_judged_from_nothing() {
    let mut run = laptop();
    macro_rules! forget {
        ($($scenario:ident),*) => { $(
            run.scenarios.$scenario = Scenario::missing("duet compare", "ended by Ctrl-C");
        )* };
    }
    forget!(
        baseline, slow, long_job, surge, hung, absent, redeployed, failing
    );
    forget!(
        broker_down,
        broker_wiped,
        second_receiver,
        consistency,
        traces,
        way,
        code
    );
    for Claim { said, judged } in judge(&run) {
        assert_eq!(judged.judgement.verdict, TooLittleData, "{}", said.id);
        assert!(
            judged.judgement.because.contains("nded by Ctrl-C"),
            "{}",
            said.id
        );
    }
}

/// Every number of samples, requests and reads in it.
fn with_samples(value: &mut serde_json::Value, samples: u64) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "samples" | "sent" | "reads" | "writes" | "asked" | "delivered"
                    | "accepted" => {
                        if field.is_u64() {
                            *field = samples.min(field.as_u64().unwrap_or_default()).into();
                        }
                    }
                    _ => with_samples(field, samples),
                }
            }
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|it| with_samples(it, samples))
        }
        _ => {}
    }
}

#[test]
fn twenty_samples_are_enough_and_one_fewer_is_not() {
    let judged_with = |samples| {
        let mut run = serde_json::to_value(laptop()).unwrap();
        with_samples(&mut run["scenarios"], samples);
        let run: Measured = serde_json::from_value(run).unwrap();
        let unjudged = judge(&run)
            .into_iter()
            .filter(|it| it.judged.judgement.verdict == TooLittleData);
        unjudged.map(|it| it.said.id).collect::<Vec<_>>()
    };
    // These count no samples.
    let counted =
        |id: &&str| !["simple", "hop", "track", "retried", "control", "no-drop"].contains(id);
    let all: Vec<_> = SAID.iter().map(|it| it.id).filter(counted).collect();
    for samples in [0, 1, 19] {
        let unjudged: Vec<_> = judged_with(samples).into_iter().filter(counted).collect();
        assert_eq!(unjudged, all, "{samples}");
    }
    assert_eq!(judged_with(20), Vec::<&str>::new());
}

#[test]
fn where_both_modes_do_the_same_nothing_is_said_to_set_them_apart() {
    let mut run = laptop();
    let it = &mut run.scenarios;
    it.baseline.sync = it.baseline.r#async.clone();
    it.slow.sync = it.slow.r#async.clone();
    it.surge.sync = it.surge.r#async.clone();
    it.second_receiver.sync = it.second_receiver.r#async.clone();
    it.long_job.sync = it.long_job.r#async.clone();
    it.absent.sync = it.absent.r#async.clone();
    it.redeployed.sync = it.redeployed.r#async.clone();
    it.code.sync = it.code.r#async.clone();
    for id in [
        "simple",
        "real-time",
        "response",
        "blocked",
        "provisioned",
        "coupled",
        "surges",
        "long-job",
        "track",
    ] {
        assert_eq!(claim(&run, id).judged.judgement.verdict, DidNotHold, "{id}");
    }
    assert_eq!(claim(&run, "delay").judged.judgement.verdict, HeldInPart);
    assert_eq!(claim(&run, "several").judged.judgement.verdict, HeldInPart);
}

type Change = fn(&mut Measured);

#[test]
fn a_verdict_follows_its_figures() {
    let table: &[(&str, &str, Change, Verdict)] = &[
        (
            "simple",
            "as many lines",
            |it| asynchronous(&mut it.scenarios.code).own_lines = 3,
            DidNotHold,
        ),
        (
            "simple",
            "many more lines in Async",
            |it| asynchronous(&mut it.scenarios.code).own_lines = 60,
            Held,
        ),
        (
            "simple",
            "an example of no lines",
            |it| {
                let code = sync(&mut it.scenarios.code);
                (code.own_lines, code.shared_lines) = (0, 0);
            },
            TooLittleData,
        ),
        (
            "real-time",
            "some were answered before they were there",
            |it| {
                let traffic = &mut sync(&mut it.scenarios.baseline).traffic;
                (traffic.delivered, traffic.accepted) = (700, 300);
            },
            HeldInPart,
        ),
        (
            "real-time",
            "freshness was not looked at",
            |it| {
                sync(&mut it.scenarios.baseline).traffic.freshness =
                    Figure::missing("not looked at");
            },
            Held,
        ),
        (
            "response",
            "Async was not measured",
            |it| it.scenarios.baseline.r#async = Figure::missing("not run"),
            TooLittleData,
        ),
        (
            "response",
            "answers told no decision",
            |it| sync(&mut it.scenarios.baseline).outcomes.clear(),
            DidNotHold,
        ),
        (
            "response",
            "half of them did",
            |it| {
                sync(&mut it.scenarios.baseline).outcomes = [("notified".to_owned(), 500)].into();
            },
            HeldInPart,
        ),
        (
            "blocked",
            "callers paid a third",
            |it| {
                let last = sync(&mut it.scenarios.slow).steps.last_mut().unwrap();
                all_at(&mut last.traffic, ms(4 + 133), ms(200));
            },
            HeldInPart,
        ),
        (
            "blocked",
            "callers paid nothing",
            |it| {
                let last = sync(&mut it.scenarios.slow).steps.last_mut().unwrap();
                all_at(&mut last.traffic, ms(4), ms(12));
            },
            DidNotHold,
        ),
        (
            "blocked",
            "all callers were told no, and waited for it",
            |it| {
                let last = sync(&mut it.scenarios.slow).steps.last_mut().unwrap();
                last.traffic.waits = Figure::missing("there was none");
            },
            Held,
        ),
        (
            "blocked",
            "one speed only",
            |it| sync(&mut it.scenarios.slow).steps.truncate(1),
            TooLittleData,
        ),
        (
            "blocked",
            "no speed",
            |it| sync(&mut it.scenarios.slow).steps.clear(),
            TooLittleData,
        ),
        (
            "moves-on",
            "callers paid all",
            |it| {
                let last = asynchronous(&mut it.scenarios.slow)
                    .steps
                    .last_mut()
                    .unwrap();
                all_at(&mut last.traffic, ms(402), ms(410));
            },
            DidNotHold,
        ),
        (
            "moves-on",
            "faster with a slower receiver is noise",
            |it| {
                let last = asynchronous(&mut it.scenarios.slow)
                    .steps
                    .last_mut()
                    .unwrap();
                all_at(&mut last.traffic, ms(1), ms(6));
            },
            Held,
        ),
        (
            "several",
            "callers in Async pay as well",
            |it| {
                let slow = measured(&mut asynchronous(&mut it.scenarios.second_receiver).with_slow);
                all_at(slow, ms(205), ms(220));
            },
            DidNotHold,
        ),
        (
            "several",
            "callers in Sync pay little",
            |it| {
                let slow = measured(&mut sync(&mut it.scenarios.second_receiver).with_slow);
                all_at(slow, ms(40), ms(60));
            },
            HeldInPart,
        ),
        (
            "provisioned",
            "no rate over the cap",
            |it| {
                sync(&mut it.scenarios.surge).steps.truncate(2);
            },
            TooLittleData,
        ),
        (
            "surges",
            "Async broke too, but later",
            |it| {
                let last = asynchronous(&mut it.scenarios.surge)
                    .steps
                    .last_mut()
                    .unwrap();
                all_at(&mut last.traffic, ms(300), ms(900));
            },
            HeldInPart,
        ),
        (
            "surges",
            "Async broke as soon",
            |it| {
                for step in &mut asynchronous(&mut it.scenarios.surge).steps[2..] {
                    all_at(&mut step.traffic, ms(300), ms(900));
                }
            },
            DidNotHold,
        ),
        (
            "unprovisioned",
            "it was not seen to drain",
            |it| {
                asynchronous(&mut it.scenarios.surge).drained_after =
                    Figure::missing("not within 60 s");
            },
            HeldInPart,
        ),
        (
            "unprovisioned",
            "callers noticed at once",
            |it| {
                for step in &mut asynchronous(&mut it.scenarios.surge).steps[2..] {
                    all_at(&mut step.traffic, ms(300), ms(900));
                }
            },
            DidNotHold,
        ),
        (
            "no-drop",
            "a few were refused and told so",
            |it| {
                fail(
                    &mut asynchronous(&mut it.scenarios.surge)
                        .steps
                        .last_mut()
                        .unwrap()
                        .traffic,
                    20,
                );
            },
            HeldInPart,
        ),
        (
            "no-drop",
            "one was lost",
            |it| {
                asynchronous(&mut it.scenarios.surge).steps[1].traffic.lost = 1.into();
            },
            DidNotHold,
        ),
        (
            "no-drop",
            "nobody counted",
            |it| {
                asynchronous(&mut it.scenarios.surge).steps[1].traffic.lost =
                    Figure::missing("not compared");
            },
            TooLittleData,
        ),
        (
            "cascading",
            "reads slowed",
            |it| {
                let reads = measured(&mut sync(&mut it.scenarios.hung).reads_during);
                (reads.p90, reads.p99) = (ms(800), ms(900));
            },
            Held,
        ),
        (
            "cascading",
            "reads failed, so that few were answered",
            |it| {
                let hung = sync(&mut it.scenarios.hung);
                hung.reads_during = Figure::missing("there was none");
                hung.reads_failed = 250.into();
            },
            Held,
        ),
        (
            "cascading",
            "nobody noticed",
            |it| {
                let hung = sync(&mut it.scenarios.hung);
                hung.traffic.failed.clear();
            },
            DidNotHold,
        ),
        (
            "cascading",
            "reads were not tried",
            |it| {
                sync(&mut it.scenarios.hung).reads_during = Figure::missing("not tried");
            },
            TooLittleData,
        ),
        (
            "coupled",
            "an update went unnoticed",
            |it| {
                sync(&mut it.scenarios.redeployed).traffic.failed.clear();
            },
            HeldInPart,
        ),
        (
            "coupled",
            "nothing was noticed",
            |it| {
                sync(&mut it.scenarios.redeployed).traffic.failed.clear();
                sync(&mut it.scenarios.absent).traffic.failed.clear();
            },
            DidNotHold,
        ),
        (
            "decoupled",
            "an update was noticed",
            |it| {
                fail(&mut asynchronous(&mut it.scenarios.redeployed).traffic, 60);
            },
            HeldInPart,
        ),
        (
            "decoupled",
            "one was lost",
            |it| asynchronous(&mut it.scenarios.hung).traffic.lost = 1.into(),
            DidNotHold,
        ),
        (
            "broker",
            "callers noticed",
            |it| {
                fail(
                    &mut asynchronous(&mut it.scenarios.broker_down).traffic,
                    125,
                );
            },
            Held,
        ),
        (
            "broker",
            "what it forgot was lost",
            |it| {
                asynchronous(&mut it.scenarios.broker_wiped).traffic.lost = 3.into();
            },
            Held,
        ),
        (
            "broker",
            "Sync was not tried, and uses none",
            |it| {
                it.scenarios.broker_down.sync = Figure::missing("Sync uses no broker");
                it.scenarios.broker_wiped.sync = Figure::missing("Sync uses no broker");
            },
            HeldInPart,
        ),
        (
            "broker",
            "owners noticed nothing either",
            |it| {
                for scenario in [
                    &mut it.scenarios.broker_down,
                    &mut it.scenarios.broker_wiped,
                ] {
                    let fresh = measured(&mut asynchronous(scenario).traffic.freshness);
                    fresh.took.longest = ms(70);
                }
            },
            DidNotHold,
        ),
        (
            "control",
            "nothing failed",
            |it| {
                sync(&mut it.scenarios.failing).traffic.failed.clear();
                asynchronous(&mut it.scenarios.failing).parked = 0.into();
            },
            TooLittleData,
        ),
        (
            "control",
            "callers were told as many",
            |it| {
                fail(&mut asynchronous(&mut it.scenarios.failing).traffic, 120);
            },
            DidNotHold,
        ),
        (
            "retried",
            "some were left",
            |it| asynchronous(&mut it.scenarios.failing).left = 4.into(),
            HeldInPart,
        ),
        (
            "retried",
            "one was lost",
            |it| asynchronous(&mut it.scenarios.failing).traffic.lost = 1.into(),
            DidNotHold,
        ),
        (
            "delay",
            "callers gain much",
            |it| {
                all_at(
                    &mut sync(&mut it.scenarios.baseline).traffic,
                    ms(80),
                    ms(200),
                );
            },
            Held,
        ),
        (
            "delay",
            "owners wait for ever",
            |it| {
                let traffic = &mut asynchronous(&mut it.scenarios.baseline).traffic;
                let took = &mut measured(&mut traffic.freshness).took;
                (took.p90, took.p99) = (ms(8_000), ms(9_000));
            },
            DidNotHold,
        ),
        (
            "long-job",
            "shorter than the deadline",
            |it| {
                asynchronous(&mut it.scenarios.long_job).job = ms(1_000);
            },
            TooLittleData,
        ),
        (
            "long-job",
            "some calls made it",
            |it| {
                let traffic = &mut sync(&mut it.scenarios.long_job).traffic;
                traffic.failed = [("504".to_owned(), 120)].into();
                traffic.delivered = 80;
            },
            HeldInPart,
        ),
        (
            "long-job",
            "all calls made it",
            |it| {
                let traffic = &mut sync(&mut it.scenarios.long_job).traffic;
                traffic.failed.clear();
            },
            DidNotHold,
        ),
        (
            "eventual",
            "every read was right",
            |it| {
                asynchronous(&mut it.scenarios.consistency).at_once.stale = 0;
            },
            DidNotHold,
        ),
        (
            "eventual",
            "a position did not help",
            |it| {
                measured(&mut asynchronous(&mut it.scenarios.consistency).with_position).stale = 9;
            },
            Held,
        ),
        (
            "hop",
            "a load balancer is spared",
            |it| {
                sync(&mut it.scenarios.way).between = vec!["proxy".to_owned(), "proxy".to_owned()];
            },
            Held,
        ),
        (
            "hop",
            "the broker takes its place",
            |it| {
                sync(&mut it.scenarios.way).between = vec!["proxy".to_owned()];
            },
            HeldInPart,
        ),
        (
            "track",
            "some traces end at the broker",
            |it| asynchronous(&mut it.scenarios.traces).whole = 12,
            HeldInPart,
        ),
        (
            "track",
            "most do",
            |it| asynchronous(&mut it.scenarios.traces).whole = 2,
            Held,
        ),
        (
            "track",
            "none is whole at all",
            |it| {
                sync(&mut it.scenarios.traces).whole = 0;
                asynchronous(&mut it.scenarios.traces).whole = 0;
            },
            TooLittleData,
        ),
        (
            "track",
            "two were asked for",
            |it| asynchronous(&mut it.scenarios.traces).asked = 2,
            TooLittleData,
        ),
    ];
    for (id, story, change, verdict) in table {
        let mut run = laptop();
        change(&mut run);
        let found = claim(&run, id).judged.judgement;
        assert_eq!(found.verdict, *verdict, "{id}, {story}: {}", found.because);
    }
}
