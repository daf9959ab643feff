//! `GET /v1/channel` on the internal port: what this process observes of the channel.

use serde::Serialize;

/// What a process observes. The names are those of the Channel's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The mode in force; none if no Channel was ever seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// The Channel's generation that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<u64>,
    /// Events accepted that some receiver is not known to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unacknowledged: Option<u64>,
    /// How long ago the oldest of them was accepted, in whole seconds: `12s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age: Option<String>,
    /// Events that are kept for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<u64>,
    /// What is good and what is wrong.
    pub conditions: Vec<Condition>,
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
    /// Whether the newest Channel document is in force: `Accepted`, with what is wrong with it otherwise, or with its being known after
    /// a restart.
    pub fn accepted(problem: Option<&str>, not_kept: bool) -> Self {
        let (status, reason) = match problem {
            None => (Status::True, "Valid"),
            Some(_) if not_kept => (Status::True, "NotKept"),
            Some(_) => (Status::False, "Invalid"),
        };
        Self {
            r#type: "Accepted",
            status,
            reason,
            message: problem.unwrap_or_default().to_owned(),
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
