//! What the sender's machine and the transports say to each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::Outcomes;
use crate::event::Event;
use crate::receipt::ReceiverName;
use crate::receive::Outcome;
use crate::sequence::{Epoch, Source};
use crate::settings::Mode;

/// Which way a batch goes. Order of sending is kept for each path, and loss is judged on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// Called directly: the answer holds the outcomes.
    Call,
    /// Through a broker: its word is only that it stored the message.
    Broker,
}

impl From<Mode> for Path {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Sync => Path::Call,
            Mode::Async => Path::Broker,
        }
    }
}

/// Where a broker put a message; grows with each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerPlace(pub u64);

/// Names one sending of a batch, within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransmissionId(pub u64);

/// What a broker tells a repeated message by: source, first and last sequence, transmission and process.
///
/// Repeating an unanswered publish keeps it; a retransmission has a new one, since a broker drops a message whose name it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// The events' source.
    pub source: Source,
    /// The first event's sequence.
    pub first: u64,
    /// The last event's.
    pub last: u64,
    /// Which sending of this process.
    pub transmission: TransmissionId,
    /// Which process: the epoch that its store was opened with.
    pub process: Epoch,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageId {
            source,
            first,
            last,
            transmission,
            process,
        } = self;
        write!(f, "{source}/{first}-{last}/{}/{process}", transmission.0)
    }
}

/// Whose turn it is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Callers wait, at most this long.
    Inline {
        /// What is left until the first of them is told that it failed.
        within: Duration,
    },
    /// Nobody waits.
    Background,
}

/// A batch to be sent now: one source's events, ascending, gaps allowed. Never empty.
#[derive(Clone, Debug)]
pub struct Transmission {
    /// What to answer under.
    pub id: TransmissionId,
    /// What a broker tells it by.
    pub message: MessageId,
    /// To whom.
    pub receiver: ReceiverName,
    /// Which way.
    pub path: Path,
    /// Whether callers wait.
    pub urgency: Urgency,
    /// The events, each with whether it was sent before.
    pub events: Vec<(Arc<Event>, Attempt)>,
}

/// Whether an event was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// This is the first time, in this process.
    First,
    /// It was sent before.
    Again,
}

/// What came of a transmission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver's outcomes, one for each event in order.
    Answered(Vec<Outcome>),
    /// The broker stored it.
    Stored(Option<BrokerPlace>),
    /// Nothing of it arrived, nor will.
    NotSent {
        /// How long the other side asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It is more than the way carries: nothing of it arrived, and others may.
    TooLarge,
    /// No answer: it may have arrived.
    Unknown,
}

/// What a path can tell of what is still to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// As the broker's leader knows it.
    Known {
        /// When the stream was created, in the broker's own clock: another value is another stream.
        created: u64,
        /// The place of the newest message; 0 if none was ever stored.
        last: BrokerPlace,
        /// Everything up to here was settled.
        ack_floor: BrokerPlace,
        /// How many messages wait to be taken or settled.
        outstanding: u64,
    },
    /// The broker can't say.
    Unknown,
    /// The broker does not answer: what it holds, it may still hold.
    Away,
}

/// Names one hello. No two processes give the same name: a broker may bring an answer to one that has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelloId(pub u64);

/// Why a caller's event is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// The deadline passed.
    Deadline,
    /// The receiver could not be reached, or turned it away.
    Refused,
    /// The receiver could not apply it.
    Failed,
    /// Holds it as a dead letter.
    Parked,
}

/// Whether a failed call's event may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayBeApplied {
    /// It was not. What takes it back goes out before it, so that it is superseded unseen; only a crash of the sender in
    /// between may let a receiver show it until both have come.
    No,
    /// It is not known.
    Unknown,
}

/// How a caller's event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// Every receiver holds it: applied, or superseded by something newer.
    Delivered(Outcomes),
    /// Every receiver holds it, and some have yet to apply it: it stands.
    Held,
    /// All receivers that it was for have left: it stands, and is for nobody.
    ForNobody,
    /// Not so; the write is to be taken back before the caller is told.
    Failed {
        /// Why.
        cause: FailureCause,
        /// What may have become of it.
        applied: MayBeApplied,
        /// Who failed it.
        by: Arc<[ReceiverName]>,
    },
}
