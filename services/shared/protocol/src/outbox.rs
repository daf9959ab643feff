//! The sender's tables, and what opens a store: a new epoch that seals the one before.

use std::ops::RangeInclusive;

use crate::accept::Dispatch;
use crate::event::{Body, Event, EventId, RollingHash, Seal, TraceContext};
use crate::membership::{Changed, NewEpochs};
use crate::receipt::ReceiverName;
use crate::resync::{self, Resync, Stage};
use crate::rules::{Rule, Rules};
use crate::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId};

/// What a sender keeps of one epoch of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochState {
    /// The last sequence that was numbered.
    pub last: Sequence,
    /// Every receiver holds all up to here; those events are gone from the outbox.
    pub forgotten: Sequence,
    /// The sum of the hashes of what is forgotten.
    pub hash: RollingHash,
    /// How many of the numbered events are the channel's own.
    pub own: u64,
    /// The digest of the service's rows that this epoch's events wrote: the sum of the hashes of those that stand.
    pub digest: RollingHash,
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
    /// The sum of the hashes of all events of the lane's epochs from `from` up to and without `below`.
    fn hash_of_epochs(
        &mut self,
        lane: Lane,
        from: Epoch,
        below: Epoch,
    ) -> Result<RollingHash, Self::Error>;
    /// Whether the lane has an epoch from `from` up to and without `below`.
    fn has_epochs(&mut self, lane: Lane, from: Epoch, below: Epoch) -> Result<bool, Self::Error>;
    /// Adds to the digest of the rows that a source's events wrote. Of an epoch that never was this store's nothing is kept.
    fn add_to_digest(&mut self, source: Source, change: RollingHash) -> Result<(), Self::Error>;
    /// The sum of the digests of the lane's epochs from `from` on.
    fn digest(&mut self, lane: Lane, from: Epoch) -> Result<RollingHash, Self::Error>;
    /// Deletes a source's events up to and including `up_to`, keeping their hash in its [`EpochState`].
    fn forget(&mut self, source: Source, up_to: Sequence) -> Result<(), Self::Error>;

    /// The highest epoch that any receiver was seen to hold, of whichever store; zero if none was told of.
    fn seen(&mut self) -> Result<Epoch, Self::Error>;
    /// Stores it.
    fn put_seen(&mut self, seen: Epoch) -> Result<(), Self::Error>;
    /// The last resync; `None` if there never was one.
    fn resync(&mut self) -> Result<Option<Resync>, Self::Error>;
    /// Stores it.
    fn put_resync(&mut self, resync: &Resync) -> Result<(), Self::Error>;

    /// The Channel's receivers.
    fn receivers(&mut self) -> Result<Vec<ReceiverName>, Self::Error>;
    /// Whether these are the Channel's receivers, in any order. Asked for each event that is accepted.
    fn are_receivers(&mut self, names: &[ReceiverName]) -> Result<bool, Self::Error>;
    /// One more receiver, that has said nothing yet.
    fn add_receiver(&mut self, name: &ReceiverName) -> Result<(), Self::Error>;
    /// Forgets a receiver, and all it said.
    fn remove_receiver(&mut self, name: &ReceiverName) -> Result<(), Self::Error>;
    /// The first epoch of a partition that a receiver is sent anything of; zero if nothing is known.
    fn begin(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, Self::Error>;
    /// Stores the source of a partition that a receiver begins with.
    /// From there on it is to have each row that events of the epoch `rows_since` and later ones wrote.
    fn put_begin(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        rows_since: Epoch,
    ) -> Result<(), Self::Error>;
    /// The epoch of which, and of later ones, a receiver is to have each row of a partition: what it joined with, or zero if it was
    /// sent all rows since.
    fn rows_since(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, Self::Error>;
    /// Receivers joined, left or begin anew, between the events that were appended before and those that are appended later: told to the sender
    /// in that order, once it is committed.
    fn changed(&mut self, changed: &Changed) -> Result<(), Self::Error>;
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

/// Whether a receiver is sent anything of a source: it joined with it, or before.
pub(crate) fn concerns<T: OutboxTables + ?Sized>(
    tables: &mut T,
    receiver: &ReceiverName,
    source: Source,
    rules: &Rules,
) -> Result<bool, T::Error> {
    let begins_later = tables.begin(receiver, source.lane.partition)? > source.epoch;
    Ok(!(begins_later && rules.holds(Rule::ConcernsFromBegin)))
}

/// Up to where a receiver holds a source: all of it, if it never was to have it.
pub(crate) fn holds_up_to<T: OutboxTables + ?Sized>(
    tables: &mut T,
    receiver: &ReceiverName,
    source: Source,
    rules: &Rules,
) -> Result<Sequence, T::Error> {
    if !concerns(tables, receiver, source, rules)? {
        return Ok(Sequence(u64::MAX));
    }
    Ok(tables.mark(receiver, source)?.watermark)
}

/// Forgets what of a source every receiver holds.
pub(crate) fn forget_what_all_hold<T: OutboxTables + ?Sized>(
    tables: &mut T,
    source: Source,
    rules: &Rules,
) -> Result<(), T::Error> {
    let mut slowest = None;
    for receiver in tables.receivers()? {
        let held = holds_up_to(tables, &receiver, source, rules)?;
        slowest = Some(slowest.map_or(held, |other: Sequence| other.min(held)));
    }
    let (Some(slowest), Some(state)) = (slowest, tables.epoch(source)?) else {
        return Ok(());
    };
    let slowest = slowest.min(state.last);
    if slowest > state.forgotten {
        tables.forget(source, slowest)?;
    }
    Ok(())
}

/// The next event of a partition.
pub(crate) fn next<T: OutboxTables + ?Sized>(
    tables: &mut T,
    partition: Partition,
) -> Result<EventId, T::Error> {
    let head = tables.head(partition)?.unwrap_or_default();
    let source = lane(tables, partition)?.source(head);
    let sequence = tables.epoch(source)?.unwrap_or_default().last.next();
    Ok(EventId { source, sequence })
}

/// Whether every receiver has said that it holds the event; or, of one that a resync overtook, that it holds all that was told anew.
pub(crate) fn received_by_all<T: OutboxTables + ?Sized>(
    tables: &mut T,
    source: Source,
    sequence: Sequence,
    rules: &Rules,
) -> Result<bool, T::Error> {
    let overtook = resync::overtook(tables, source)?;
    if overtook.is_some_and(|stage| stage != Stage::Done) && rules.holds(Rule::ReceivedOnceSwept) {
        return Ok(false);
    }
    if tables
        .epoch(source)?
        .is_some_and(|epoch| sequence <= epoch.forgotten)
    {
        return Ok(true);
    }
    for receiver in tables.receivers()? {
        if concerns(tables, &receiver, source, rules)?
            && !tables.mark(&receiver, source)?.covers(sequence)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens an epoch in every partition, whose first event names the one before, where that ended, and the receivers that begin with it.
/// The new sources.
pub(crate) fn open<T: OutboxTables>(
    tables: &mut T,
    joined: &[ReceiverName],
    new: NewEpochs,
    rules: &Rules,
) -> Result<Vec<Source>, T::Error> {
    let mut opened = Vec::new();
    for partition in 0..tables.partitions()? {
        let lane = lane(tables, Partition(partition))?;
        let before = tables.head(Partition(partition))?;
        if before.is_some() && joined.is_empty() && !rules.holds(Rule::NewEpoch) {
            continue;
        }
        let previous = match before {
            None => None,
            Some(epoch) => tables.epoch(lane.source(epoch))?.map(|state| Seal {
                epoch,
                last: state.last,
            }),
        };
        let mut above = before.unwrap_or(Epoch::ZERO);
        let seen = tables.seen()?;
        if seen > above && rules.holds(Rule::EpochAboveSeen) {
            above = seen;
        }
        let source = lane.source(Epoch::next(
            above,
            new.wall,
            new.random.wrapping_add(u32::from(partition)),
        ));
        tables.open_epoch(source)?;
        tables.append(
            Event {
                source,
                sequence: Sequence::FIRST,
                time: new.wall,
                body: Body::Opened {
                    previous,
                    // All begin with a store's first.
                    joined: before.map(|_| joined.to_vec()).unwrap_or_default(),
                },
                trace: TraceContext::default(),
                generation: new.generation,
            },
            Dispatch::Background,
        )?;
        opened.push(source);
    }
    Ok(opened)
}
