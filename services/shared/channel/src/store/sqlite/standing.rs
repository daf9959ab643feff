//! How the outbox stands, read from its rows: beside the writer, and at the opening.

use std::ops::RangeInclusive;

use duet_protocol::event::{Event, EventId, RollingHash};
use duet_protocol::outbox::{EpochState, Mark};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::HELLO_EPOCHS;
use duet_protocol::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, signed, unsigned};
use super::error::corrupt;
use super::outbox::EpochRow;
use super::resync;
use super::transaction::Receiver;
use crate::store::{Identity, Oldest, OutboxStanding, ReceiverStanding, StoreError};

/// How many of each partition's newest epochs are kept in view though nothing of them is in the outbox.
const NEWEST: i64 = HELLO_EPOCHS as i64;

/// The columns last, forgotten, hash, own and digest of an epoch, the first of which is at `at`.
pub(super) fn epoch_state(row: &Row<'_>, at: usize) -> rusqlite::Result<EpochState> {
    Ok(EpochState {
        last: Sequence(unsigned(row.get(at)?)),
        forgotten: Sequence(unsigned(row.get(at + 1)?)),
        hash: RollingHash(unsigned(row.get(at + 2)?)),
        own: unsigned(row.get(at + 3)?),
        digest: RollingHash(unsigned(row.get(at + 4)?)),
    })
}

/// Every source with events in the outbox, and each partition's newest, ascending.
pub(super) fn sources(
    connection: &Connection,
    identity: Identity,
) -> Result<Vec<(EpochRow, Source, EpochState)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, partition, epoch, last, forgotten, hash, own, digest FROM
           (SELECT *, row_number() OVER (PARTITION BY partition ORDER BY id DESC) AS age FROM epochs)
         WHERE forgotten < last OR age <= ?1 ORDER BY partition, id",
    )?;
    let mut rows = select.query([NEWEST])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        let lane = Lane {
            store: identity.store,
            partitions: identity.partitions,
            partition: Partition(row.get(1)?),
        };
        let source = lane.source(Epoch(unsigned(row.get(2)?)));
        sources.push((EpochRow(row.get(0)?), source, epoch_state(row, 3)?));
    }
    Ok(sources)
}

/// The receivers, and the epochs that they joined with.
pub(super) fn receivers(connection: &Connection) -> Result<Vec<Receiver>, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, name FROM receivers ORDER BY id")?;
    let mut begins =
        connection.prepare_cached("SELECT partition, epoch FROM begins WHERE receiver = ?1")?;
    let mut rows = select.query([])?;
    let mut receivers = Vec::new();
    while let Some(row) = rows.next()? {
        let name = ReceiverName::new(row.get_ref(1)?.as_str().map_err(corrupt)?)
            .ok_or_else(|| corrupt("a receiver's name of no length a name has"))?;
        let id = row.get(0)?;
        let begins = begins.query_map([id], |row| {
            Ok((Partition(row.get(0)?), Epoch(unsigned(row.get(1)?))))
        })?;
        receivers.push(Receiver {
            id,
            name,
            begins: begins.collect::<Result<_, _>>()?,
        });
    }
    Ok(receivers)
}

/// The newest incarnation that a receiver spoke under.
fn incarnation(connection: &Connection, receiver: i64) -> Result<Incarnation, StoreError> {
    let select = "SELECT incarnation FROM receivers WHERE id = ?1";
    let mut select = connection.prepare_cached(select)?;
    Ok(Epoch(unsigned(
        select.query_row([receiver], |row| row.get(0))?,
    )))
}

/// What a receiver said of an epoch: at the least, that it holds what is forgotten.
pub(super) fn mark(
    connection: &Connection,
    receiver: i64,
    epoch: EpochRow,
    forgotten: Sequence,
) -> Result<Mark, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT watermark, runs FROM marks WHERE receiver = ?1 AND epoch = ?2")?;
    let mut rows = select.query((receiver, epoch.0))?;
    match rows.next()? {
        None => Ok(Mark {
            watermark: forgotten,
            runs: Vec::new(),
        }),
        Some(row) => Ok(Mark {
            watermark: Sequence(unsigned(row.get(0)?)).max(forgotten),
            runs: codec::ranges_from_blob(row.get_ref(1)?.as_blob().map_err(corrupt)?)?,
        }),
    }
}

