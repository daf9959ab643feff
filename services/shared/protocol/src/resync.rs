//! A resync heals two stores that do not fit, whichever of them was restored or lost, while traffic runs: it makes what every receiver
//! holds what this store holds.
//!
//! It opens a new epoch in every partition, above every one that was seen, and in the same transaction every receiver begins with it: what
//! is older concerns nobody any more, and the outbox forgets it. Then each row that stands since before is told anew, a page at a
//! time, by an ordinary event that restores it; the row keeps its own version. At last a [`Body::Sweep`] in each partition
//! says that this was all, and a receiver that holds everything up to it drops what it still has of older epochs
//! ([`crate::sweep`]).
//!
//! A call under way that is older keeps its own answer; it is never taken back, since its row is told anew as it stands.

use crate::accept::{Dispatch, Rows};
use crate::event::{Body, Event, EventId, Key, TraceContext};
use crate::membership::{self, Changed, NewEpochs};
use crate::outbox::{self, EpochState, OutboxTables};
use crate::rules::{Rule, Rules};
use crate::sequence::{Epoch, Lane, Partition, Source};
use crate::settings::Generation;
use crate::time::Timestamp;

/// The last resync, as the sender's store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// When it began, by the sender's wall clock.
    pub begun: Timestamp,
    /// The source that it opened in each partition: older ones are over.
    pub sources: Vec<Source>,
    /// The row that was looked at last; none before the first.
    pub after: Option<Key>,
    /// How many rows were told anew.
    pub announced: u64,
    /// The events that say that this was all, one a partition; none before that.
    pub sweeps: Vec<EventId>,
}

impl Resync {
    /// The epoch below which all of a lane is over; `None` if it is another store's lane.
    pub fn below(&self, lane: Lane) -> Option<Epoch> {
        let source = self.sources.iter().find(|source| source.lane == lane)?;
        Some(source.epoch)
    }

    /// How far it is, by what is known of the epochs of its [`Resync::sweeps`], and by which epochs of a lane, below one, are not forgotten
    /// whole: a sweep may be held before what was told anew in an epoch before its own.
    ///
    /// # Errors
    /// Those of whom it asks.
    pub fn stage<E>(
        &self,
        mut epoch: impl FnMut(Source) -> Result<Option<EpochState>, E>,
        mut unforgotten: impl FnMut(Lane, Epoch) -> Result<Vec<Epoch>, E>,
    ) -> Result<Stage, E> {
        if self.sweeps.is_empty() {
            return Ok(Stage::Announcing);
        }
        for EventId { source, sequence } in &self.sweeps {
            // What all hold is forgotten in the transaction that says so.
            let is_held = |state: EpochState| state.forgotten >= *sequence;
            let before = unforgotten(source.lane, source.epoch)?;
            let all = !before
                .iter()
                .any(|epoch| !self.is_after(source.lane.source(*epoch)));
            if !(all && epoch(*source)?.is_none_or(is_held)) {
                return Ok(Stage::Sweeping);
            }
        }
        Ok(Stage::Done)
    }

    /// Whether a source is older than this.
    pub fn is_after(&self, source: Source) -> bool {
        self.below(source.lane)
            .is_some_and(|below| source.epoch < below)
    }
}

/// How far a resync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Rows are told anew.
    Announcing,
    /// All are told; some receiver is not known to hold everything yet.
    Sweeping,
    /// Every receiver holds everything, and what it had of older epochs is gone or about to go.
    Done,
}

/// The last resync and how far it is; `None` if there never was one.
///
/// # Errors
/// Those of the tables.
pub fn standing<T: OutboxTables + ?Sized>(
    tables: &mut T,
) -> Result<Option<(Resync, Stage)>, T::Error> {
    let Some(resync) = tables.resync()? else {
        return Ok(None);
    };
    let tables = std::cell::RefCell::new(tables);
    let stage = resync.stage(
        |source| tables.borrow_mut().epoch(source),
        |lane, before| tables.borrow_mut().unforgotten(lane, before),
    )?;
    Ok(Some((resync, stage)))
}

