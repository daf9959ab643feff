//! An event: what a sender accepted and a receiver applies once.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::receipt::ReceiverName;
use crate::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId, Version};
use crate::settings::Generation;
use crate::time::Timestamp;

/// What an event is about, the CloudEvents `subject`: all events of one key share a partition, and the newest wins.
///
/// Reaction's keys are `{post}/{user}`. At most [`Key::MAX`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// The most bytes a key has.
    pub const MAX: usize = 512;

    /// A key of 1 to [`Key::MAX`] bytes; `None` for other lengths.
    pub fn new(text: impl Into<Box<str>>) -> Option<Key> {
        let text = text.into();
        (1..=Key::MAX).contains(&text.len()).then_some(Key(text))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of `partitions` the key belongs to.
    pub fn partition(&self, partitions: u16) -> Partition {
        let hash = xxhash_rust::xxh3::xxh3_64(self.0.as_bytes());
        Partition(u16::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The trace an event was created in, as W3C Trace Context writes it; stored with the event, so that a trace goes on across a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The `traceparent` header's value, sampled flag included; empty if there was no trace.
    pub traceparent: Box<str>,
    /// The `tracestate` header's value; mostly empty.
    pub tracestate: Box<str>,
}

impl TraceContext {
    /// The trace's id, if it was sampled.
    pub fn sampled(&self) -> Option<u128> {
        let mut parts = self.traceparent.split('-');
        let (_, id, _, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let id = u128::from_str_radix(id, 16).ok()?;
        is_sampled.then_some(id)
    }
}

/// The end of an epoch: no event of it lies beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The epoch that ended.
    pub epoch: Epoch,
    /// Its last sequence.
    pub last: Sequence,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The first event of every epoch: names the epoch before, and where that ended. What lies beyond or between is from a
    /// store that is gone.
    Opened {
        /// The epoch before; none for a new store.
        previous: Option<Seal>,
        /// The receivers that begin with this epoch: what lies before it is none of their business.
        joined: Vec<ReceiverName>,
    },
    /// An event of the service's own.
    Data(Data),
    /// The end of a resync: every row that stands was told anew under an epoch from this one on. What a receiver has of older ones,
    /// of whichever store, is to go once it holds all in between.
    Sweep {
        /// The resync's epoch in this partition.
        below: Epoch,
    },
}

/// An event of the service's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The CloudEvents `type`, such as `dev.duet.reaction.set`.
    pub kind: Box<str>,
    /// What it is about.
    pub key: Key,
    /// JSON.
    pub json: Bytes,
}

/// One event, numbered and durable at its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which sequence it is numbered in.
    pub source: Source,
    /// Its place there.
    pub sequence: Sequence,
    /// When it was accepted, by the sender's wall clock.
    pub time: Timestamp,
    /// What it says.
    pub body: Body,
    /// The trace it was created in.
    pub trace: TraceContext,
    /// The generation of the Channel it was accepted under.
    pub generation: Generation,
}

impl Event {
    /// What orders it among the events of its key.
    pub fn version(&self) -> Version {
        self.source.version(self.sequence)
    }

    /// Source and sequence together: the event's name.
    pub fn id(&self) -> EventId {
        EventId {
            source: self.source,
            sequence: self.sequence,
        }
    }

    /// The service's own event, if it is one.
    pub fn data(&self) -> Option<&Data> {
        match &self.body {
            Body::Data(data) => Some(data),
            Body::Opened { .. } | Body::Sweep { .. } => None,
        }
    }

    /// Its hash: over identity and content, the same at both ends.
    pub fn hash(&self) -> RollingHash {
        let Lane {
            store: StoreId(store),
            partitions,
            partition,
        } = self.source.lane;
        let mut hash = Xxh3::new();
        hash.update(&store.to_be_bytes());
        hash.update(&partitions.to_be_bytes());
        hash.update(&partition.0.to_be_bytes());
        hash.update(&self.source.epoch.0.to_be_bytes());
        hash.update(&self.sequence.0.to_be_bytes());
        match &self.body {
            Body::Opened { previous, joined } => {
                let (epoch, last) = previous.map_or((0, 0), |seal| (seal.epoch.0, seal.last.0));
                hash.update(&epoch.to_be_bytes());
                hash.update(&last.to_be_bytes());
                for name in joined {
                    hash.update(&(name.as_str().len() as u64).to_be_bytes());
                    hash.update(name.as_str().as_bytes());
                }
            }
            Body::Data(Data { kind, key, json }) => {
                for part in [kind.as_bytes(), key.as_str().as_bytes(), json] {
                    hash.update(&(part.len() as u64).to_be_bytes());
                    hash.update(part);
                }
            }
            Body::Sweep { below } => hash.update(&below.0.to_be_bytes()),
        }
        RollingHash(hash.digest())
    }

    /// About how many bytes it takes in a message, headers included.
    pub fn weight(&self) -> usize {
        const ENVELOPE: usize = 420;
        let data = match &self.body {
            Body::Data(data) => data.kind.len() + 2 * data.key.as_str().len() + data.json.len(),
            Body::Opened { joined, .. } => {
                let names = joined.iter().map(|name| name.as_str().len() + 3);
                64 + names.sum::<usize>()
            }
            Body::Sweep { .. } => 32,
        };
        ENVELOPE + data + self.trace.traceparent.len() + self.trace.tracestate.len()
    }
}