/// Drops what receivers said of epochs that are wholly forgotten and that no hello is about any more.
pub(super) fn prune_marks(connection: &Connection) -> Result<(), StoreError> {
    connection.execute(
        "DELETE FROM marks WHERE epoch IN (SELECT id FROM
           (SELECT *, row_number() OVER (PARTITION BY partition ORDER BY id DESC) AS age FROM epochs)
         WHERE forgotten >= last AND age > ?1)",
        [NEWEST],
    )?;
    Ok(())
}

/// How the outbox stands.
pub(super) fn outbox(
    connection: &Connection,
    identity: Identity,
) -> Result<OutboxStanding, StoreError> {
    let sources = sources(connection, identity)?;
    let mut standing = OutboxStanding::default();
    for Receiver { id, name, begins } in receivers(connection)? {
        let mut marks = Vec::with_capacity(sources.len());
        for (epoch, source, state) in &sources {
            let begin = begins.get(&source.lane.partition);
            let mark = if begin.is_some_and(|begin| source.epoch < *begin) {
                Mark {
                    watermark: state.last,
                    runs: Vec::new(),
                }
            } else {
                mark(connection, id, *epoch, state.forgotten)?
            };
            marks.push((*source, mark));
        }
        let begin = begins.into_iter().map(|(partition, epoch)| {
            let lane = Lane {
                store: identity.store,
                partitions: identity.partitions,
                partition,
            };
            lane.source(epoch)
        });
        standing.receivers.push(ReceiverStanding {
            name,
            incarnation: incarnation(connection, id)?,
            begin: begin.collect(),
            marks,
        });
    }
    let known = sources
        .into_iter()
        .map(|(_, source, state)| (source, state));
    standing.sources = known.collect();
    standing.resync = resync::standing(connection, identity)?;
    Ok(standing)
}

/// A source's events after `after`, ascending, at most `limit`.
pub(super) fn events(
    connection: &Connection,
    identity: Identity,
    source: Source,
    after: Sequence,
    limit: usize,
) -> Result<Vec<Event>, StoreError> {
    let Lane {
        store,
        partitions,
        partition,
    } = source.lane;
    if store != identity.store || partitions != identity.partitions {
        return Ok(Vec::new());
    }
    let Some((epoch, _)) = epoch(connection, partition, source.epoch)? else {
        return Ok(Vec::new());
    };
    let mut select = connection.prepare_cached(concat!(
        "SELECT id, ",
        codec::event_columns!(),
        " FROM outbox WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![epoch.event(after), epoch.end(), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let sequence = EpochRow::sequence(row.get(0)?);
        events.push(codec::event(row, 1, source, sequence)?);
    }
    Ok(events)
}

/// The row of an epoch, and what is known of it.
pub(super) fn epoch(
    connection: &Connection,
    partition: Partition,
    epoch: Epoch,
) -> Result<Option<(EpochRow, EpochState)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, last, forgotten, hash, own, digest FROM epochs WHERE partition = ?1 AND epoch = ?2",
    )?;
    let row = select.query_row((partition.0, signed(epoch.0)), |row| {
        Ok((EpochRow(row.get(0)?), epoch_state(row, 1)?))
    });
    Ok(row.optional()?)
}

