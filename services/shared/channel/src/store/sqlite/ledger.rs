//! The ledger over SQLite: what is counted beside inbox and outbox, and the digests of the state.

use duet_protocol::event::{EventId, RollingHash};
use duet_protocol::inbox::{EpochInbox, State};
use duet_protocol::ledger::{Closed, Ending, Endings};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, signed, unsigned};
use super::outbox::EpochRow;
use super::transaction::SqliteTx;
use crate::store::StoreError;

/// The columns and the table, as a migration of the channel's. See [`begin`] for what a store from before is given.
pub(super) const TABLE: &str = "
-- How many of the numbered events are the channel's own, and the sum of the hashes of the service's rows that the epoch's events wrote.
ALTER TABLE epochs ADD COLUMN own    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE epochs ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;
UPDATE epochs SET own = min(last, 1);
-- The epoch of which, and of later ones, the receiver is to have each row; NULL: the one it joined with.
ALTER TABLE begins ADD COLUMN rows_since INTEGER;

-- Of a lane's closed epochs: the sum of the hashes of those since `closed_since`; and of the service's rows that events since
-- `state_since` wrote. `told`: whether the service says what it has.
ALTER TABLE inbox_lanes ADD COLUMN closed_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_lanes ADD COLUMN closed_hash  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_lanes ADD COLUMN state_since  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_lanes ADD COLUMN digest       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_lanes ADD COLUMN told         INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_lanes ADD COLUMN discarded    INTEGER NOT NULL DEFAULT 0;
UPDATE inbox_lanes SET closed_since = floor;

-- How the events ended that were received, but for those that are parked or dead; and the sum of the hashes of the rows they wrote.
ALTER TABLE inbox_epochs ADD COLUMN own        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_epochs ADD COLUMN applied    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_epochs ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_epochs ADD COLUMN discarded  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_epochs ADD COLUMN digest     INTEGER NOT NULL DEFAULT 0;

-- The same of epochs that are closed.
CREATE TABLE inbox_closed (
    lane       INTEGER NOT NULL REFERENCES inbox_lanes,
    epoch      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    hash       INTEGER NOT NULL, -- the sum of the hashes of all its events
    own        INTEGER NOT NULL,
    applied    INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    discarded  INTEGER NOT NULL,
    PRIMARY KEY (lane, epoch)
) WITHOUT ROWID;

ALTER TABLE versions ADD COLUMN hash INTEGER NOT NULL DEFAULT 0; -- what the key's value adds to the digest; 0 if nothing stands
";

/// What an audit compares besides, as a migration of the channel's.
pub(super) const PARKED: &str = "
-- The hash of the event as it was received; NULL in rows from before.
ALTER TABLE parked ADD COLUMN hash INTEGER;
-- The events that a person discarded, the newest of them, but for those that something newer superseded: what they said is at their
-- sender, and is not to be here.
CREATE TABLE discarded (
    id         INTEGER PRIMARY KEY,
    store      INTEGER NOT NULL,
    partitions INTEGER NOT NULL,
    partition  INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    UNIQUE (store, partitions, partition, epoch, sequence)
);
";

/// How many discarded events are kept.
const DISCARDED: u32 = 100_000;

/// Keeps that an event was discarded.
pub(super) fn put_discarded(connection: &Connection, event: EventId) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO discarded (store, partitions, partition, epoch, sequence) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute(super::parked::name(event))?;
    let mut forget =
        connection.prepare_cached("DELETE FROM discarded WHERE id <= last_insert_rowid() - ?1")?;
    forget.execute([DISCARDED])?;
    Ok(())
}

/// Whether an event was discarded, as far as that is kept.
pub(super) fn is_discarded(connection: &Connection, event: EventId) -> Result<bool, StoreError> {
    let select = concat!("SELECT 1 FROM discarded WHERE", super::parked::named!());
    Ok(connection
        .prepare_cached(select)?
        .exists(super::parked::name(event))?)
}

/// Forgets what was discarded of a lane's epochs below one: a sweep made what is here what the sender has.
pub(super) fn forget_discarded(
    connection: &Connection,
    lane: Lane,
    below: Epoch,
) -> Result<(), StoreError> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM discarded WHERE store = ?1 AND partitions = ?2 AND partition = ?3 AND epoch < ?4",
    )?;
    let store = signed(lane.store.0);
    delete.execute((store, lane.partitions, lane.partition.0, comparable(below)))?;
    Ok(())
}

/// How many discarded events of a lane are kept.
pub(super) fn discarded(connection: &Connection, lane: Lane) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT count(*) FROM discarded WHERE store = ?1 AND partitions = ?2 AND partition = ?3",
    )?;
    let of_lane = (signed(lane.store.0), lane.partitions, lane.partition.0);
    Ok(unsigned(select.query_row(of_lane, |row| row.get(0))?))
}

