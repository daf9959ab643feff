//! The inbox over SQLite: what was received of each lane.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use duet_protocol::delivery::Parked;
use duet_protocol::event::{Event, EventId, Key, RollingHash};
use duet_protocol::inbox::{EpochInbox, Inbox, Link};
use duet_protocol::ledger::{Ending, Endings};
use duet_protocol::receive::{Failure, InboxTables};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId};
use duet_protocol::sweep::{Sweep, Sweeping};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, signed, unsigned};
use super::error::corrupt;
use super::ledger;
use super::parked;
use super::sweep;
use super::transaction::SqliteTx;
use crate::store::StoreError;

/// What the writer knows of the inbox.
#[derive(Default)]
pub(super) struct Memory {
    lanes: BTreeMap<Lane, Known>,
    /// How many rows the parked table has.
    pub(super) parked: Option<u64>,
    /// The sweeps under way: mostly none.
    sweeping: Option<Vec<Sweeping>>,
}

/// A lane's inbox as it is, and as its rows have it.
#[derive(Default)]
struct Known {
    /// The lane's row, once it has one.
    row: Option<i64>,
    now: Inbox,
    written: Inbox,
}

impl Memory {
    /// The most lanes that are kept in memory between groups.
    const LANES: usize = 256;

    /// The row of a lane of which something was received.
    pub(super) fn row(
        &mut self,
        connection: &Connection,
        lane: Lane,
    ) -> Result<Option<i64>, StoreError> {
        match self.lanes.get(&lane) {
            Some(known) => Ok(known.row),
            None => Ok(read(connection, lane)?.row),
        }
    }

    /// The row of a lane, made if there is none.
    pub(super) fn made_row(
        &mut self,
        connection: &Connection,
        lane: Lane,
    ) -> Result<i64, StoreError> {
        let known = match self.lanes.entry(lane) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read(connection, lane)?),
        };
        row(connection, lane, known)
    }

    /// Writes what is only in memory yet.
    pub(super) fn write_back(&mut self, connection: &Connection) -> Result<(), StoreError> {
        for (lane, known) in &mut self.lanes {
            if known.now != known.written {
                write(connection, *lane, known)?;
            }
        }
        if self.lanes.len() > Self::LANES {
            self.lanes.clear();
        }
        Ok(())
    }
}

/// The row of a lane, made if there is none.
fn row(connection: &Connection, lane: Lane, known: &mut Known) -> Result<i64, StoreError> {
    Ok(match known.row {
        Some(row) => row,
        None => {
            let mut insert = connection.prepare_cached(
                "INSERT INTO inbox_lanes (store, partitions, partition, floor) VALUES (?1, ?2, ?3, 0)",
            )?;
            insert.execute((signed(lane.store.0), lane.partitions, lane.partition.0))?;
            *known.row.insert(connection.last_insert_rowid())
        }
    })
}

/// Writes what changed of one lane.
fn write(connection: &Connection, lane: Lane, known: &mut Known) -> Result<(), StoreError> {
    let row = row(connection, lane, known)?;
    let Known { now, written, .. } = known;
    if (now.sweep, now.swept) != (written.sweep, written.swept) {
        sweep::put_pending(connection, row, now.sweep, now.swept)?;
    }
    let summed = |inbox: &Inbox| (inbox.floor, inbox.closed, inbox.state);
    if summed(now) != summed(written) {
        ledger::put_lane_state(connection, row, now.floor, (&now.closed, &now.state))?;
    }
    for (epoch, inbox) in &now.epochs {
        if written.epochs.get(epoch) != Some(inbox) {
            put_epoch(connection, row, *epoch, inbox)?;
        }
    }
    for epoch in written.epochs.keys() {
        if !now.epochs.contains_key(epoch) {
            let mut delete = connection
                .prepare_cached("DELETE FROM inbox_epochs WHERE lane = ?1 AND epoch = ?2")?;
            delete.execute((row, signed(epoch.0)))?;
        }
    }
    written.clone_from(now);
    Ok(())
}

