//! Sweeps under way over SQLite: what a receiver has of older epochs, on its way out.

use duet_protocol::event::Key;
use duet_protocol::inbox::PendingSweep;
use duet_protocol::sequence::{Epoch, Lane, Sequence, Version};
use duet_protocol::sweep::{Sweep, Sweeping};
use rusqlite::{Connection, Row, params};

use super::codec::{signed, unsigned};
use super::error::{corrupt, refused};
use super::inbox::lane;
use super::transaction::SqliteTx;
use crate::store::StoreError;

/// The tables, as a migration of the channel's.
pub(super) const TABLES: &str = "
-- A sweep that was received and waits for what lies before it: the epoch below which all is to go, and the event that says so.
ALTER TABLE inbox_lanes ADD COLUMN sweep_below INTEGER;
ALTER TABLE inbox_lanes ADD COLUMN sweep_epoch INTEGER;
ALTER TABLE inbox_lanes ADD COLUMN sweep_sequence INTEGER;
-- The epoch of the last sweep that was carried out.
ALTER TABLE inbox_lanes ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;

-- Sweeps under way.
CREATE TABLE sweeping (
    lane   INTEGER PRIMARY KEY REFERENCES inbox_lanes,
    below  INTEGER NOT NULL,
    after  TEXT,             -- the key of the row that was looked at last
    rows   INTEGER NOT NULL, -- how many went
    parked INTEGER NOT NULL  -- how many parked and dead events went
);
";

/// A sweep that waits, from its three columns, the first of which is at `at`.
pub(super) fn pending(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<PendingSweep>> {
    let Some(below) = row.get::<_, Option<i64>>(at)? else {
        return Ok(None);
    };
    Ok(Some(PendingSweep {
        below: Epoch(unsigned(below)),
        at: Version {
            epoch: Epoch(unsigned(row.get(at + 1)?)),
            sequence: Sequence(unsigned(row.get(at + 2)?)),
        },
    }))
}

/// Stores a sweep that waits, and the last that was carried out, in their lane's row.
pub(super) fn put_pending(
    connection: &Connection,
    lane: i64,
    pending: Option<PendingSweep>,
    swept: Epoch,
) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE inbox_lanes SET sweep_below = ?2, sweep_epoch = ?3, sweep_sequence = ?4, swept = ?5
         WHERE id = ?1",
    )?;
    update.execute(params![
        lane,
        pending.map(|sweep| signed(sweep.below.0)),
        pending.map(|sweep| signed(sweep.at.epoch.0)),
        pending.map(|sweep| signed(sweep.at.sequence.0)),
        signed(swept.0),
    ])?;
    Ok(())
}

/// See [`Store::sweeping`](crate::store::Store::sweeping).
pub(super) fn sweeping(connection: &Connection) -> Result<Vec<Sweeping>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT store, partitions, partition, below, after, rows, parked
         FROM sweeping JOIN inbox_lanes ON id = lane ORDER BY lane",
    )?;
    let mut rows = select.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let key =
            |text: String| Key::new(text).ok_or_else(|| corrupt("a key of no length a key has"));
        all.push(Sweeping {
            sweep: Sweep {
                lane: lane(row)?,
                below: Epoch(unsigned(row.get(3)?)),
            },
            after: row.get::<_, Option<String>>(4)?.map(key).transpose()?,
            rows: unsigned(row.get(5)?),
            parked: unsigned(row.get(6)?),
        });
    }
    Ok(all)
}

impl SqliteTx<'_> {
    fn lane_row(&mut self, lane: Lane) -> Result<i64, StoreError> {
        self.memory.inbox.write_back(self.connection)?;
        let row = self.memory.inbox.row(self.connection, lane)?;
        row.ok_or_else(|| refused(format_args!("nothing was received of {lane:?}")))
    }

    pub(super) fn put_sweeping_row(&mut self, sweeping: &Sweeping) -> Result<(), StoreError> {
        let lane = self.lane_row(sweeping.sweep.lane)?;
        let mut put = self
            .connection
            .prepare_cached("REPLACE INTO sweeping VALUES (?1, ?2, ?3, ?4, ?5)")?;
        put.execute(params![
            lane,
            signed(sweeping.sweep.below.0),
            sweeping.after.as_ref().map(Key::as_str),
            signed(sweeping.rows),
            signed(sweeping.parked),
        ])?;
        Ok(())
    }

    pub(super) fn end_sweeping_row(&mut self, sweeping: &Sweeping) -> Result<(), StoreError> {
        let lane = self.lane_row(sweeping.sweep.lane)?;
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM sweeping WHERE lane = ?1")?;
        delete.execute([lane])?;
        let Sweep { lane, below } = sweeping.sweep;
        super::ledger::forget_discarded(self.connection, lane, below)
    }
}