/// Whether a resync is under way.
pub(crate) fn is_under_way<T: OutboxTables + ?Sized>(tables: &mut T) -> Result<bool, T::Error> {
    Ok(standing(tables)?.is_some_and(|(_, stage)| stage != Stage::Done))
}

/// Whether a source is older than the last resync, and how far that is.
pub(crate) fn overtook<T: OutboxTables + ?Sized>(
    tables: &mut T,
    source: Source,
) -> Result<Option<Stage>, T::Error> {
    let standing = standing(tables)?;
    Ok(standing.and_then(|(resync, stage)| resync.is_after(source).then_some(stage)))
}

/// Begins a resync; also while one is under way, which is then over. `None`, and nothing is changed, where there is no receiver.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn begin<T: OutboxTables>(
    tables: &mut T,
    new: NewEpochs,
    rules: &Rules,
) -> Result<Option<Changed>, T::Error> {
    if tables.receivers()?.is_empty() {
        return Ok(None);
    }
    let changed = Changed {
        begin: outbox::open(tables, &[], new, rules)?,
        resync: true,
        ..Changed::default()
    };
    membership::put(tables, &changed, new.wall, rules)?;
    tables.changed(&changed)?;
    Ok(Some(changed))
}

/// Whether receivers that join now make the resync begin anew: so that they, too, are told every row.
pub(crate) fn begins_anew<T: OutboxTables>(
    tables: &mut T,
    rules: &Rules,
) -> Result<bool, T::Error> {
    let standing = standing(tables)?;
    let tells = standing.is_some_and(|(_, stage)| stage == Stage::Announcing);
    Ok(tells && rules.holds(Rule::JoinRestartsResync))
}

/// What the events of a page are made with.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many rows are looked at.
    pub rows: usize,
    /// The wall clock's time.
    pub at: Timestamp,
    /// The generation in force.
    pub generation: Generation,
}

/// Tells the next rows anew, and after the last that this was all. How far the resync is then; `None` if there never was one.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn announce<O: OutboxTables, R: Rows<Error = O::Error>>(
    tables: &mut O,
    rows: &mut R,
    page: Page,
) -> Result<Option<Stage>, O::Error> {
    let mut resync = match standing(tables)? {
        Some((resync, Stage::Announcing)) => resync,
        other => return Ok(other.map(|(_, stage)| stage)),
    };
    let partitions = tables.partitions()?;
    let looked_at = rows.page(resync.after.as_ref(), page.rows)?;
    let is_last = looked_at.len() < page.rows;
    for (key, row) in looked_at {
        let partition = key.partition(partitions);
        let below = resync.below(outbox::lane(tables, partition)?);
        if let Some(value) = &row.value
            && below.is_some_and(|below| row.version.epoch < below)
        {
            let body = Body::Data(rows.announce(&key, value)?);
            append(tables, partition, body, page)?;
            resync.announced += 1;
        }
        resync.after = Some(key);
    }
    if is_last {
        for source in &resync.sources {
            let body = Body::Sweep {
                below: source.epoch,
            };
            let sweep = append(tables, source.lane.partition, body, page)?;
            resync.sweeps.push(sweep);
        }
    }
    tables.put_resync(&resync)?;
    Ok(standing(tables)?.map(|(_, stage)| stage))
}

fn append<T: OutboxTables>(
    tables: &mut T,
    partition: Partition,
    body: Body,
    page: Page,
) -> Result<EventId, T::Error> {
    let id = outbox::next(tables, partition)?;
    let event = Event {
        source: id.source,
        sequence: id.sequence,
        time: page.at,
        body,
        trace: TraceContext::default(),
        generation: page.generation,
    };
    tables.append(event, Dispatch::Background)?;
    Ok(id)
}
