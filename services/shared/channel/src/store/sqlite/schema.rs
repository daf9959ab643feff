//! The tables, and how an older file gets them.
//!
//! A migration is never changed once it is released; the next one follows it. The channel's and the service's are counted apart:
//! the channel's in SQLite's own `user_version`, the service's in the table `store`.

use duet_protocol::sequence::StoreId;
use rusqlite::Connection;

use super::audit::AuditRows;
use super::codec;
use crate::store::StoreError;

/// Tells a file of Duet's from other SQLite files: "DUET" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x4455_4554;

/// How many partitions a store in SQLite has: it has one writer, so more would serve nothing.
const PARTITIONS: u16 = 1;

/// The channel's migrations.
pub(super) const CHANNEL: &[&str] = &["
-- Who this store is.
CREATE TABLE store (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    id             INTEGER NOT NULL, -- made with the file
    partitions     INTEGER NOT NULL, -- fixed when the file is made
    incarnation    INTEGER NOT NULL, -- made anew at each opening
    service_schema INTEGER NOT NULL  -- how many of the service's migrations were run
);

-- Every epoch this store ever had. An epoch's id only grows, so that of one partition ids are ordered as epochs are.
CREATE TABLE epochs (
    id        INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    last      INTEGER NOT NULL, -- the last sequence that was numbered
    forgotten INTEGER NOT NULL, -- all up to here are held by every receiver, and gone from the outbox
    hash      INTEGER NOT NULL, -- the sum of the hashes of what is forgotten
    UNIQUE (partition, epoch)
);
CREATE INDEX epochs_unforgotten ON epochs (partition, id) WHERE forgotten < last;

-- The events that are not yet held by every receiver. The row's id is the epoch's id above 40 bits of sequence: new events
-- go to the table's end, and an epoch's are one range, read, summed and forgotten as such.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    hash        INTEGER NOT NULL,
    time        INTEGER NOT NULL, -- microseconds since 1970
    type        TEXT NOT NULL,
    key         TEXT,             -- NULL for the event that opens an epoch
    data        BLOB NOT NULL,
    traceparent TEXT NOT NULL,
    tracestate  TEXT NOT NULL,
    generation  INTEGER NOT NULL
);

-- The same, for people.
CREATE VIEW outbox_events AS
SELECT epochs.partition, printf('%016x', epochs.epoch) AS epoch, outbox.id & 0xffffffffff AS sequence,
       outbox.hash, outbox.time, outbox.type, outbox.key, CAST(outbox.data AS TEXT) AS data,
       outbox.traceparent, outbox.tracestate, outbox.generation
FROM outbox JOIN epochs ON epochs.id = outbox.id >> 40;

CREATE TABLE receivers (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    incarnation INTEGER NOT NULL -- the newest it spoke under
);

-- What each receiver said of each epoch.
CREATE TABLE marks (
    receiver  INTEGER NOT NULL REFERENCES receivers ON DELETE CASCADE,
    epoch     INTEGER NOT NULL REFERENCES epochs,
    watermark INTEGER NOT NULL,
    runs      BLOB NOT NULL,
    PRIMARY KEY (receiver, epoch)
) WITHOUT ROWID;

-- What was received of each sender's lane,
CREATE TABLE inbox_lanes (
    id         INTEGER PRIMARY KEY,
    store      INTEGER NOT NULL,
    partitions INTEGER NOT NULL,
    partition  INTEGER NOT NULL,
    floor      INTEGER NOT NULL,
    UNIQUE (store, partitions, partition)
);

-- and of its open epochs.
CREATE TABLE inbox_epochs (
    lane      INTEGER NOT NULL REFERENCES inbox_lanes,
    epoch     INTEGER NOT NULL,
    link      INTEGER NOT NULL, -- what lies before it: 0 not known, 1 nothing, 2 the epoch `previous`
    previous  INTEGER,
    last      INTEGER,          -- where it ended, once a later epoch has told
    watermark INTEGER NOT NULL,
    hash      INTEGER NOT NULL, -- the sum of the hashes up to the watermark
    runs      BLOB NOT NULL,
    PRIMARY KEY (lane, epoch)
) WITHOUT ROWID;