/// An event's name: unique for ever. Its text form, which callers know as a position, is
/// `{store}.{partitions}.{partition}.{epoch}.{sequence}`, each hexadecimal and of a fixed length: safe in a header and in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Its source.
    pub source: Source,
    /// Its place there.
    pub sequence: Sequence,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventId { source, sequence } = self;
        let Lane {
            store,
            partitions,
            partition,
        } = source.lane;
        let (epoch, partition) = (source.epoch, partition.0);
        write!(
            f,
            "{store}.{partitions:04x}.{partition:04x}.{epoch}.{:016x}",
            sequence.0
        )
    }
}

/// A text that is no event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is five numbers of 16, 4, 4, 16 and 16 hexadecimal digits, with dots between")]
pub struct NotAnEventId;

impl FromStr for EventId {
    type Err = NotAnEventId;

    /// Only as it is written: no other spelling of the same numbers.
    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let mut parts = text.split('.');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let written = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let number = u64::from_str_radix(part, 16).ok()?;
            part.bytes().all(written).then_some(number)
        };
        let mut read = || {
            let store = StoreId(number(16)?);
            let partitions = u16::try_from(number(4)?).ok()?;
            let partition = Partition(u16::try_from(number(4)?).ok()?);
            let (epoch, sequence) = (Epoch(number(16)?), Sequence(number(16)?));
            let lane = Lane {
                store,
                partitions,
                partition,
            };
            let source = lane.source(epoch);
            Some(EventId { source, sequence })
        };
        let id = read().ok_or(NotAnEventId)?;
        parts.next().map_or(Ok(id), |_| Err(NotAnEventId))
    }
}

/// The sum, modulo 2^64, of events' hashes: the same whatever the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollingHash(pub u64);

impl Add for RollingHash {
    type Output = RollingHash;
    fn add(self, other: RollingHash) -> RollingHash {
        RollingHash(self.0.wrapping_add(other.0))
    }
}

impl AddAssign for RollingHash {
    fn add_assign(&mut self, other: RollingHash) {
        *self = *self + other;
    }
}

impl Sub for RollingHash {
    type Output = RollingHash;
    fn sub(self, other: RollingHash) -> RollingHash {
        RollingHash(self.0.wrapping_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_was_sampled_is_known_by_its_id() {
        let of = |flags: &str| TraceContext {
            traceparent: format!("00-0000000000000000000000000000002a-0000000000000001-{flags}")
                .into(),
            tracestate: "".into(),
        };
        let ids = ["01", "03", "00", "x"].map(|flags| of(flags).sampled());
        assert_eq!(ids, [Some(42), Some(42), None, None]);
        assert_eq!(TraceContext::default().sampled(), None);
    }

    #[test]
    fn a_position_survives_its_text_form_and_nothing_else_is_one() {
        let lane = Lane {
            store: StoreId(u64::MAX),
            partitions: u16::MAX,
            partition: Partition(u16::MAX - 1),
        };
        let longest = EventId {
            source: lane.source(Epoch(u64::MAX)),
            sequence: Sequence(u64::MAX),
        };
        let text = "000000000000feed.0010.0003.000000000000002a.0000000000000007";
        assert_eq!(text.parse::<EventId>().unwrap().to_string(), text);
        assert_eq!(longest.to_string().parse(), Ok(longest));
        for text in [
            "",
            "x",
            "....",
            "000000000000feed.0010.0003.000000000000002a",
            "000000000000feed.0010.0003.000000000000002a.0000000000000007.1",
            "000000000000feed.0010.0003.000000000000002a.000000000000007",
            "000000000000feed.0010.0003.000000000000002a.00000000000000007",
            "000000000000feed.+010.0003.000000000000002a.0000000000000007",
            "000000000000FEED.0010.0003.000000000000002a.0000000000000007",
            "000000000000feed 0010 0003 000000000000002a 0000000000000007",
            &"1.".repeat(1000),
        ] {
            assert_eq!(text.parse::<EventId>(), Err(NotAnEventId), "{text:?}");
        }
    }

    #[test]
    fn an_events_weight_is_what_its_message_takes_and_what_is_its_own() {
        let weight = |body, trace| {
            let event = Event {
                source: Source::default(),
                sequence: Sequence(2),
                time: Timestamp::default(),
                body,
                trace,
                generation: Generation::FIRST,
            };
            event.weight()
        };
        let data = |kind: usize, key: usize, json: usize| {
            Body::Data(Data {
                kind: "k".repeat(kind).into(),
                key: Key::new("k".repeat(key)).unwrap(),
                json: "j".repeat(json).into(),
            })
        };
        let opened = |names: &[&str]| Body::Opened {
            previous: None,
            joined: names
                .iter()
                .filter_map(|name| ReceiverName::new(name))
                .collect(),
        };
        let sweep = Body::Sweep { below: Epoch(1) };
        let traced = TraceContext {
            traceparent: "p".repeat(55).into(),
            tracestate: "s".repeat(7).into(),
        };
        let none = TraceContext::default;
        assert_eq!(weight(data(1, 1, 0), none()), 423);
        // The key is told twice: as the subject, and in the name of its partition.
        assert_eq!(weight(data(20, 300, 4_000), none()), 420 + 20 + 600 + 4_000);
        assert_eq!(weight(data(1, 1, 0), traced.clone()), 423 + 55 + 7);
        assert_eq!(weight(opened(&[]), none()), 484);
        assert_eq!(weight(opened(&["ab", "abcd"]), traced), 484 + 5 + 7 + 62);
        assert_eq!(weight(sweep, none()), 452);
    }

    #[test]
    fn a_key_is_shown_as_it_is() {
        assert_eq!(Key::new("post/ana").unwrap().to_string(), "post/ana");
    }
}