/// See [`Store::receivers_of`](crate::store::Store::receivers_of).
pub(super) fn receivers_of(
    connection: &Connection,
    identity: Identity,
    EventId { source, sequence }: EventId,
) -> Result<Option<Vec<(ReceiverName, bool)>>, StoreError> {
    let Lane {
        store,
        partitions,
        partition,
    } = source.lane;
    if store != identity.store || partitions != identity.partitions {
        return Ok(None);
    }
    let Some((row, state)) = epoch(connection, partition, source.epoch)? else {
        return Ok(None);
    };
    if sequence > state.last {
        return Ok(None);
    }
    if let Some((resync, _)) = resync::standing(connection, identity)?
        && resync.is_after(source)
    {
        // Who holds all that was told anew.
        return match resync
            .sweeps
            .iter()
            .find(|sweep| sweep.source.lane == source.lane)
        {
            Some(sweep) => receivers_of(connection, identity, *sweep),
            None => {
                let receivers = receivers(connection)?.into_iter();
                Ok(Some(receivers.map(|known| (known.name, false)).collect()))
            }
        };
    }
    let mut receivers_of = Vec::new();
    for Receiver { id, name, begins } in receivers(connection)? {
        let begin = begins.get(&partition);
        // It is not for those who joined later.
        if begin.is_none_or(|begin| *begin <= source.epoch) {
            let mark = mark(connection, id, row, state.forgotten)?;
            receivers_of.push((name, mark.covers(sequence)));
        }
    }
    Ok(Some(receivers_of))
}

/// The oldest event in the outbox: the first of each source, for generations only grow along one.
pub(super) fn oldest(connection: &Connection) -> Result<Option<Oldest>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT min(time), min(generation) FROM epochs JOIN outbox ON outbox.id =
           (SELECT id FROM outbox WHERE id > epochs.id << 40 ORDER BY id LIMIT 1)
         WHERE forgotten < last",
    )?;
    let (accepted, generation): (Option<i64>, Option<i64>) =
        select.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(accepted
        .zip(generation)
        .map(|(accepted, generation)| Oldest {
            accepted: Timestamp::from_micros(accepted),
            generation: Generation(unsigned(generation)),
        }))
}

/// For each receiver that lacks something that was accepted, when the oldest of that was: the first that it has not said it holds, but
/// for the one that opens an epoch.
pub(super) fn oldest_of_each(
    connection: &Connection,
    identity: Identity,
) -> Result<Vec<(ReceiverName, Timestamp)>, StoreError> {
    let OutboxStanding {
        sources, receivers, ..
    } = outbox(connection, identity)?;
    let mut oldest = Vec::new();
    for receiver in receivers {
        let mut first = None;
        for ((source, state), (_, mark)) in sources.iter().zip(&receiver.marks) {
            let held = mark.watermark.max(Sequence::FIRST);
            let run = mark.runs.iter().find(|run| run.contains(&held.next().0));
            let held = run.map_or(held, |run| Sequence(*run.end()));
            if held < state.last {
                let event = events(connection, identity, *source, held, 1)?;
                first = first
                    .into_iter()
                    .chain(event.first().map(|event| event.time))
                    .min();
            }
        }
        oldest.extend(first.map(|first| (receiver.name, first)));
    }
    Ok(oldest)
}

/// For each receiver, the outbox's events that it has not said it holds.
pub(super) fn unacknowledged(
    connection: &Connection,
    identity: Identity,
) -> Result<Vec<(ReceiverName, u64)>, StoreError> {
    let OutboxStanding {
        sources, receivers, ..
    } = outbox(connection, identity)?;
    let of = |marks: &[(Source, Mark)]| {
        let missing = sources
            .iter()
            .zip(marks)
            .map(|((_, state), (_, mark))| -> u64 {
                let above = state.last.0.saturating_sub(mark.watermark.0);
                let in_run = |run: &RangeInclusive<u64>| {
                    let before = run.start().saturating_sub(1).max(mark.watermark.0);
                    run.end().saturating_sub(before)
                };
                above.saturating_sub(mark.runs.iter().map(in_run).sum())
            });
        missing.sum()
    };
    let receivers = receivers.into_iter();
    Ok(receivers
        .map(|receiver| (receiver.name, of(&receiver.marks)))
        .collect())
}
