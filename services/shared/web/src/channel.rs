//! `GET /v1/channel` on the internal port: what this process observes of the channel.

use duet_channel::mended;
use duet_channel::settings::{Problem, SettingsState};
use duet_protocol::settings::Faults;
use duet_protocol::time::Timestamp;
use serde::{Serialize, Serializer};

/// What a process observes. The names are those of the Channel's status; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The Channel in force; none if none was ever seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The mode in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// The Channel's generation that is in force: the resource's own, where it comes from the Kubernetes API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<u64>,
    /// Since when it is, in this process.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "when")]
    pub in_force_since: Option<Timestamp>,
    /// Whether no event that is not received yet was accepted under an older generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<bool>,
    /// Events accepted that some receiver is not known to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unacknowledged: Option<u64>,
    /// Whether a receiver is not known to hold an event of the channel's own, which opens an epoch: what it is sent of that, it
    /// applies afterwards. Left out where it is not so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub opening: bool,
    /// How long ago the oldest of the unacknowledged was accepted, in whole seconds: `12s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age: Option<String>,
    /// Events that are kept for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<u64>,
    /// Events whose attempts are over: they wait for a redrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
    /// Events that were sent again since the process began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<u64>,
    /// Events that were taken for lost on their way, are sent again, and are not received yet; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Loss that was repaired: what had been lost was sent again, and is received. Left out before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
    /// How often consuming was begun anew by the watchdog; only a receiver tells. Left out before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<Mended>,
    /// How often stream or consumers were put right that had been made otherwise; only a receiver tells. Left out before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Mended>,
    /// The longest that a caller waited since the generation is in force: `12ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest_caller: Option<String>,
    /// The share that takes another mode, and what came of it since the generation is in force; none where there is no canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How each receiver stands; only a sender tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receivers: Option<Vec<Receiver>>,
    /// What is good and what is wrong.
    pub conditions: Vec<Condition>,
}

/// How one receiver stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receiver {
    /// Its name in the Channel.
    pub name: String,
    /// Events accepted that it is not known to hold.
    pub unacknowledged: u64,
    /// How long ago the oldest of them was accepted, in whole seconds: `12s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age: Option<String>,
    /// What keeps events from it, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// Loss that was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// How many events, since the process began.
    pub events: u64,
    /// When the last of them was received.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub last: Timestamp,
    /// By what it had been taken for lost.
    pub why: String,
}

impl From<&mended::Mended> for Repaired {
    fn from(mended: &mended::Mended) -> Self {
        Repaired {
            events: mended.count,
            last: mended.last,
            why: mended.why.to_string(),
        }
    }
}

/// Something that was put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// How often, since the process began.
    pub times: u64,
    /// When it was last.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub last: Timestamp,
    /// What it was then.
    pub why: String,
}

impl From<&mended::Mended> for Mended {
    fn from(mended: &mended::Mended) -> Self {
        Mended {
            times: mended.count,
            last: mended.last,
            why: mended.why.to_string(),
        }
    }
}

/// The share of pairs that takes another mode, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The mode that it takes.
    pub mode: &'static str,
    /// The share that is wanted, in hundredths.
    pub percent: u8,
    /// The share of requests that it was, in hundredths, to a tenth; none while there was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_percent: Option<f64>,
    /// How many requests that is counted over.
    pub requests: u64,
}

/// Which Channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Tells it from another that had its name before; only where it comes from the Kubernetes API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

fn when<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => crate::time::rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

impl Observed {
    /// What each process observes, whichever side it is on: its settings, and whether they are the newest.
    pub fn of(state: &SettingsState) -> Self {
        let accepted = Condition::accepted(state.problem.as_ref());
        let unknown = Observed {
            conditions: vec![accepted],
            ..Observed::default()
        };
        let Some(current) = &state.current else {
            return unknown;
        };
        let uid = current.resource.as_ref().map(|it| it.uid.clone());
        Observed {
            channel: Some(Channel {
                name: current.settings.channel.clone(),
                uid,
            }),
            mode: Some(current.settings.mode.as_str()),
            observed_generation: Some(current.generation()),
            in_force_since: Some(current.since),
            ..unknown
        }
    }
}

/// One aspect of the channel, as Kubernetes writes conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Which aspect.
    pub r#type: &'static str,
    /// Whether it is so.
    pub status: Status,
    /// Why, in a word: of several reasons the one that is told first.
    pub reason: &'static str,
    /// All reasons, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// Why, in a sentence.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Status {
    True,
    False,
    Unknown,
}

impl Condition {
    /// Whether the newest Channel document is in force, and known after a restart: `Accepted`, with what is wrong otherwise.
    pub fn accepted(problem: Option<&Problem>) -> Self {
        let is_in_force = problem.map_or(Some(true), |problem| problem.trouble.is_in_force());
        Self {
            r#type: "Accepted",
            status: match is_in_force {
                Some(true) => Status::True,
                Some(false) => Status::False,
                None => Status::Unknown,
            },
            reason: problem.map_or("Valid", |problem| problem.trouble.as_str()),
            reasons: Vec::new(),
            message: problem.map_or_else(String::new, |problem| problem.message.clone()),
        }
    }

