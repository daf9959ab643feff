//! The status of a Channel: pure. What is told at once, and what may wait.

use std::time::Duration;

use duet_crd::Mode;
use duet_crd::duration;
use duet_crd::kubernetes::{CanaryStatus, Status, StatusMode};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::apply::Outcome;
use crate::broker::Broker;
use crate::conditions::conditions;
use crate::guarantee::guarantee;
use crate::observe::Observed;
use crate::participants::{Participant, participants};
use crate::stored::Subject;

/// Where nothing but numbers has changed, they are written this often at most.
pub(crate) const NUMBERS: Duration = Duration::from_secs(5);

/// The status of a Channel that had one `before`.
pub(crate) fn status(
    subject: &Subject,
    observed: &Observed,
    outcome: &Outcome,
    before: &Status,
) -> Status {
    // The API keeps whole seconds; what it gives back must equal what it was given.
    let at = Timestamp::from_second(observed.at.as_second()).unwrap_or(observed.at);
    let observed = &Observed {
        at,
        ..observed.clone()
    };
    // Nobody looks after what is deleted.
    let accepted = observed.accepted().filter(|_| !subject.is_deleted);
    let pods = observed
        .participants
        .as_deref()
        .filter(|_| accepted.is_some());
    let mode = accepted.map(|document| document.spec.mode);
    Status {
        observed_generation: Some(subject.generation),
        mode: Some(match (mode, pods) {
            (Some(mode), Some(pods)) => does(subject, mode, pods),
            _ => StatusMode::Unknown,
        }),
        canary: accepted.and_then(|document| {
            let wanted = document.settings.canary?;
            Some(CanaryStatus {
                percent: wanted.percent.get().into(),
                achieved_percent: achieved(subject, pods.unwrap_or_default()),
            })
        }),
        guarantee: accepted.map(|document| guarantee(&document.settings)),
        unacknowledged: pods
            .and_then(|pods| unacknowledged(subject, pods))
            .map(rounded),
        oldest_age: pods.and_then(|pods| oldest_age(subject, pods)),
        lag: lag(&observed.broker).map(rounded),
        conditions: conditions(subject, observed, outcome, &before.conditions),
        participants: mode.zip(pods).map(|(mode, pods)| {
            participants(subject, mode, pods, before.participants.as_ref(), at)
        }),
    }
}

/// What the pods do: the spec's mode once all that can be asked do it, and a sender is among them.
fn does(subject: &Subject, wanted: Mode, pods: &[Participant]) -> StatusMode {
    let mode = |pod: &Participant| pod.told(subject)?.mode;
    if !pods
        .iter()
        .any(|pod| pod.is_sender() && mode(pod).is_some())
    {
        return StatusMode::Unknown;
    }
    if pods.iter().filter_map(mode).any(|mode| mode != wanted) {
        return StatusMode::Switching;
    }
    match wanted {
        Mode::Sync => StatusMode::Sync,
        Mode::Async => StatusMode::Async,
    }
}

fn senders<T>(pods: &[Participant], of: impl Fn(&Participant) -> Option<T>) -> Option<Vec<T>> {
    let told: Option<Vec<T>> = pods.iter().filter(|pod| pod.is_sender()).map(of).collect();
    told.filter(|told| !told.is_empty())
}

/// The sum over all senders; none if one does not tell.
fn unacknowledged(subject: &Subject, pods: &[Participant]) -> Option<u64> {
    let told = senders(pods, |pod| pod.told(subject)?.unacknowledged)?;
    Some(told.iter().fold(0, |sum, one| sum.saturating_add(*one)))
}

/// Over the requests of all senders that follow; none if there was none, or one of them does not tell.
fn achieved(subject: &Subject, pods: &[Participant]) -> Option<u32> {
    let told = senders(pods, |pod| {
        let told = pod.told(subject)?;
        let follows = told.observed_generation == Some(subject.generation);
        told.canary.clone().filter(|_| follows)
    })?;
    let requests = told.iter().map(|one| one.requests as f64);
    let canary = told
        .iter()
        .map(|one| one.requests as f64 * one.achieved_percent.unwrap_or_default());
    let (requests, canary): (f64, f64) = (requests.sum(), canary.sum());
    (requests > 0.0).then(|| (canary / requests).round().clamp(0.0, 100.0) as u32)
}

/// The highest of all senders; none if there is no event, or one of them does not tell.
fn oldest_age(subject: &Subject, pods: &[Participant]) -> Option<String> {
    let told = senders(pods, |pod| pod.told(subject).map(|told| told.oldest_age))?;
    let oldest = told.into_iter().flatten().max()?;
    Some(age(oldest))
}