/// Gives a store its counts that was written to before there were any: what it holds and is not parked counts as applied.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT lane, epoch, watermark, runs FROM inbox_epochs")?;
    let mut parked = connection.prepare(
        "SELECT count(*) FROM parked JOIN inbox_lanes USING (store, partitions, partition)
         WHERE inbox_lanes.id = ?1 AND epoch = ?2",
    )?;
    let mut update = connection
        .prepare("UPDATE inbox_epochs SET own = ?3, applied = ?4 WHERE lane = ?1 AND epoch = ?2")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (lane, epoch): (i64, i64) = (row.get(0)?, row.get(1)?);
        let runs = row.get_ref(3)?.as_blob().ok();
        let runs = runs.and_then(|blob| codec::runs_from_blob(blob).ok());
        let inbox = EpochInbox {
            watermark: Sequence(unsigned(row.get(2)?)),
            runs: runs.unwrap_or_default(),
            ..EpochInbox::default()
        };
        let own = u64::from(inbox.holds(Sequence::FIRST));
        let parked: i64 = parked.query_row((lane, epoch), |row| row.get(0))?;
        let applied = inbox.received().saturating_sub(own + unsigned(parked));
        update.execute((lane, epoch, signed(own), signed(applied)))?;
    }
    Ok(())
}

/// The columns own, applied, superseded and discarded, the first of which is at `at`.
pub(super) fn endings(row: &Row<'_>, at: usize) -> rusqlite::Result<Endings> {
    Ok(Endings {
        own: unsigned(row.get(at)?),
        applied: unsigned(row.get(at + 1)?),
        superseded: unsigned(row.get(at + 2)?),
        discarded: unsigned(row.get(at + 3)?),
    })
}

/// The columns closed_since, closed_hash, state_since, digest, told and discarded, the first of which is at `at`.
pub(super) fn lane_state(row: &Row<'_>, at: usize) -> rusqlite::Result<(Closed, State)> {
    let closed = Closed {
        since: Epoch(unsigned(row.get(at)?)),
        hash: RollingHash(unsigned(row.get(at + 1)?)),
    };
    let state = State {
        since: Epoch(unsigned(row.get(at + 2)?)),
        digest: RollingHash(unsigned(row.get(at + 3)?)),
        is_told: row.get(at + 4)?,
        discarded: unsigned(row.get(at + 5)?),
    };
    Ok((closed, state))
}

/// Writes what [`lane_state`] reads.
pub(super) fn put_lane_state(
    connection: &Connection,
    lane: i64,
    floor: Epoch,
    (closed, state): (&Closed, &State),
) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE inbox_lanes SET floor = ?2, closed_since = ?3, closed_hash = ?4, state_since = ?5, digest = ?6, told = ?7,
           discarded = ?8 WHERE id = ?1",
    )?;
    update.execute(params![
        lane,
        signed(floor.0),
        signed(closed.since.0),
        signed(closed.hash.0),
        signed(state.since.0),
        signed(state.digest.0),
        state.is_told,
        signed(state.discarded),
    ])?;
    Ok(())
}

/// Keeps what a closed epoch came to.
pub(super) fn put_closed(
    connection: &Connection,
    lane: i64,
    epoch: Epoch,
    inbox: &EpochInbox,
) -> Result<(), StoreError> {
    let Endings {
        own,
        applied,
        superseded,
        discarded,
    } = inbox.endings;
    let mut put = connection
        .prepare_cached("REPLACE INTO inbox_closed VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    put.execute(params![
        lane,
        signed(epoch.0),
        signed(inbox.watermark.0),
        signed(inbox.hash.0),
        signed(own),
        signed(applied),
        signed(superseded),
        signed(discarded),
    ])?;
    Ok(())
}

/// What a lane's closed epochs came to, ascending: where each ended, the sum of its hashes, and how its events ended.
pub(super) fn closed(
    connection: &Connection,
    lane: Lane,
) -> rusqlite::Result<Vec<(Epoch, Sequence, RollingHash, Endings)>> {
    let mut select = connection.prepare_cached(
        "SELECT epoch, inbox_closed.last, hash, own, applied, superseded, inbox_closed.discarded
         FROM inbox_closed JOIN inbox_lanes ON inbox_lanes.id = lane
         WHERE store = ?1 AND partitions = ?2 AND partition = ?3 ORDER BY epoch",
    )?;
    let of_lane = (signed(lane.store.0), lane.partitions, lane.partition.0);
    let closed = select.query_map(of_lane, |row| {
        Ok((
            Epoch(unsigned(row.get(0)?)),
            Sequence(unsigned(row.get(1)?)),
            RollingHash(unsigned(row.get(2)?)),
            endings(row, 3)?,
        ))
    })?;
    closed.collect()
}

/// Counts how an event of a closed epoch ended that was parked until now. One that was closed before there were counts has none.
pub(super) fn count_late(
    connection: &Connection,
    lane: i64,
    epoch: Epoch,
    ending: Ending,
) -> Result<(), StoreError> {
    let update = match ending {
        Ending::Own => "UPDATE inbox_closed SET own = own + 1 WHERE lane = ?1 AND epoch = ?2",
        Ending::Applied => {
            "UPDATE inbox_closed SET applied = applied + 1 WHERE lane = ?1 AND epoch = ?2"
        }
        Ending::Superseded => {
            "UPDATE inbox_closed SET superseded = superseded + 1 WHERE lane = ?1 AND epoch = ?2"
        }
        Ending::Discarded => {
            "UPDATE inbox_closed SET discarded = discarded + 1 WHERE lane = ?1 AND epoch = ?2"
        }
    };
    let mut update = connection.prepare_cached(update)?;
    update.execute((lane, signed(epoch.0)))?;
    Ok(())
}

