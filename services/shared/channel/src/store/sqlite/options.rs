//! How a store is opened.

use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::Generation;

use super::audit::AuditRows;
use crate::clock::Clock;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The migrations of the service's own tables, oldest first. One that was released is never changed.
    pub service: &'static [&'static str],
    /// How an audit reads the service's rows; none, if they can't be audited. A store from before there were digests is given its by it.
    pub audit: Option<&'static dyn AuditRows>,
    /// What the store sends; `None` for one that only receives: no epoch is opened, and nothing can be accepted.
    pub outbox: Option<Outbox>,
    /// How many jobs wait at most; more are [`StoreError::Overloaded`](crate::store::StoreError::Overloaded).
    pub jobs_waiting: usize,
    /// How many jobs share a commit at most.
    pub group: usize,
    /// At how many pages of 4 KiB the log is copied into the file.
    pub log: u16,
    /// How many threads read.
    pub readers: usize,
    /// How many reads wait at most; more are [`StoreError::Overloaded`](crate::store::StoreError::Overloaded).
    pub reads_waiting: usize,
    /// How many events are parked at most; over it, what would park another is [`StoreError::ParkedFull`](crate::store::StoreError::ParkedFull).
    pub parked: u64,
    /// How many undecodable messages are kept at most: the newest.
    pub undecodable: u64,
    /// The process's clocks; the wall clock is what is stored.
    pub clock: Clock,
    /// Random bits, other ones at each opening: the new epoch and incarnation have theirs, and a new store its identity.
    pub random: u64,
}

/// What a sender's store is opened with.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The Channel's receivers; `None` if no Channel was seen: those that the store knows. One that is new to the store starts at now;
    /// what was only kept for one that left is forgotten.
    pub receivers: Option<Vec<ReceiverName>>,
    /// The Channel's generation.
    pub generation: Generation,
}

impl Options {
    /// A receiver's store with the default limits.
    pub fn new(service: &'static [&'static str], clock: Clock, random: u64) -> Self {
        Options {
            service,
            audit: None,
            outbox: None,
            jobs_waiting: 8192,
            group: 1024,
            // 16 MiB: with less, more pages are copied twice.
            log: 4_000,
            readers: 2,
            reads_waiting: 1024,
            parked: 100_000,
            undecodable: 10_000,
            clock,
            random,
        }
    }

    /// The same, with the service's rows as an audit reads them.
    pub fn audited(self, rows: Option<&'static dyn AuditRows>) -> Self {
        Options {
            audit: rows,
            ..self
        }
    }

    /// The same for a sender.
    pub fn sending(self, receivers: Option<Vec<ReceiverName>>, generation: Generation) -> Self {
        let outbox = Some(Outbox {
            receivers,
            generation,
        });
        Options { outbox, ..self }
    }
}
