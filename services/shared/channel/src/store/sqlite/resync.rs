//! The last resync over SQLite, and what was seen of receivers that new epochs are above.

use duet_protocol::event::{EventId, Key};
use duet_protocol::resync::{Resync, Stage};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence};
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, params};

use super::codec::{signed, unsigned};
use super::error::corrupt;
use super::transaction::SqliteTx;
use super::{outbox, standing};
use crate::store::{Identity, StoreError};

/// The tables, as a migration of the channel's.
pub(super) const TABLES: &str = "
-- Of a sender: the last resync.
CREATE TABLE resync (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    seen      INTEGER NOT NULL, -- the highest epoch that any receiver was seen to hold: new ones are above it
    begun     INTEGER,          -- NULL: there never was one
    after     TEXT,             -- the key of the row that was looked at last
    announced INTEGER NOT NULL  -- how many rows were told anew
);
INSERT INTO resync VALUES (1, 0, NULL, NULL, 0);

CREATE TABLE resync_partitions (
    partition      INTEGER PRIMARY KEY,
    epoch          INTEGER NOT NULL, -- the one that it opened: older ones are over
    sweep_epoch    INTEGER,          -- with the sequence: the event that says that all rows are told
    sweep_sequence INTEGER
);
";

/// What the writer knows of it.
#[derive(Clone)]
pub(super) struct Known {
    seen: Epoch,
    resync: Option<Resync>,
}

fn read(connection: &Connection, identity: Identity) -> Result<Known, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT seen, begun, after, announced FROM resync")?;
    let (seen, begun, after, announced) = select.query_row([], |row| {
        let after: Option<String> = row.get(2)?;
        let begun: Option<i64> = row.get(1)?;
        Ok((
            Epoch(unsigned(row.get(0)?)),
            begun,
            after,
            unsigned(row.get(3)?),
        ))
    })?;
    let Some(begun) = begun else {
        return Ok(Known { seen, resync: None });
    };
    let key = |text: String| Key::new(text).ok_or_else(|| corrupt("a key of no length a key has"));
    let mut resync = Resync {
        begun: Timestamp::from_micros(begun),
        sources: Vec::new(),
        after: after.map(key).transpose()?,
        announced,
        sweeps: Vec::new(),
    };
    let mut select = connection.prepare_cached(
        "SELECT partition, epoch, sweep_epoch, sweep_sequence FROM resync_partitions ORDER BY partition",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let lane = Lane {
            store: identity.store,
            partitions: identity.partitions,
            partition: Partition(row.get(0)?),
        };
        resync
            .sources
            .push(lane.source(Epoch(unsigned(row.get(1)?))));
        let sweep: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        if let (Some(epoch), Some(sequence)) = sweep {
            resync.sweeps.push(EventId {
                source: lane.source(Epoch(unsigned(epoch))),
                sequence: Sequence(unsigned(sequence)),
            });
        }
    }
    let resync = Some(resync);
    Ok(Known { seen, resync })
}

/// See [`Store::resync`](crate::store::Store::resync).
pub(super) fn standing(
    connection: &Connection,
    identity: Identity,
) -> Result<Option<(Resync, Stage)>, StoreError> {
    let Some(resync) = read(connection, identity)?.resync else {
        return Ok(None);
    };
    let stage = resync.stage(
        |source| {
            let epoch = standing::epoch(connection, source.lane.partition, source.epoch)?;
            Ok::<_, StoreError>(epoch.map(|(_, state)| state))
        },
        |lane, before| outbox::unforgotten(connection, lane, before),
    )?;
    Ok(Some((resync, stage)))
}

impl SqliteTx<'_> {
    fn known_resync(&mut self) -> Result<&mut Known, StoreError> {
        let known = &mut self.memory.resync;
        if known.is_none() {
            *known = Some(read(self.connection, self.memory.identity)?);
        }
        known.as_mut().ok_or(StoreError::Closed) // it was just read
    }

    pub(super) fn seen_epoch(&mut self) -> Result<Epoch, StoreError> {
        Ok(self.known_resync()?.seen)
    }

    pub(super) fn put_seen_epoch(&mut self, seen: Epoch) -> Result<(), StoreError> {
        let update = "UPDATE resync SET seen = ?1";
        let mut update = self.connection.prepare_cached(update)?;
        update.execute([signed(seen.0)])?;
        self.known_resync()?.seen = seen;
        Ok(())
    }

    pub(super) fn last_resync(&mut self) -> Result<Option<Resync>, StoreError> {
        Ok(self.known_resync()?.resync.clone())
    }

    pub(super) fn put_last_resync(&mut self, resync: &Resync) -> Result<(), StoreError> {
        let update = "UPDATE resync SET begun = ?1, after = ?2, announced = ?3";
        let mut update = self.connection.prepare_cached(update)?;
        update.execute(params![
            resync.begun.micros(),
            resync.after.as_ref().map(Key::as_str),
            signed(resync.announced),
        ])?;
        let mut put = self
            .connection
            .prepare_cached("REPLACE INTO resync_partitions VALUES (?1, ?2, ?3, ?4)")?;
        for source in &resync.sources {
            let mut sweeps = resync.sweeps.iter();
            let sweep = sweeps.find(|sweep| sweep.source.lane == source.lane);
            put.execute(params![
                source.lane.partition.0,
                signed(source.epoch.0),
                sweep.map(|sweep| signed(sweep.source.epoch.0)),
                sweep.map(|sweep| signed(sweep.sequence.0)),
            ])?;
        }
        self.known_resync()?.resync = Some(resync.clone());
        Ok(())
    }
}