    /// Whether what `spec.faults` asks for goes wrong: `Faults`. A process that doesn't allow it says so.
    pub fn faults(faults: &Faults, allowed: bool, now: Timestamp) -> Self {
        let (status, reason, message) = if !allowed {
            let message = "this process was started without --allow-faults (DUET_ALLOW_FAULTS)";
            (Status::False, "NotAllowed", message.to_owned())
        } else if let Some(until) = faults.until.filter(|_| faults.are_over(now)) {
            let message = format!("they ended at {}", crate::time::text(until));
            (Status::False, "Over", message)
        } else {
            (Status::True, "Injected", told(faults))
        };
        Self {
            r#type: "Faults",
            status,
            reason,
            reasons: Vec::new(),
            message,
        }
    }

    /// Nothing keeps events from this receiver, for it is to have none: no Channel names it.
    pub fn is_no_receiver(name: &str) -> Self {
        let message = format!("no Channel's spec.to names {name}: it receives nothing");
        Self {
            reason: "NotAReceiver",
            message,
            ..Self::degraded([])
        }
    }

    /// Whether something keeps events from their receivers, or should be looked at: `Degraded`, with a reason and a sentence for each
    /// such thing, the one first that is to be told first.
    pub fn degraded(why: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let (mut reasons, mut messages) = (Vec::new(), Vec::new());
        for (reason, message) in why {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            messages.push(message);
        }
        let first = reasons.first().copied();
        Self {
            r#type: "Degraded",
            status: first.map_or(Status::False, |_| Status::True),
            reason: first.unwrap_or("Sound"),
            reasons: if reasons.len() > 1 {
                reasons
            } else {
                Vec::new()
            },
            message: messages.join("; "),
        }
    }
}

/// Faults in a sentence.
fn told(faults: &Faults) -> String {
    let Faults {
        delay,
        jitter,
        errors,
        hangs,
        max_per_second,
        until,
        ..
    } = faults;
    let mut told = Vec::new();
    match (delay.is_zero(), jitter.is_zero()) {
        (true, true) => {}
        (true, false) => told.push(format!("each batch waits up to {jitter:?}")),
        (_, true) => told.push(format!("each batch waits {delay:?}")),
        (_, false) => told.push(format!(
            "each batch waits {delay:?} more or less {jitter:?}"
        )),
    }
    if errors.get() > 0 {
        told.push(format!("{} of 100 events can't be applied", errors.get()));
    }
    if hangs.get() > 0 {
        told.push(format!(
            "{} of 100 requests and messages get no answer",
            hangs.get()
        ));
    }
    if let Some(most) = max_per_second {
        told.push(format!("at most {most} events a second are taken"));
    }
    if told.is_empty() {
        told.push("nothing goes wrong".to_owned());
    }
    let until = until.map(|until| format!("until {}", crate::time::text(until)));
    told.extend(until);
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use duet_protocol::settings::Percent;

    use super::*;

    #[test]
    fn of_several_things_that_are_wrong_each_is_told() {
        let sound = Condition::degraded([]);
        assert_eq!((sound.status, sound.reason), (Status::False, "Sound"));
        let told = |reason, message: &str| (reason, message.to_owned());
        let one = Condition::degraded([told("NoAnswer", "a")]);
        assert_eq!(
            (one.status, one.reason, one.reasons),
            (Status::True, "NoAnswer", vec![])
        );
        let all = [
            told("SenderRegressed", "a"),
            told("SenderRegressed", "b"),
            told("NoAnswer", "c"),
        ];
        let all = Condition::degraded(all);
        assert_eq!((all.reason, &*all.message), ("SenderRegressed", "a; b; c"));
        assert_eq!(all.reasons, ["SenderRegressed", "NoAnswer"]);
    }

    #[test]
    fn faults_are_told_as_they_act() {
        let faults = Faults {
            delay: Duration::from_millis(200),
            jitter: Duration::from_millis(50),
            errors: Percent::new(5).unwrap(),
            hangs: Percent::new(1).unwrap(),
            max_per_second: NonZeroU32::new(500),
            receiver: None,
            until: Some(Timestamp::from_micros(1_795_512_420_000_000)),
        };
        let before = Timestamp::from_micros(1_795_512_419_000_000);
        let told = |allowed, now| {
            let condition = Condition::faults(&faults, allowed, now);
            (condition.status, condition.reason, condition.message)
        };
        let (status, reason, message) = told(true, before);
        assert_eq!((status, reason), (Status::True, "Injected"));
        assert_eq!(
            message,
            "each batch waits 200ms more or less 50ms, 5 of 100 events can't be applied, 1 of 100 requests and messages get no answer, \
             at most 500 events a second are taken, until 2026-11-24T09:27:00Z"
        );
        let only_jitter = Faults {
            jitter: faults.jitter,
            ..Faults::default()
        };
        let only_jitter = Condition::faults(&only_jitter, true, before);
        assert_eq!(only_jitter.message, "each batch waits up to 50ms");
        let (status, reason, _) = told(true, faults.until.unwrap());
        assert_eq!((status, reason), (Status::False, "Over"));
        let (status, reason, message) = told(false, before);
        assert_eq!((status, reason), (Status::False, "NotAllowed"));
        assert!(message.contains("--allow-faults"), "{message}");
    }
}
