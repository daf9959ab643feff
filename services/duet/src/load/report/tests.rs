use super::*;
use crate::load::ask::End;

/// Two requests that succeeded, one in each mode, and `failed` that did not.
fn report(failed: &[End], unsent: u64, left: (Difference, Option<String>)) -> Report {
    let mut progress = Progress::new().unwrap();
    let stands = [(true, "sync"), (false, "async")].map(|(delivered, mode)| End::Stands {
        delivered,
        mode: mode.to_owned(),
    });
    for (nth, end) in stands.iter().chain(failed).enumerate() {
        progress.sent += 1;
        let due = Duration::from_secs(nth as u64);
        progress.count(end, due, Duration::from_millis(2)).unwrap();
    }
    let ending = Ending {
        run: "k3f9q".to_owned(),
        per_second: 5,
        took: Duration::from_secs(90),
        begun: Begun {
            owners: 1,
            posts: 2,
        },
        traffic: Traffic {
            unsent,
            cut_short: None,
        },
        arrived_after: Duration::from_millis(30),
        left,
    };
    Report::of(progress, ending)
}

fn difference(missing: u64, doubled: u64) -> Difference {
    Difference { missing, doubled }
}

#[test]
fn the_verdict_is_the_worst_that_happened() {
    let away = || Some("no answer within 2s".to_owned());
    for (failed, unsent, left, verdict) in [
        (&[][..], 0, (difference(0, 0), None), None),
        (
            &[End::Status(503)],
            0,
            (difference(0, 0), None),
            Some(Kind::Failed),
        ),
        (&[], 7, (difference(0, 0), None), Some(Kind::Failed)),
        (&[], 0, (difference(0, 0), away()), Some(Kind::NotRunning)),
        (
            &[End::Unanswered],
            0,
            (difference(1, 0), away()),
            Some(Kind::Differs),
        ),
        (&[], 0, (difference(0, 1), None), Some(Kind::Differs)),
    ] {
        let report = report(failed, unsent, left);
        let found = report.verdict().err().map(|failure| failure.kind());
        assert_eq!(found, verdict, "{report}");
    }
}

#[test]
fn traffic_that_was_cut_short_says_why_and_not_that_answers_were_slow() {
    let mut report = report(&[], 7, (difference(0, 0), None));
    let cut_short = CutShort {
        after: Duration::from_secs(75),
        unseen: 250_003,
    };
    report.cut_short = Some(cut_short.to_string());
    let why =
        "the traffic was ended after 1m15s: 250003 reactions had not been seen at Notification";
    let failure = report.verdict().unwrap_err();
    assert_eq!(failure.kind(), Kind::Failed);
    assert!(failure.to_string().starts_with(why), "{failure}");
    assert!(report.to_string().contains(why), "{report}");
    report.missing = 3;
    assert_eq!(report.verdict().unwrap_err().kind(), Kind::Differs);
}

#[test]
fn the_report_reads_like_this() {
    let failed = [End::Status(503), End::Unreachable, End::Status(503)];
    let mut report = report(&failed, 0, (difference(0, 0), None));
    let since = "2026-11-24T13:00:00.25Z".parse().unwrap();
    report.modes.iter_mut().for_each(|it| it.since = since);
    let told = "\
5 requests in 1m30s, to 2 posts of 1 owners (…-k3f9q)
  delivered        1
  accepted         1
  failed           3  503: 2  unreachable: 1
  async     p50 2.0 ms  p90 2.0 ms  p99 2.0 ms  longest 2.0 ms
  sync      p50 2.0 ms  p90 2.0 ms  p99 2.0 ms  longest 2.0 ms
  mode      sync, async from 13:00:00.250Z
Notification shows each accepted reaction once, 30.0 ms after the last answer.
";
    assert_eq!(report.to_string(), told);
}

#[test]
fn many_changes_of_the_mode_are_counted_and_not_all_printed() {
    let mut report = report(&[], 0, (difference(0, 0), None));
    let since = report.modes[0].since;
    report.modes = (0..SHOWN + 300)
        .map(|nth| Since {
            mode: ["sync", "async"][nth % 2].to_owned(),
            since,
        })
        .collect();
    let told = report.to_string();
    assert_eq!(told.matches(" from ").count(), SHOWN - 1, "{told}");
    assert!(
        told.contains(", and 300 more changes, as while a canary acts\n"),
        "{told}"
    );
}
