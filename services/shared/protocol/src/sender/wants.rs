//! What the machine wants done besides sending, and how it stands.

use super::wire::{HelloId, Path};
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
    /// Events that the slowest receiver is not known to hold.
    pub unacknowledged: u64,
    /// Synchronous calls under way.
    pub calls: usize,
    /// Events kept whole in memory.
    pub kept: usize,
    /// What the last hello to each receiver found.
    pub health: Vec<(ReceiverName, Health)>,
    /// Whether some event was sent often and is still unreceived.
    pub undelivered: bool,
}