fn lag(broker: &Broker) -> Option<u64> {
    match broker {
        Broker::Seen(seen) => seen.unsettled.values().max().copied(),
        Broker::NotNeeded
        | Broker::NotConfigured
        | Broker::Silent(_)
        | Broker::Refused(_)
        | Broker::Denied(_) => None,
    }
}

/// To two digits: more change every time, and nobody reads them.
fn rounded(number: u64) -> i64 {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    i64::try_from(number / unit * unit).unwrap_or(i64::MAX)
}

/// Whole seconds below ten, then fives, minutes, hours.
fn age(age: SignedDuration) -> String {
    let seconds = u64::try_from(age.as_secs()).unwrap_or_default();
    let unit = match seconds {
        0..10 => 1,
        10..60 => 5,
        60..3_600 => 60,
        _ => 3_600,
    };
    duration::Duration::from_secs(seconds / unit * unit).to_string()
}

/// How two statuses differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// In how much waits, alone.
    Numbers,
    /// In what is told at once.
    Words,
}

/// How a status differs from the one before.
pub(crate) fn change(before: &Status, after: &Status) -> Change {
    let words = |status: &Status| Status {
        unacknowledged: None,
        oldest_age: None,
        lag: None,
        canary: status.canary.clone().map(|canary| CanaryStatus {
            achieved_percent: None,
            ..canary
        }),
        ..status.clone()
    };
    // A number that appears or goes is news: it became known, or unknown.
    let known = |status: &Status| (status.unacknowledged.is_some(), status.lag.is_some());
    if before == after {
        Change::None
    } else if words(before) == words(after) && known(before) == known(after) {
        Change::Numbers
    } else {
        Change::Words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{BROKER_READY, READY, find};
    use crate::fixtures::{at, done, follower, observed, subject, told};
    use crate::participants::{Answer, Role};

    #[test]
    fn a_canarys_share_is_that_of_the_requests_at_all_senders_that_follow() {
        use crate::participants::ToldCanary;
        use duet_protocol::settings::{Canary, Mode, Percent};

        let canary = |requests, achieved_percent| ToldCanary {
            achieved_percent,
            requests,
        };
        let mut observed = observed(at(0));
        let document = observed.document.as_mut().unwrap();
        document.settings.canary = Some(Canary {
            mode: Mode::Sync,
            percent: Percent::new(20).unwrap(),
        });
        let share = |told: &[ToldCanary]| {
            let mut observed = observed.clone();
            let sender = |canary: &ToldCanary| {
                let mut pod = follower("r", Role::Sender);
                super::tests::told(&mut pod).canary = Some(canary.clone());
                pod
            };
            observed.participants = Some(told.iter().map(sender).collect());
            status_of(&observed).canary
        };
        let expected = |achieved_percent| {
            Some(CanaryStatus {
                percent: 20,
                achieved_percent,
            })
        };
        assert_eq!(share(&[canary(0, None)]), expected(None));
        assert_eq!(share(&[canary(200, Some(19.5))]), expected(Some(20)));
        let two = [canary(300, Some(10.0)), canary(100, Some(50.0))];
        assert_eq!(share(&two), expected(Some(20)));
        let none = status_of(&super::tests::observed(at(0)));
        assert_eq!(none.canary, None);
        let mut later = status_of(&observed);
        let before = later.clone();
        later.canary.as_mut().unwrap().achieved_percent = Some(7);
        assert_eq!(change(&before, &later), Change::Numbers);
    }

    fn status_of(observed: &Observed) -> Status {
        status(&subject(), observed, &done(), &Status::default())
    }

    #[test]
    fn the_mode_is_what_the_pods_do() {
        type Case = (&'static str, fn(&mut Vec<Participant>), StatusMode);
        let cases: &[Case] = &[
            ("all follow", |_| {}, StatusMode::Async),
            (
                "a sender does not",
                |pods| told(&mut pods[0]).mode = Some(Mode::Sync),
                StatusMode::Switching,
            ),
            (
                "a receiver does not",
                |pods| told(&mut pods[1]).mode = Some(Mode::Sync),
                StatusMode::Switching,
            ),
            (
                "one of two senders does not",
                |pods| {
                    pods.push(follower("reaction-1", Role::Sender));
                    told(&mut pods[2]).mode = Some(Mode::Sync);
                },
                StatusMode::Switching,
            ),
            (
                "one of two senders is silent",
                |pods| {
                    pods.push(follower("reaction-1", Role::Sender));
                    pods[2].answer = Answer::Silent(String::new());
                },
                StatusMode::Async,
            ),
            (
                "the sender is silent",
                |pods| pods[0].answer = Answer::Silent(String::new()),
                StatusMode::Unknown,
            ),
            (
                "it follows another Channel",
                |pods| told(&mut pods[0]).channel = None,
                StatusMode::Unknown,
            ),
            ("nobody is there", Vec::clear, StatusMode::Unknown),
        ];
        for (case, change, expected) in cases {
            let mut observed = observed(at(0));
            change(observed.participants.as_mut().unwrap());
            assert_eq!(status_of(&observed).mode, Some(*expected), "{case}");
        }
    }

    #[test]
    fn numbers_are_sums_and_what_is_not_known_is_not_there() {
        let mut observed = observed(at(0));
        let pods = observed.participants.as_mut().unwrap();
        pods.push(follower("reaction-1", Role::Sender));
        told(&mut pods[0]).unacknowledged = Some(12_345);
        told(&mut pods[0]).oldest_age = Some(SignedDuration::from_secs(7));
        told(&mut pods[2]).unacknowledged = Some(1_000);
        told(&mut pods[2]).oldest_age = Some(SignedDuration::from_secs(64));
        let Broker::Seen(seen) = &mut observed.broker else {
            panic!()
        };
        seen.unsettled = seen
            .consumers
            .keys()
            .map(|name| (name.clone(), 777))
            .collect();
        let status = status_of(&observed);
        assert_eq!(
            (
                status.unacknowledged,
                status.oldest_age.as_deref(),
                status.lag
            ),
            (Some(13_000), Some("1m"), Some(770))
        );
        observed.participants.as_mut().unwrap()[2].answer = Answer::Silent(String::new());
        observed.broker = Broker::Silent(String::new());
        let status = status_of(&observed);
        assert_eq!(
            (status.unacknowledged, status.oldest_age, status.lag),
            (None, None, None)
        );
    }

    #[test]
    fn numbers_are_rounded_so_that_they_rarely_change() {
        for (number, shown) in [
            (0, 0),
            (7, 7),
            (99, 99),
            (100, 100),
            (129, 120),
            (12_345, 12_000),
            (u64::MAX, i64::MAX),
        ] {
            assert_eq!(rounded(number), shown, "{number}");
        }
        for (seconds, shown) in [
            (0, "0s"),
            (9, "9s"),
            (14, "10s"),
            (59, "55s"),
            (119, "1m"),
            (3_601, "1h"),
            (100_000, "27h"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_status_that_was_read_back_is_no_change_and_numbers_alone_are_no_news() {
        let mut observed = observed(Timestamp::from_millisecond(1_999).unwrap());
        told(&mut observed.participants.as_mut().unwrap()[0]).observed_generation = Some(2);
        let first = status_of(&observed);
        let read: Status = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
        observed.at = at(9);
        let mut again = status(&subject(), &observed, &done(), &read);
        assert_eq!(change(&read, &again), Change::None);
        again.unacknowledged = Some(7);
        again.oldest_age = Some("3s".to_owned());
        assert_eq!(change(&read, &again), Change::Numbers);
        again.lag = None;
        assert_eq!(change(&read, &again), Change::Words);
    }

    #[test]
    fn a_channel_that_is_not_in_force_claims_nothing() {
        let mut observed = observed(at(0));
        observed.rival = Some(duet_crd::kubernetes::Rival {
            name: "older".to_owned(),
            over: duet_crd::kubernetes::Over::From("reaction".to_owned()),
        });
        let status = status_of(&observed);
        assert_eq!(status.mode, Some(StatusMode::Unknown));
        assert_eq!(
            (status.guarantee, status.participants, status.unacknowledged),
            (None, None, None)
        );
        assert_eq!(find(&status.conditions, READY).unwrap().status, "False");
        assert_eq!(find(&status.conditions, BROKER_READY), None);
    }

    #[test]
    fn a_channel_that_is_deleted_and_still_there_claims_nothing_that_it_claimed_before() {
        let before = status_of(&observed(at(0)));
        assert_eq!(find(&before.conditions, READY).unwrap().status, "True");
        let subject = Subject {
            is_deleted: true,
            ..subject()
        };
        let mut observed = observed(at(9));
        observed.participants = None;
        let after = status(&subject, &observed, &done(), &before);
        assert_eq!(after.mode, Some(StatusMode::Unknown));
        assert_eq!((after.guarantee, after.participants), (None, None));
        let told: Vec<_> = after
            .conditions
            .iter()
            .map(|told| (&*told.type_, &*told.status, &*told.reason))
            .collect();
        assert_eq!(
            told,
            [("Accepted", "True", "Valid"), ("Ready", "False", "Deleted")]
        );
    }
}
