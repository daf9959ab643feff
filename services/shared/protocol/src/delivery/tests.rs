use std::num::NonZeroU32;

use bytes::Bytes;

use super::*;
use crate::event::{Body, Data, Key, TraceContext};
use crate::sequence::{Epoch, Lane, Sequence};
use crate::settings::Generation;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn event(sequence: u64) -> Event {
    Event {
        source: Lane::default().source(Epoch(1)),
        sequence: Sequence(sequence),
        time: NOW,
        body: Body::Data(Data {
            kind: "dev.duet.tested".into(),
            key: Key::new("post/user").unwrap(),
            json: Bytes::new(),
        }),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

fn settings(attempts: u32, initial: Duration, max: Duration) -> DeliverySettings {
    DeliverySettings {
        max_attempts: NonZeroU32::new(attempts).unwrap(),
        backoff_initial: initial,
        backoff_max: max,
    }
}

fn delivery<'a>(settings: &'a DeliverySettings, rules: &'a Rules, seed: u64) -> Delivery<'a> {
    Delivery {
        settings,
        seed,
        now: NOW,
        rules,
    }
}

/// Fails until it is dead; the waits in between.
fn waits(
    delivery: Delivery<'_>,
    failure: &Failure,
    mut before: Option<Parked>,
) -> (Vec<Duration>, Parked) {
    let mut waits = Vec::new();
    for _ in 0..1_000 {
        let after = delivery.failed(&event(2), failure, before);
        match after.state {
            State::Parked { next_attempt } => waits.push(next_attempt.since(NOW)),
            State::Dead => return (waits, after),
        }
        before = Some(after);
    }
    (waits, before.unwrap())
}

#[test]
fn an_event_waits_up_to_a_backoff_that_doubles_and_dies_of_its_last_attempt() {
    let (settings, rules) = (
        settings(8, Duration::from_secs(1), Duration::from_secs(20)),
        Rules::default(),
    );
    let bounds = [1, 2, 4, 8, 16, 20, 20].map(Duration::from_secs);
    let mut longest = [Duration::ZERO; 7];
    for seed in 0..1_000 {
        let (waits, dead) = waits(delivery(&settings, &rules, seed), &Failure::new("no"), None);
        assert_eq!((waits.len(), dead.attempts, dead.is_dead()), (7, 8, true));
        for (at, wait) in waits.iter().enumerate() {
            assert!(
                *wait > Duration::ZERO && *wait <= bounds[at],
                "{wait:?} at {at}"
            );
            longest[at] = longest[at].max(*wait);
        }
    }
    // The whole of it is used, so that those that failed together are not tried together.
    for (longest, bound) in longest.iter().zip(bounds) {
        assert!(*longest > bound.mul_f64(0.9), "{longest:?} of {bound:?}");
    }
}

#[test]
fn a_backoff_is_bounded_however_long_it_goes_on() {
    let most = Duration::from_secs(24 * 3_600);
    let settings = settings(1_000, Duration::from_secs(3_600), most);
    for attempts in [1, 2, 31, 32, 33, 64, 65, u32::MAX] {
        let wait = longest_wait(&settings, attempts);
        assert!(
            wait >= Duration::from_secs(3_600) && wait <= most,
            "{attempts}: {wait:?}"
        );
    }
}

#[test]
fn an_event_of_an_unknown_type_waits_and_never_dies() {
    let (settings, rules) = (
        settings(2, Duration::from_millis(10), Duration::from_secs(5)),
        Rules::default(),
    );
    let failure = Failure::unknown_type("dev.duet.newer");
    let (waits, still) = waits(delivery(&settings, &rules, 7), &failure, None);
    assert_eq!((waits.len(), still.is_dead()), (1_000, false));
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(5)));
}