fn put_epoch(
    connection: &Connection,
    lane: i64,
    epoch: Epoch,
    inbox: &EpochInbox,
) -> Result<(), StoreError> {
    let (link, previous) = match inbox.link {
        Link::Unknown => (0, None),
        Link::First => (1, None),
        Link::After(previous) => (2, Some(signed(previous.0))),
    };
    let mut put = connection.prepare_cached(
        "REPLACE INTO inbox_epochs (lane, epoch, link, previous, last, watermark, hash, runs,
                                    own, applied, superseded, discarded, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let Endings {
        own,
        applied,
        superseded,
        discarded,
    } = inbox.endings;
    put.execute(params![
        lane,
        signed(epoch.0),
        link,
        previous,
        inbox.end.map(|end| signed(end.0)),
        signed(inbox.watermark.0),
        signed(inbox.hash.0),
        codec::runs_to_blob(&inbox.runs),
        signed(own),
        signed(applied),
        signed(superseded),
        signed(discarded),
        signed(inbox.digest.0),
    ])?;
    Ok(())
}

/// What was received of a lane, from its rows.
fn read(connection: &Connection, lane: Lane) -> Result<Known, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, floor, sweep_below, sweep_epoch, sweep_sequence, swept,
                closed_since, closed_hash, state_since, digest, told, discarded
         FROM inbox_lanes WHERE store = ?1 AND partitions = ?2 AND partition = ?3",
    )?;
    let found = select
        .query_row(
            (signed(lane.store.0), lane.partitions, lane.partition.0),
            |row| {
                let floor = Epoch(unsigned(row.get(1)?));
                let swept = Epoch(unsigned(row.get(5)?));
                let sweep = sweep::pending(row, 2)?;
                let summed = ledger::lane_state(row, 6)?;
                Ok((row.get::<_, i64>(0)?, floor, sweep, swept, summed))
            },
        )
        .optional()?;
    let Some((row, floor, sweep, swept, (closed, state))) = found else {
        return Ok(Known::default());
    };
    let mut inbox = Inbox {
        floor,
        sweep,
        swept,
        closed,
        state,
        ..Inbox::default()
    };
    let mut select = connection.prepare_cached(
        "SELECT epoch, link, previous, last, watermark, hash, runs, own, applied, superseded, discarded, digest
         FROM inbox_epochs WHERE lane = ?1",
    )?;
    let mut epochs = select.query([row])?;
    while let Some(row) = epochs.next()? {
        let epoch = EpochInbox {
            link: match (row.get(1)?, row.get::<_, Option<i64>>(2)?) {
                (0, None) => Link::Unknown,
                (1, None) => Link::First,
                (2, Some(previous)) => Link::After(Epoch(unsigned(previous))),
                (link, _) => return Err(corrupt(format_args!("an inbox's link {link}"))),
            },
            end: row
                .get::<_, Option<i64>>(3)?
                .map(|end| Sequence(unsigned(end))),
            watermark: Sequence(unsigned(row.get(4)?)),
            hash: RollingHash(unsigned(row.get(5)?)),
            runs: codec::runs_from_blob(row.get_ref(6)?.as_blob().map_err(corrupt)?)?,
            endings: ledger::endings(row, 7)?,
            digest: RollingHash(unsigned(row.get(11)?)),
        };
        inbox.epochs.insert(Epoch(unsigned(row.get(0)?)), epoch);
    }
    Ok(Known {
        row: Some(row),
        written: inbox.clone(),
        now: inbox,
    })
}

/// What was received of a lane.
pub(super) fn of(connection: &Connection, lane: Lane) -> Result<Inbox, StoreError> {
    Ok(read(connection, lane)?.now)
}

/// See [`Store::is_done`](crate::store::Store::is_done).
pub(super) fn is_done(connection: &Connection, event: EventId) -> Result<bool, StoreError> {
    if !read(connection, event.source.lane)?.now.holds(event) {
        return Ok(false);
    }
    Ok(!parked::is_there(connection, event)?)
}