/// An epoch as a number that SQLite compares: none that is made is above 63 bits.
fn comparable(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

/// See [`OutboxTables::hash_of_epochs`](duet_protocol::outbox::OutboxTables::hash_of_epochs), of what is written.
pub(super) fn hash_of_epochs(
    connection: &Connection,
    partition: Partition,
    from: Epoch,
    below: Epoch,
) -> Result<RollingHash, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT id, last, forgotten, hash FROM epochs WHERE partition = ?1 AND epoch >= ?2 AND epoch < ?3",
    )?;
    let mut hashes = connection.prepare_cached(super::outbox::HASHES)?;
    let mut rows = select.query((partition.0, comparable(from), comparable(below)))?;
    let mut sum = RollingHash::default();
    while let Some(row) = rows.next()? {
        let id = EpochRow(row.get(0)?);
        let last = Sequence(unsigned(row.get(1)?));
        let forgotten = Sequence(unsigned(row.get(2)?));
        sum += RollingHash(unsigned(row.get(3)?));
        if forgotten < last {
            sum += super::outbox::sum(hashes.query((id.event(forgotten), id.event(last)))?)?;
        }
    }
    Ok(sum)
}

/// See [`OutboxTables::has_epochs`](duet_protocol::outbox::OutboxTables::has_epochs), of what is written.
pub(super) fn has_epochs(
    connection: &Connection,
    partition: Partition,
    from: Epoch,
    below: Epoch,
) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT 1 FROM epochs WHERE partition = ?1 AND epoch >= ?2 AND epoch < ?3 LIMIT 1",
    )?;
    Ok(select.exists((partition.0, comparable(from), comparable(below)))?)
}

/// See [`OutboxTables::digest`](duet_protocol::outbox::OutboxTables::digest), of what is written.
pub(super) fn digest(
    connection: &Connection,
    partition: Partition,
    from: Epoch,
) -> Result<RollingHash, StoreError> {
    // Not SQLite's sum(), which fails where ours wraps around.
    let mut select = connection
        .prepare_cached("SELECT digest FROM epochs WHERE partition = ?1 AND epoch >= ?2")?;
    let rows = select.query((partition.0, comparable(from)))?;
    super::outbox::sum(rows)
}

/// See [`OutboxTables::rows_since`](duet_protocol::outbox::OutboxTables::rows_since).
pub(super) fn rows_since(
    connection: &Connection,
    receiver: &ReceiverName,
    partition: Partition,
) -> Result<Epoch, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT ifnull(rows_since, epoch) FROM begins JOIN receivers ON receivers.id = receiver
         WHERE name = ?1 AND partition = ?2",
    )?;
    let since = select.query_row((receiver.as_str(), partition.0), |row| row.get(0));
    Ok(Epoch(since.optional()?.map(unsigned).unwrap_or_default()))
}

/// Whether no sweep is under way.
pub(super) fn is_swept(connection: &Connection) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT 1 FROM sweeping LIMIT 1")?;
    Ok(!select.exists([])?)
}

/// Whether nothing of a lane is in the parked table.
pub(super) fn is_at_rest(connection: &Connection, lane: Lane) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT 1 FROM parked WHERE store = ?1 AND partitions = ?2 AND partition = ?3 LIMIT 1",
    )?;
    let parked = select.exists((signed(lane.store.0), lane.partitions, lane.partition.0))?;
    Ok(!parked)
}

impl SqliteTx<'_> {
    /// The row of a lane of which something was received in this transaction, or before.
    pub(super) fn counted_lane(&mut self, lane: Lane) -> Result<i64, StoreError> {
        self.memory.inbox.made_row(self.connection, lane)
    }

    /// The digest of the rows that the events of a lane's epochs from `from` on wrote.
    pub(super) fn digest_since(
        &mut self,
        partition: Partition,
        from: Epoch,
    ) -> Result<RollingHash, StoreError> {
        if let Some(digest) = self.memory.outbox.digests.get(&(partition, from)) {
            return Ok(*digest);
        }
        self.memory.outbox.write_back(self.connection)?;
        let digest = digest(self.connection, partition, from)?;
        self.memory.outbox.digests.insert((partition, from), digest);
        Ok(digest)
    }

    /// Adds to the digest of the rows that a source's events wrote.
    pub(super) fn digest_changed(
        &mut self,
        source: Source,
        change: RollingHash,
    ) -> Result<(), StoreError> {
        let Some(known) = self.known(source)? else {
            return Ok(());
        };
        known.now.digest += change;
        let Source { lane, epoch } = source;
        let digests = self.memory.outbox.digests.iter_mut();
        digests
            .filter(|((partition, from), _)| *partition == lane.partition && *from <= epoch)
            .for_each(|(_, digest)| *digest += change);
        Ok(())
    }
}