#[test]
fn a_redrive_begins_the_attempts_anew_and_one_that_is_futile_is_known() {
    let (settings, rules) = (
        settings(3, Duration::from_secs(1), Duration::from_secs(9)),
        Rules::default(),
    );
    let delivery = delivery(&settings, &rules, 1);
    let (_, mut dead) = waits(delivery, &Failure::new("no row 17"), None);
    assert_eq!((dead.redrives, dead.futile), (0, 0));
    for redrive in 1..=FUTILE_REDRIVES {
        assert!(!dead.is_futile(&rules));
        let again = dead.redriven(NOW, &rules);
        assert_eq!((again.attempts, again.redrives), (0, redrive));
        let now = State::Parked { next_attempt: NOW };
        assert_eq!(again.state, now);
        // The same cause, of another row.
        let failure = Failure::new(format!("no row {redrive}"));
        let (tried, died) = waits(delivery, &failure, Some(again));
        assert_eq!((tried.len(), died.futile), (2, redrive));
        dead = died;
    }
    assert!(dead.is_futile(&rules));
    let (_, other) = waits(
        delivery,
        &Failure::new("no table"),
        Some(dead.redriven(NOW, &rules)),
    );
    assert!(!other.is_futile(&rules), "another cause is news");
}

#[test]
fn a_cause_is_the_same_whatever_it_is_about() {
    let same = [
        "no row 17 for 'ana'",
        "no row 4 for 'bob'",
        "no row 3fa85f64-5717-4562-b3fc-2c963f66afa6 for \"x y\"",
        "no row post-9 for `z`",
    ];
    let quoted = |text: &str| Fingerprint::of(text);
    assert_eq!(quoted(same[0]), quoted(same[1]));
    assert_eq!(quoted(same[2]), quoted(same[3]));
    assert_eq!(quoted(same[1]), quoted(same[2]));
    let other = [
        "no row for 'ana'",
        "no column 17 for 'ana'",
        "",
        "can't, won't",
        "can't, will",
    ];
    let all: std::collections::BTreeSet<_> = other
        .iter()
        .chain(&same)
        .map(|cause| Fingerprint::of(cause))
        .collect();
    assert_eq!(all.len(), other.len() + 1);
    // It is stored: it may not change.
    assert_eq!(Fingerprint::of(same[0]).to_string(), "3e7bbbcaa51c30fd");
}

#[test]
fn any_text_has_a_fingerprint_and_it_survives_its_text_form() {
    for text in [
        "'",
        "''",
        "'''",
        "a'b'c",
        "é'ü\"",
        "\u{1f600}5",
        &"9".repeat(5_000),
        &"ü".repeat(1_000),
    ] {
        let fingerprint = Fingerprint::of(text);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint), "{text:?}");
    }
    for text in [
        "",
        "1",
        "00000000000000000",
        "000000000000000G",
        "000000000000000F",
        "+00000000000000a",
    ] {
        assert_eq!(
            text.parse::<Fingerprint>(),
            Err(NotAFingerprint),
            "{text:?}"
        );
    }
}

#[test]
fn a_clock_that_jumps_neither_stalls_nor_storms() {
    let longest = Duration::from_secs(600);
    let next = NOW + Duration::from_secs(100);
    assert!(!is_retry_due(next, NOW, longest));
    assert!(is_retry_due(next, next, longest));
    assert!(
        !is_retry_due(NOW + longest, NOW, longest),
        "the longest wait is one"
    );
    let set_back = Timestamp::from_micros(NOW.micros() - 86_400_000_000);
    assert!(
        is_retry_due(next, set_back, longest),
        "it would wait for a day"
    );
    let forward = NOW + Duration::from_secs(86_400);
    assert!(is_retry_due(next, forward, longest));
    // Tried once, it waits its backoff again by the clock as it now is.
    let (settings, rules) = (
        settings(8, Duration::from_secs(1), longest),
        Rules::default(),
    );
    for now in [set_back, forward] {
        let delivery = Delivery {
            now,
            ..delivery(&settings, &rules, 3)
        };
        let after = delivery.failed(&event(2), &Failure::new("no"), None);
        let State::Parked { next_attempt } = after.state else {
            panic!("{after:?}");
        };
        assert!(!is_retry_due(next_attempt, now, longest));
    }
}

#[test]
fn an_apostrophe_within_a_word_quotes_nothing() {
    let [and, or, quoted] = [
        "it can't be, and it won't",
        "it can't be, or it won't",
        "it 'can be, or it' won't",
    ]
    .map(Fingerprint::of);
    assert_ne!(and, or, "what lies between them counts");
    assert_eq!(quoted, Fingerprint::of("it 'x' won't"));
}