impl SqliteTx<'_> {
    fn lane(&mut self, lane: Lane) -> Result<&mut Known, StoreError> {
        match self.memory.inbox.lanes.entry(lane) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(read(self.connection, lane)?)),
        }
    }
}

/// A lane from the first three columns of a row.
pub(super) fn lane(row: &Row<'_>) -> rusqlite::Result<Lane> {
    Ok(Lane {
        store: StoreId(unsigned(row.get(0)?)),
        partitions: row.get(1)?,
        partition: Partition(row.get(2)?),
    })
}

impl InboxTables for SqliteTx<'_> {
    type Error = StoreError;

    fn lanes(&mut self, store: Option<StoreId>) -> Result<Vec<Lane>, StoreError> {
        self.memory.inbox.write_back(self.connection)?;
        let mut select = self.connection.prepare_cached(
            "SELECT store, partitions, partition FROM inbox_lanes WHERE store = ?1 OR ?1 IS NULL",
        )?;
        let lanes = select.query_map([store.map(|store| signed(store.0))], lane)?;
        Ok(lanes.collect::<Result<_, _>>()?)
    }

    fn inbox(&mut self, lane: Lane) -> Result<Inbox, StoreError> {
        Ok(self.lane(lane)?.now.clone())
    }

    fn put_inbox(&mut self, lane: Lane, inbox: &Inbox) -> Result<(), StoreError> {
        self.lane(lane)?.now.clone_from(inbox);
        Ok(())
    }

    fn put_closed(&mut self, source: Source, inbox: &EpochInbox) -> Result<(), StoreError> {
        let lane = self.counted_lane(source.lane)?;
        ledger::put_closed(self.connection, lane, source.epoch, inbox)
    }

    fn count_late(&mut self, source: Source, ending: Ending) -> Result<(), StoreError> {
        let lane = self.counted_lane(source.lane)?;
        ledger::count_late(self.connection, lane, source.epoch, ending)
    }

    fn is_at_rest(&mut self, lane: Lane) -> Result<bool, StoreError> {
        let none_parked = parked::rows(self)? == 0 || ledger::is_at_rest(self.connection, lane)?;
        Ok(none_parked && ledger::is_swept(self.connection)?)
    }

    fn parked(&mut self, id: EventId) -> Result<Option<Parked>, StoreError> {
        parked::get(self, id)
    }

    fn is_key_parked(&mut self, key: &Key) -> Result<bool, StoreError> {
        parked::is_key_there(self, key)
    }

    fn park(
        &mut self,
        event: &Event,
        failure: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), StoreError> {
        parked::put(self, event, failure, parked)
    }

    fn park_again(
        &mut self,
        id: EventId,
        failure: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), StoreError> {
        parked::change(self, id, failure, parked)
    }

    fn discarded(&mut self, id: EventId) -> Result<(), StoreError> {
        ledger::put_discarded(self.connection, id)
    }

    fn unpark(&mut self, id: EventId) -> Result<(), StoreError> {
        parked::remove(self, id)
    }

    fn drop_parked(&mut self, sweep: &Sweep, limit: usize) -> Result<u64, StoreError> {
        parked::sweep(self, sweep, limit)
    }

    fn sweeping(&mut self) -> Result<Vec<Sweeping>, StoreError> {
        let known = &mut self.memory.inbox.sweeping;
        if known.is_none() {
            *known = Some(sweep::sweeping(self.connection)?);
        }
        Ok(known.clone().unwrap_or_default())
    }

    fn put_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), StoreError> {
        self.memory.inbox.sweeping = None;
        self.put_sweeping_row(sweeping)
    }

    fn end_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), StoreError> {
        self.memory.inbox.sweeping = None;
        self.end_sweeping_row(sweeping)
    }
}

/// As much of a cause as is kept.
pub(super) fn cause(text: &str) -> &str {
    const BYTES: usize = 1024;
    &text[..text.floor_char_boundary(BYTES)]
}

/// How many messages could not be decoded.
pub(super) fn undecodable(connection: &Connection) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM undecodable";
    let count = connection
        .prepare_cached(count)?
        .query_row([], |row| row.get(0))?;
    Ok(unsigned(count))
}
