//! What is recommended to whom; that each sentence leads to its figure; that each document can be applied.

use super::*;
use crate::compare::{
    fixture::{cluster, laptop},
    measured::{Figure, Quantiles, Scenario},
    printed::Time,
    report::Report,
};
use duet_crd::{Channel, Mode};
use std::{collections::HashSet, time::Duration};

fn measured<T>(figure: &mut Figure<T>) -> &mut T {
    match figure {
        Figure::Measured(figure) => figure,
        Figure::Missing { missing } => panic!("{missing}"),
    }
}

/// Both say that the receiver's own work takes so long.
fn receiver_takes(run: &mut Measured, p99: Duration) {
    measured(&mut run.scenarios.baseline.sync).receiver_took = Quantiles {
        samples: 400,
        p50: p99 / 2,
        p90: p99,
        p99,
        longest: p99,
    }
    .into();
}

fn said(needs_answer: Option<bool>, acceptable_delay: Option<u64>) -> Answers {
    Answers {
        needs_answer,
        acceptable_delay: acceptable_delay.map(duet_crd::duration::Duration::from_millis),
        may_retry: None,
    }
}

fn same_modes(run: &mut Measured) {
    let it = &mut run.scenarios;
    let waits = measured(&mut it.baseline.r#async).traffic.waits.clone();
    measured(&mut it.baseline.sync).traffic.waits = waits;
    it.slow.sync = it.slow.r#async.clone();
    it.surge.sync = it.surge.r#async.clone();
    it.absent.sync = it.absent.r#async.clone();
}

type Input = (&'static str, fn(&mut Measured), Answers, Choice);

/// Pairs and what their users say of them.
fn inputs() -> Vec<Input> {
    vec![
        (
            "nothing is said of a pair in Sync",
            |_| {},
            Answers::default(),
            Choice::Canary,
        ),
        (
            "nothing is said of a pair in Async",
            |run| {
                run.channel = run.channel.replace("mode: Sync", "mode: Async");
            },
            Answers::default(),
            Choice::Async,
        ),
        (
            "callers need the answer",
            |_| {},
            said(Some(true), None),
            Choice::Sync,
        ),
        (
            "callers need no answer and owners can wait",
            |_| {},
            said(Some(false), Some(2_000)),
            Choice::Async,
        ),
        (
            "owners can't wait",
            |_| {},
            said(Some(false), Some(20)),
            Choice::Sync,
        ),
        (
            "a job is long",
            |run| receiver_takes(run, Duration::from_millis(1_500)),
            said(Some(false), None),
            Choice::Async,
        ),
        (
            "a job is long and callers need the answer",
            |run| {
                receiver_takes(run, Duration::from_millis(1_500));
            },
            said(Some(true), None),
            Choice::AsyncWithWait,
        ),
        (
            "answers differ, and come in time in Async too",
            |run| {
                measured(&mut run.scenarios.baseline.sync).outcomes =
                    [("notified".to_owned(), 600), ("muted".to_owned(), 400)].into();
            },
            Answers::default(),
            Choice::AsyncWithWait,
        ),
        (
            "answers differ, and are late in Async",
            |run| {
                measured(&mut run.scenarios.baseline.sync).outcomes =
                    [("notified".to_owned(), 600), ("muted".to_owned(), 400)].into();
                let wait = &mut measured(&mut run.scenarios.consistency.r#async).prefer_wait;
                measured(wait).delivered = 100;
            },
            Answers::default(),
            Choice::Sync,
        ),
        (
            "the modes do the same",
            same_modes,
            said(Some(false), Some(2_000)),
            Choice::Either,
        ),
        (
            "Async loses what it accepted",
            |run| {
                measured(&mut run.scenarios.baseline.r#async).traffic.lost = 2.into();
            },
            said(Some(false), Some(2_000)),
            Choice::Sync,
        ),
        (
            "both do",
            |run| {
                measured(&mut run.scenarios.baseline.sync).traffic.lost = 1.into();
                measured(&mut run.scenarios.baseline.r#async).traffic.lost = 2.into();
            },
            Answers::default(),
            Choice::TooLittleData,
        ),
        (
            "the healthy pair was not measured",
            |run| {
                run.scenarios.baseline = Scenario::missing("duet compare", "ended by Ctrl-C");
            },
            said(Some(false), Some(2_000)),
            Choice::TooLittleData,
        ),
        (
            "nineteen were measured",
            |run| {
                measured(&mut measured(&mut run.scenarios.baseline.sync).traffic.waits).samples =
                    19;
            },
            said(Some(true), None),
            Choice::TooLittleData,
        ),
        (
            "none was measured",
            |run| {
                let traffic = &mut measured(&mut run.scenarios.baseline.r#async).traffic;
                traffic.waits = Figure::missing("there was none");
            },
            Answers::default(),
            Choice::TooLittleData,
        ),
        (
            "freshness was not measured",
            |run| {
                let traffic = &mut measured(&mut run.scenarios.baseline.r#async).traffic;
                traffic.freshness = Figure::missing("not looked at");
            },
            said(Some(false), Some(2_000)),
            Choice::TooLittleData,
        ),
        (
            "the receiver was slower at each step",
            |run| {
                for figure in [
                    &mut run.scenarios.slow.sync,
                    &mut run.scenarios.slow.r#async,
                ] {
                    measured(figure).steps[0].delay = Duration::from_millis(50);
                }
            },
            Answers::default(),
            Choice::Canary,
        ),
        (
            "a cluster in which little could be done",
            |run| *run = cluster(),
            Answers::default(),
            Choice::Canary,
        ),
    ]
}

fn recommended(change: fn(&mut Measured), answers: &Answers) -> (Measured, Recommendation) {
    let mut run = laptop();
    change(&mut run);
    let recommendation = recommend(&run, answers).expect("a recommendation");
    (run, recommendation)
}

#[test]
fn each_pair_has_its_own_recommendation() {
    let mut choices = HashSet::new();
    for (story, change, answers, expected) in inputs() {
        let (
            _,
            Recommendation {
                choice, because, ..
            },
        ) = recommended(change, &answers);
        let why: Vec<_> = because.iter().map(ToString::to_string).collect();
        assert_eq!(choice, expected, "{story}: {why:#?}");
        assert!(!because.is_empty(), "{story}");
        choices.insert(choice);
    }
    assert_eq!(
        choices.len(),
        6,
        "each of the six is recommended to somebody"
    );
}

#[test]
fn each_sentence_leads_to_figures_in_the_report() {
    for (story, change, answers, _) in inputs() {
        let (run, recommendation) = recommended(change, &answers);
        let report = serde_json::to_value(Report::of(run, answers).unwrap()).unwrap();
        let criteria = recommendation
            .criteria
            .iter()
            .filter_map(|it| it.because.as_ref());
        let changes = recommendation
            .document
            .changes
            .iter()
            .filter_map(|it| it.because.as_ref());
        for sentence in recommendation.because.iter().chain(criteria).chain(changes) {
            assert!(sentence.cited().count() > 0, "{story}: {sentence}");
            for cited in sentence.cited() {
                let found = report.pointer(cited.at());
                assert!(
                    found.is_some_and(|it| !it.is_null()),
                    "{story}: {} of {sentence}",
                    cited.at()
                );
                if cited.at().ends_with("Ms") {
                    let millis = found.and_then(serde_json::Value::as_f64).unwrap();
                    let time = Time(Duration::from_secs_f64(millis / 1e3));
                    assert_eq!(cited.shown(), time.to_string(), "{story}: {sentence}");
                }
                assert!(
                    sentence.to_string().contains(cited.shown()),
                    "{story}: {sentence}"
                );
            }
        }
    }
}

#[test]
fn each_document_is_valid_and_keeps_what_is_the_users_own() {
    for (story, change, answers, choice) in inputs() {
        let (run, Recommendation { document, .. }) = recommended(change, &answers);
        let before = Channel::from_yaml(&run.channel).unwrap();
        let after =
            Channel::from_yaml(&document.yaml).unwrap_or_else(|why| panic!("{story}: {why}"));
        after
            .may_follow(&before)
            .unwrap_or_else(|why| panic!("{story}: {why}"));
        assert_eq!(after.metadata.name, before.metadata.name, "{story}");
        assert_eq!(
            (&after.spec.from, &after.spec.to),
            (&before.spec.from, &before.spec.to),
            "{story}"
        );
        let stream = |channel: &Channel| {
            let transport = channel.spec.r#async.as_ref()?.nats_jet_stream.as_ref()?;
            Some(transport.stream.clone())
        };
        assert_eq!(stream(&after), stream(&before), "{story}");
        let mode = match choice {
            Choice::Sync | Choice::Canary => Mode::Sync,
            Choice::Async | Choice::AsyncWithWait => Mode::Async,
            Choice::Either | Choice::TooLittleData => before.spec.mode,
        };
        assert_eq!(after.spec.mode, mode, "{story}");
        assert_eq!(
            after.spec.canary.is_some(),
            choice == Choice::Canary,
            "{story}"
        );
    }
}

#[test]
fn a_pair_without_a_broker_is_given_one_by_its_own_name() {
    let (_, Recommendation { document, .. }) = recommended(
        |run| {
            run.channel =
                "apiVersion: duet.dev/v1alpha1\nkind: Channel\nmetadata: {name: my-likes}\n\
                spec: {from: a, to: [{name: b}], mode: Sync}\n"
                    .to_owned();
        },
        &said(Some(false), Some(2_000)),
    );
    let after = Channel::from_yaml(&document.yaml).unwrap();
    let stream = after.spec.r#async.unwrap().nats_jet_stream.unwrap().stream;
    assert_eq!(stream.name.to_string(), "MY_LIKES");
    assert_eq!(stream.subject.to_string(), "duet.my-likes");
}

#[test]
fn faults_and_what_the_cluster_keeps_are_no_part_of_what_is_applied() {
    let (_, Recommendation { document, .. }) = recommended(
        |run| {
            let spec = "spec:\n  faults: {delay: 200ms}\n";
            run.channel = run.channel.replace("spec:\n", spec).replace(
                "  name: reactions\n",
                "  name: reactions\n  generation: 7\n",
            );
        },
        &Answers::default(),
    );
    let after = Channel::from_yaml(&document.yaml).unwrap();
    assert!(after.spec.faults.is_none() && after.metadata.generation.is_none());
    assert!(
        document
            .changes
            .iter()
            .any(|it| it.field == "spec.faults" && it.value.is_none())
    );
}

#[test]
fn numbers_follow_from_figures() {
    // What the pair measures, and what the document then says.
    let deadline = |p99: Duration| {
        let mut run = laptop();
        let waits = &mut measured(&mut run.scenarios.baseline.sync).traffic.waits;
        measured(waits).p99 = p99;
        let document = recommend(&run, &said(Some(true), None)).unwrap().document;
        let after = Channel::from_yaml(&document.yaml).unwrap();
        after.spec.sync.deadline.to_string()
    };
    for (p99, written) in [
        (0, "500ms"),
        (12, "500ms"),
        (87, "870ms"),
        (123, "1s300ms"),
        (200, "2s"),
        (90_000, "5m"),
    ] {
        assert_eq!(deadline(Duration::from_millis(p99)), written, "{p99} ms");
    }
    let consumer = |took: Duration| {
        let mut run = laptop();
        receiver_takes(&mut run, took);
        let document = recommend(&run, &said(Some(false), Some(2_000)))
            .unwrap()
            .document;
        let after = Channel::from_yaml(&document.yaml).unwrap();
        after
            .spec
            .r#async
            .unwrap()
            .nats_jet_stream
            .unwrap()
            .consumer
    };
    let quick = consumer(Duration::from_millis(6));
    assert_eq!(
        (quick.ack_wait.to_string().as_str(), quick.max_ack_pending),
        ("30s", 4_096),
        "enough is left alone"
    );
    let slow = consumer(Duration::from_secs(4));
    assert_eq!(
        (slow.ack_wait.to_string().as_str(), slow.max_ack_pending),
        ("40s", 16_384)
    );
}