-- Events that were received and could not be applied yet.
CREATE TABLE parked (
    id            INTEGER PRIMARY KEY,
    store         INTEGER NOT NULL,
    partitions    INTEGER NOT NULL,
    partition     INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    time          INTEGER NOT NULL,
    type          TEXT NOT NULL,
    key           TEXT,
    data          BLOB NOT NULL,
    traceparent   TEXT NOT NULL,
    tracestate    TEXT NOT NULL,
    generation    INTEGER NOT NULL,
    cause         TEXT NOT NULL,
    first_failure INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    next_attempt  INTEGER NOT NULL,
    UNIQUE (store, partitions, partition, epoch, sequence)
);
CREATE INDEX parked_by_next_attempt ON parked (next_attempt);
CREATE INDEX parked_by_key ON parked (key);

-- Messages that could not be decoded, by their place in the broker's stream.
CREATE TABLE undecodable (
    id      INTEGER PRIMARY KEY,
    path    TEXT NOT NULL,
    place   INTEGER NOT NULL,
    payload BLOB NOT NULL,
    cause   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (path, place)
);

-- How far each consumer has come, in its broker's own words.
CREATE TABLE positions (
    path     TEXT PRIMARY KEY,
    position BLOB NOT NULL
) WITHOUT ROWID;
", super::versions::TABLE, super::documents::TABLE, "
-- The epoch of each partition that a receiver joined with: of older ones it is sent nothing.
CREATE TABLE begins (
    receiver  INTEGER NOT NULL REFERENCES receivers ON DELETE CASCADE,
    partition INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    PRIMARY KEY (receiver, partition)
) WITHOUT ROWID;
", super::parked::TABLE, super::resync::TABLES, super::sweep::TABLES, super::generations::TABLE, super::versions::APPLIED,
    super::ledger::TABLE, super::ledger::PARKED];

/// How many migrations a file has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) channel: usize,
    pub(super) service: usize,
}

/// A file that is not a store of Duet's.
pub(super) struct Foreign;

/// What a file is: `None` for one in which nothing is yet.
pub(super) fn versions(
    connection: &Connection,
) -> rusqlite::Result<Result<Option<Versions>, Foreign>> {
    let number = |statement: &str| connection.query_row(statement, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    if application != APPLICATION_ID {
        let empty = application == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
        return Ok(if empty { Ok(None) } else { Err(Foreign) });
    }
    let channel = number("PRAGMA user_version")?;
    let service = number("SELECT service_schema FROM store")?;
    let count = |version| usize::try_from(version).unwrap_or(usize::MAX);
    Ok(Ok(Some(Versions {
        channel: count(channel),
        service: count(service),
    })))
}

/// Runs what a file lacks, in the open transaction. `versions` are not newer than what is known here; `rows` are the service's, where it
/// tells them.
pub(super) fn migrate(
    connection: &Connection,
    versions: Option<Versions>,
    service: &[&str],
    rows: Option<&dyn AuditRows>,
    new: StoreId,
) -> Result<(), StoreError> {
    let had = versions.unwrap_or(Versions {
        channel: 0,
        service: 0,
    });
    let mut had_digests = true;
    for migration in CHANNEL.iter().skip(had.channel) {
        connection.execute_batch(migration)?;
        if *migration == super::ledger::TABLE {
            super::ledger::begin(connection)?;
            had_digests = versions.is_none();
        }
    }
    if versions.is_none() {
        connection.execute(
            "INSERT INTO store VALUES (1, ?1, ?2, 0, 0)",
            (codec::signed(new.0), PARTITIONS),
        )?;
    }
    for migration in service.iter().skip(had.service) {
        connection.execute_batch(migration)?;
    }
    if let Some(rows) = rows.filter(|_| !had_digests) {
        super::digests::begin(connection, rows)?;
    }
    connection.execute("UPDATE store SET service_schema = ?1", [count(service)])?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", count(CHANNEL))?;
    Ok(())
}

fn count(migrations: &[&str]) -> i32 {
    i32::try_from(migrations.len()).unwrap_or(i32::MAX)
}
