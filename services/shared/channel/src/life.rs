//! What stores tell of the life of a key's latest event, for whoever asks why it stands as it does: facts, and no sentence.
//!
//! They are read long after the event, from what is kept anyway: the rows, the outbox, what receivers said, the parked table, and which
//! Channel was in force when. Each has one form as JSON, which `GET /v1/why` answers with.

use std::cmp::Ordering;
use std::fmt;

use duet_crd::Channel;
use duet_protocol::event::EventId;
use duet_protocol::resync::Stage;
use duet_protocol::sequence::{Lane, Version};
use duet_protocol::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An event's name; as JSON, its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub EventId);

impl Name {
    /// The event that a version of a lane is.
    pub fn of(lane: Lane, version: Version) -> Self {
        Name(EventId {
            source: lane.source(version.epoch),
            sequence: version.sequence,
        })
    }

    /// How two events of a key are ordered; none if they are of different stores.
    pub fn order(self, other: Self) -> Option<Ordering> {
        let lanes = (self.0.source.lane, other.0.source.lane);
        (lanes.0 == lanes.1).then(|| self.version().cmp(&other.version()))
    }

    /// What orders it among the events of its key.
    pub fn version(self) -> Version {
        self.0.source.version(self.0.sequence)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Name).map_err(serde::de::Error::custom)
    }
}

/// A moment of a wall clock; as JSON, RFC 3339 to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub Timestamp);

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(self.0.micros());
        time.map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = jiff::Timestamp::deserialize(deserializer)?;
        Ok(When(Timestamp::from_micros(time.as_microsecond())))
    }
}

/// What a sender's store tells of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The time at which it was asked, by the clock of whoever read it.
    pub now: When,
    /// The key's row; none if there never was one, or if it was undone and every receiver holds that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// The key's events that are still in the outbox, the oldest first: those that some receiver is not known to hold.
    pub waiting: Vec<Waiting>,
    /// Whether the outbox held more than is looked through, so that older events of the key may be in it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting_cut: bool,
    /// The Channel documents of the events that are told of, and the newest; the oldest first.
    pub generations: Vec<Generation>,
    /// The last resync; none if there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync: Option<Resynced>,
    /// What the sender's process has met on the way to each receiver; none where only the file was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Vec<Met>>,
}

/// A sender's last resync: it told each row anew that stood, by an event of its own, and the row kept its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resynced {
    /// When it began.
    pub begun: When,
    /// How far it is.
    pub stage: ResyncStage,
    /// The event that opened each partition's new epoch: what is of an older one is over.
    pub opened: Vec<Name>,
}

impl Resynced {
    /// Whether an event is older than it.
    pub fn is_after(&self, event: Name) -> bool {
        let source = event.0.source;
        let mut opened = self.opened.iter().map(|name| name.0.source);
        opened.any(|it| it.lane == source.lane && source.epoch < it.epoch)
    }
}

/// How far a resync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResyncStage {
    /// Rows are told anew.
    Announcing,
    /// All are told; some receiver is not known to hold everything yet, and then to drop what it has that is older.
    Sweeping,
    /// Every receiver holds everything.
    Done,
}

impl From<Stage> for ResyncStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Announcing => ResyncStage::Announcing,
            Stage::Sweeping => ResyncStage::Sweeping,
            Stage::Done => ResyncStage::Done,
        }
    }
}

/// A key's row at its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The value, in a word; none once it is undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The event that wrote it.
    pub event: Name,
    /// When that was accepted.
    pub accepted: When,
    /// The generation that it was accepted under; none in a row from before that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// A call that waited wrote it, and takes it back if it fails.
    pub provisional: bool,
    /// It restores what was there before a call that failed.
    pub restores: bool,
    /// The trace that it was accepted in, if that was sampled: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What each receiver that it is for has said of it.
    pub receivers: Vec<Holds>,
}

/// What a receiver has said of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Its name in the Channel.
    pub receiver: String,
    /// Whether it holds the event.
    pub holds: bool,
}

/// An event in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Its name.
    pub event: Name,
    /// Its CloudEvents type.
    pub kind: String,
    /// When it was accepted.
    pub accepted: When,
    /// The generation that it was accepted under.
    pub generation: u64,
    /// What each receiver that it is for has said of it.
    pub receivers: Vec<Holds>,
}

/// What a sender's process has met on the way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Met {
    /// The receiver's name in the Channel.
    pub receiver: String,
    /// Accepted events that it is not known to hold.
    pub unacknowledged: u64,
    /// What keeps events from it now, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// A Channel document, and since when it was in force in a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// The store's own count, which is stored with each event.
    pub generation: u64,
    /// The resource's own generation, where it is one of the Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<u64>,
    /// When it came into force there.
    pub since: When,
    /// When the next came into force; none while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// The document.
    pub document: Channel,
}

impl Generation {
    /// The number that whoever wrote the document knows.
    pub fn known_as(&self) -> u64 {
        self.resource.unwrap_or(self.generation)
    }
}

/// What a receiver's store tells of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The time at which it was asked, by the clock of whoever read it.
    pub now: When,
    /// The key's row or tombstone; none if nothing of it came, or if it was undone and nothing older can come any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Applied>,
    /// The key's events that could not be applied yet, or at all; the oldest first.
    pub kept: Vec<Kept>,
    /// How the event that was asked about stands in the inbox; none if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// The newest Channel document that was in force here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
}

/// A key's row at a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The event that wrote it.
    pub event: Name,
    /// What is kept of the key, in a word; none if it was undone, or is too old to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What was decided of the event, in a word; none where nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Who was to be notified; none where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was applied; none in a row from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<When>,
}

/// An event that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Its name.
    pub event: Name,
    /// When it was accepted at its sender.
    pub accepted: When,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first.
    pub first_failure: When,
    /// When it is tried next; none for a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<When>,
    /// Why it could not be applied the last time.
    pub cause: String,
    /// Whether it is a job, which is run outside the receiving transaction before it is applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub job: bool,
}

/// How an event stands in an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arrival {
    /// It was received.
    Received,
    /// It has not come.
    NotYet,
    /// Its epoch is closed: it was received, or is from a store that is gone.
    Closed,
}

#[cfg(test)]
mod tests {
    use duet_protocol::sequence::{Epoch, Partition, Sequence, StoreId};

    use super::*;

    #[test]
    fn names_and_times_survive_json() {
        let lane = Lane {
            store: StoreId(0xfeed),
            partitions: 1,
            partition: Partition(0),
        };
        let version = Version {
            epoch: Epoch(42),
            sequence: Sequence(7),
        };
        let told = (
            Name::of(lane, version),
            When(Timestamp::from_micros(1_795_512_420_000_001)),
        );
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(
            json,
            r#"["000000000000feed.0001.0000.000000000000002a.0000000000000007","2026-11-24T09:27:00.000001Z"]"#
        );
        assert_eq!(serde_json::from_str::<(Name, When)>(&json).unwrap(), told);
        assert_eq!(told.0.version(), version);
    }
}
