//! The sender's tables, and what opens a store: a new epoch that seals the one before.

use std::ops::RangeInclusive;

use crate::accept::Dispatch;
use crate::event::{Body, Event, RollingHash, Seal, TraceContext};
use crate::receipt::ReceiverName;
use crate::rules::{Rule, Rules};
use crate::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId};
use crate::settings::Generation;
use crate::time::Timestamp;

/// What a sender keeps of one epoch of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochState {
    /// The last sequence that was numbered.
    pub last: Sequence,
    /// Every receiver holds all up to here; those events are gone from the outbox.
    pub forgotten: Sequence,
    /// The sum of the hashes of what is forgotten.
    pub hash: RollingHash,
}

/// What one receiver said of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// It holds all up to here.
    pub watermark: Sequence,
    /// And these, ascending; they die with the incarnation that said so.
    pub runs: Vec<RangeInclusive<u64>>,
}

impl Mark {
    /// Whether it covers the event at `sequence`.
    pub fn covers(&self, sequence: Sequence) -> bool {
        sequence <= self.watermark || self.runs.iter().any(|run| run.contains(&sequence.0))
    }
}

/// What a sender's transaction reads and writes besides the service's own rows.
pub trait OutboxTables {
    /// Why the transaction can't go on; everything in it is rolled back.
    type Error;

    /// The store's identity.
    fn store(&mut self) -> Result<StoreId, Self::Error>;
    /// How many partitions it has, from 1.
    fn partitions(&mut self) -> Result<u16, Self::Error>;
    /// The newest epoch of a partition; `None` before the first.
    fn head(&mut self, partition: Partition) -> Result<Option<Epoch>, Self::Error>;
    /// What is known of an epoch; `None` if it never was this store's.
    fn epoch(&mut self, source: Source) -> Result<Option<EpochState>, Self::Error>;
    /// The epochs of a partition below `before` that still have events in the outbox, ascending.
    fn unforgotten(&mut self, lane: Lane, before: Epoch) -> Result<Vec<Epoch>, Self::Error>;
    /// Makes an epoch known.
    fn open_epoch(&mut self, source: Source) -> Result<(), Self::Error>;
    /// Puts an event into the outbox, and its sequence as its epoch's last. It is handed to the sender once committed.
    fn append(&mut self, event: Event, dispatch: Dispatch) -> Result<(), Self::Error>;
    /// The sum of the hashes of the outbox's events after `after` up to and including `up_to`.
    fn hash_between(
        &mut self,
        source: Source,
        after: Sequence,
        up_to: Sequence,
    ) -> Result<RollingHash, Self::Error>;
    /// Deletes a source's events up to and including `up_to`, keeping their hash in its [`EpochState`].
    fn forget(&mut self, source: Source, up_to: Sequence) -> Result<(), Self::Error>;

    /// The Channel's receivers.
    fn receivers(&mut self) -> Result<Vec<ReceiverName>, Self::Error>;
    /// The newest incarnation that a receiver spoke under; zero if it never spoke.
    fn incarnation(&mut self, receiver: &ReceiverName) -> Result<Incarnation, Self::Error>;
    /// Stores it.
    fn put_incarnation(
        &mut self,
        receiver: &ReceiverName,
        incarnation: Incarnation,
    ) -> Result<(), Self::Error>;
    /// Forgets what only runs had said: each mark of the receiver falls back to what is forgotten.
    fn drop_runs(&mut self, receiver: &ReceiverName) -> Result<(), Self::Error>;
    /// What a receiver said of a source.
    fn mark(&mut self, receiver: &ReceiverName, source: Source) -> Result<Mark, Self::Error>;
    /// Stores it.
    fn put_mark(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        mark: &Mark,
    ) -> Result<(), Self::Error>;
}

/// The lane of a partition of this store.
pub(crate) fn lane<T: OutboxTables + ?Sized>(
    tables: &mut T,
    partition: Partition,
) -> Result<Lane, T::Error> {
    Ok(Lane {
        store: tables.store()?,
        partitions: tables.partitions()?,
        partition,
    })
}

/// Whether every receiver has said that it holds the event.
pub(crate) fn received_by_all<T: OutboxTables + ?Sized>(
    tables: &mut T,
    source: Source,
    sequence: Sequence,
) -> Result<bool, T::Error> {
    if tables
        .epoch(source)?
        .is_some_and(|epoch| sequence <= epoch.forgotten)
    {
        return Ok(true);
    }
    for receiver in tables.receivers()? {
        if !tables.mark(&receiver, source)?.covers(sequence) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens the store: every partition takes a new epoch, whose first event names the one before and where that ended.
///
/// To be committed before the store accepts anything. `random` gives each partition's epoch its random bits.
///
/// # Errors
/// Those of the tables.
pub fn open<T: OutboxTables>(
    tables: &mut T,
    wall: Timestamp,
    random: u32,
    generation: Generation,
    rules: &Rules,
) -> Result<(), T::Error> {
    for partition in 0..tables.partitions()? {
        let lane = lane(tables, Partition(partition))?;
        let before = tables.head(Partition(partition))?;
        if before.is_some() && !rules.holds(Rule::NewEpoch) {
            continue;
        }
        let previous = match before {
            None => None,
            Some(epoch) => tables.epoch(lane.source(epoch))?.map(|state| Seal {
                epoch,
                last: state.last,
            }),
        };
        let source = lane.source(Epoch::next(
            before.unwrap_or(Epoch::ZERO),
            wall,
            random.wrapping_add(u32::from(partition)),
        ));
        tables.open_epoch(source)?;
        tables.append(
            Event {
                source,
                sequence: Sequence::FIRST,
                time: wall,
                body: Body::Opened { previous },
                trace: TraceContext::default(),
                generation,
            },
            Dispatch::Background,
        )?;
    }
    Ok(())
}
