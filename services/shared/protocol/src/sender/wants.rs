//! What the machine wants done besides sending, and how it stands.

use super::wire::{HelloId, Path};
use crate::event::EventId;
use crate::receipt::ReceiverName;
use crate::record::Health;
use crate::sequence::{Sequence, Source};

/// Events to be read back from the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Of which source.
    pub source: Source,
    /// Those after this.
    pub after: Sequence,
    /// At most so many.
    pub limit: usize,
}

/// A hello to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SayHello {
    /// To be answered under.
    pub id: HelloId,
    /// To whom.
    pub receiver: ReceiverName,
    /// Which way.
    pub path: Path,
}

/// How a sender stands, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events that the slowest receiver is not known to hold, those that open an epoch included.
    pub unacknowledged: u64,
    /// Synchronous calls under way.
    pub calls: usize,
    /// Events kept whole in memory.
    pub kept: usize,
    /// Whether a resync is under way.
    pub is_resyncing: bool,
    /// How each receiver stands, by name.
    pub receivers: Vec<ReceiverStanding>,
}

/// How one receiver stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverStanding {
    /// Who.
    pub name: ReceiverName,
    /// Events that it is not known to hold.
    pub unacknowledged: u64,
    /// How many of them open an epoch: the channel's own, which nobody accepted.
    pub openings: u64,
    /// What the last hello to it found.
    pub health: Health,
    /// Whether its state is not this store's, though it holds all events: rows are missing there, or others are. `duet audit` names them.
    pub ledger_differs: bool,
    /// Events that were taken for lost, are sent again, and are not received yet.
    pub lost: u64,
    /// Events that were sent to it often and are still unreceived.
    pub undelivered: Option<Undelivered>,
}

/// What was sent often and is still unreceived: from then on it is sent ever more rarely, and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// How many events.
    pub events: u64,
    /// The oldest of those.
    pub first: EventId,
    /// How often the most sent of them was sent.
    pub sends: u32,
}

impl ReceiverStanding {
    /// Events that were accepted and that it is not known to hold.
    pub fn accepted(&self) -> u64 {
        self.unacknowledged.saturating_sub(self.openings)
    }
}

impl Standing {
    /// Events that were accepted and that the slowest receiver is not known to hold.
    pub fn accepted(&self) -> u64 {
        let all = self.receivers.iter().map(ReceiverStanding::accepted);
        all.max().unwrap_or(0)
    }

    /// Whether some receiver is not known to hold the event that opens an epoch: until it does, it applies nothing of that.
    pub fn is_opening(&self) -> bool {
        self.receivers.iter().any(|receiver| receiver.openings > 0)
    }
}
