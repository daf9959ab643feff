//! Dead letters as the internal port tells them: what could not be applied, why, and what became of a redrive.

/// Which letters are meant.
pub mod filter;

use std::num::NonZeroU32;

use duet_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use filter::Filter;

/// Where the letters are listed.
pub const LETTERS: &str = "/v1/dead-letters";
/// Where they are counted by cause.
pub const CAUSES: &str = "/v1/dead-letters/causes";
/// Where one is shown.
pub const LETTER: &str = "/v1/dead-letters/{id}";
/// Where they are tried again.
pub const REDRIVE: &str = "/v1/dead-letters/redrive";
/// Where they are given up.
pub const DISCARD: &str = "/v1/dead-letters/discard";

/// How a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is tried again by itself.
    Parked,
    /// It is tried again only by a redrive.
    Dead,
}

impl State {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Parked => "parked",
            State::Dead => "dead",
        }
    }
}

/// An event that could not be applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// The event's name, which callers know as its position.
    pub id: String,
    /// Who sent it: the CloudEvents `source`.
    pub source: String,
    /// Its place there.
    pub sequence: u64,
    /// What it is about.
    pub key: String,
    /// Its CloudEvents `type`.
    pub kind: String,
    /// How it stands.
    pub state: State,
    /// Whether it is a job, which is run outside the transaction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub job: bool,
    /// When it is tried again; only what is parked is.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
    pub next_attempt: Option<Timestamp>,
    /// Why it could not be applied, the last time.
    pub cause: String,
    /// The same for causes that differ in names and numbers only.
    pub fingerprint: String,
    /// How often it was tried since it came, or was redriven last.
    pub attempts: u32,
    /// How often it was redriven.
    pub redrives: u32,
    /// When it failed first.
    #[serde(with = "at")]
    pub first_failure: Timestamp,
    /// When it failed last.
    #[serde(with = "at")]
    pub last_failure: Timestamp,
    /// When its sender accepted it, by the sender's clock.
    #[serde(with = "at")]
    pub accepted: Timestamp,
    /// The trace it was created in, as 32 hexadecimal digits; none if there was no trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What it says; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// The letters of one cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Which cause, for a filter.
    pub fingerprint: String,
    /// The cause of one of them, as an example.
    pub cause: String,
    /// One of them: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// How many are parked.
    pub parked: u64,
    /// How many are dead.
    pub dead: u64,
    /// When the first of them failed first.
    #[serde(with = "at")]
    pub first_failure: Timestamp,
    /// When one of them failed last.
    #[serde(with = "at")]
    pub last_failure: Timestamp,
}

/// How many would fail, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failing {
    /// Which cause.
    pub fingerprint: String,
    /// The cause of one of them, as an example.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// What a redrive would come to now: each was tried, and all of it rolled back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// How many fit; more than were tried, if they are many.
    pub matching: u64,
    /// How many were tried.
    pub tried: u64,
    /// How many of those would be applied.
    pub would_apply: u64,
    /// How many something newer of their key supersedes.
    pub superseded: u64,
    /// How many are jobs, which would be run in their turn.
    pub queued: u64,
    /// How many would be passed over: each died of the same cause time after time.
    pub passed_over: u64,
    /// How many would fail again, by cause.
    pub still_fails: Vec<Failing>,
}

/// Whether a redrive goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redriving {
    /// There never was one.
    #[default]
    Never,
    /// It goes on.
    Running,
    /// All that it was of was looked at.
    Finished,
    /// It was cancelled: what it had not come to stays as it was.
    Cancelled,
}

/// How far the redrive under way has come, or how the last one ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether it goes on.
    pub state: Redriving,
    /// The most that are tried in a second; none if that is not bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
    /// How many fitted when it began.
    pub matching: u64,
    /// How many were applied.
    pub applied: u64,
    /// How many something newer of their key superseded.
    pub superseded: u64,
    /// How many failed, and wait for their next attempt.
    pub failed: u64,
    /// How many are jobs, which now wait for their turn.
    pub queued: u64,
    /// How many were passed over: each died of the same cause time after time. One that is named is tried.
    pub passed_over: u64,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
    pub began: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe")]
    pub ended: Option<Timestamp>,
}

/// What a redrive is asked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redrive {
    /// Which letters; `{}` is all of them.
    pub filter: Filter,
    /// The most that are tried in a second; none if that is not bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
    /// Only to tell what it would come to.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is to be discarded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discard {
    /// Which letters; `{}` is all of them.
    pub filter: Filter,
}

/// What was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// How many.
    pub discarded: u64,
}

/// A time as RFC 3339 text.
mod at {
    pub(super) use crate::time::{from_rfc3339 as deserialize, rfc3339 as serialize};
}

/// A time as RFC 3339 text, or none.
mod maybe {
    use duet_protocol::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => crate::time::rfc3339(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        #[derive(Deserialize)]
        struct At(#[serde(with = "super::at")] Timestamp);
        Ok(Option::<At>::deserialize(deserializer)?.map(|At(time)| time))
    }
}
