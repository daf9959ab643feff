//! `GET /v1/channel` on the internal port: what this process observes of the channel.

use duet_channel::settings::{Problem, SettingsState};
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
    /// How long ago the oldest of them was accepted, in whole seconds: `12s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age: Option<String>,
    /// Events that are kept for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<u64>,
    /// Events that were sent again since the process began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<u64>,
    /// The longest that a caller waited since the generation is in force: `12ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest_caller: Option<String>,
    /// The share that takes another mode, and what came of it since the generation is in force; none where there is no canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What is good and what is wrong.
    pub conditions: Vec<Condition>,
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
    /// Why, in a word.
    pub reason: &'static str,
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
            message: problem.map_or_else(String::new, |problem| problem.message.clone()),
        }
    }

    /// Whether something keeps events from their receivers: `Degraded`, with the reason and the sentence if so.
    pub fn degraded(why: Option<(&'static str, String)>) -> Self {
        let (status, (reason, message)) = match why {
            None => (Status::False, ("Sound", String::new())),
            Some(why) => (Status::True, why),
        };
        Self {
            r#type: "Degraded",
            status,
            reason,
            message,
        }
    }
}
