//! Versions that the store keeps for a receiving service, key by key, so that the service's own tables need not: all it brings is what
//! an event changes. It costs a row a key beside the service's own.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId, Version};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;
use futures::future::BoxFuture;
use opentelemetry::KeyValue;
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use super::codec::{signed, unsigned};
use super::error::corrupt;
use super::inbox::lane;
use super::savepoint::in_savepoint;
use crate::life::{Applied, Name, When};
use crate::receiver::ReceivingService;
use crate::store::StoreError;

/// The table, as a migration of the channel's.
pub(super) const TABLE: &str = "
-- Of a receiving service that leaves that to the store: the version that each of its keys holds.
CREATE TABLE versions (
    key        TEXT    PRIMARY KEY,
    gone       INTEGER NOT NULL, -- the service has nothing of it: the row goes once nothing older can come
    store      INTEGER NOT NULL, -- with partitions and partition: the lane of the event that it is of
    partitions INTEGER NOT NULL,
    partition  INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_gone ON versions (store, partitions, partition, epoch, sequence) WHERE gone;
";

/// What came to the table later, as another migration.
pub(super) const APPLIED: &str = "
ALTER TABLE versions ADD COLUMN applied INTEGER; -- when its event was applied, in microseconds since 1970; NULL in rows from before
";

/// What a service has of a key after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Something.
    Something,
    /// Nothing: that it was there may be forgotten once nothing older of the key can come any more.
    Nothing,
}

/// What a change came to: what is kept of the key, or why it could not be made; or why the transaction can't go on.
pub type Changed = Result<Result<Kept, Failure>, StoreError>;

/// What a receiving service brings that leaves its keys' versions to the store, as [`Versioned`].
pub trait Changes: Send + Sync + 'static {
    /// Changes the service's tables as an event says that is newer than all that were applied of its key. What a [`Failure`] has
    /// written is taken back.
    ///
    /// # Errors
    /// Those of the tables; then the whole transaction is rolled back.
    fn change(&self, connection: &Connection, event: &Event, data: &Data) -> Changed;

    /// Whether the event is a job: its work takes longer than a message or a call may take. It is then done by [`Changes::run`], outside
    /// any transaction, and what that returns is the data that [`Changes::change`] gets.
    fn is_job(&self, event: &Event) -> bool {
        let _ = event;
        false
    }

    /// Does a job's work: see [`ReceivingService::run`].
    fn run(&self, event: Event, stop: CancellationToken) -> BoxFuture<'_, Result<Bytes, Failure>> {
        let _ = (event, stop);
        Box::pin(async { Err(Failure::new("the service has no jobs")) })
    }

    /// Drops what the service has of a key: after a resync, because the sender has nothing of it. It may have nothing of it already.
    ///
    /// # Errors
    /// Those of the tables.
    fn remove(&self, connection: &Connection, key: &Key) -> Result<(), StoreError>;

    /// What stands of the key after an event, in the words in which its sender's rows are hashed: the event's JSON, unless that is
    /// `null`. That the sender's state has arrived whole is told from it.
    fn stands<'d>(&self, data: &'d Data) -> Option<Cow<'d, [u8]>> {
        (*data.json != *b"null").then_some(Cow::Borrowed(&data.json))
    }

    /// Whether the service keeps all that its sender has. One that forgets some of it by itself can't be compared as a whole.
    fn keeps_all(&self) -> bool {
        true
    }

    /// What an event's spans tell of it, asked of recorded events only.
    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        let _ = event;
        Vec::new()
    }
}

/// A service whose keys' versions the store keeps. Cheap to clone.
#[derive(Clone)]
pub struct Versioned(Arc<dyn Changes>);

impl Versioned {
    /// Keeps the versions of this service's keys.
    pub fn new(service: impl Changes) -> Self {
        Versioned(Arc::new(service))
    }
}

impl ReceivingService<Connection> for Versioned {
    type Rows<'t> = VersionedRows<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> VersionedRows<'t> {
        VersionedRows {
            connection,
            service: self.0.clone(),
            now: None,
            last_read: None,
            changes: Vec::new(),
        }
    }

    fn run(
        &self,
        event: Event,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send {
        self.0.run(event, stop)
    }

    fn count(
        &self,
        connection: &Connection,
        below: Option<Epoch>,
    ) -> Result<Vec<(StoreId, u64)>, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT store, count(*) FROM versions WHERE NOT gone AND (?1 IS NULL OR epoch < ?1) GROUP BY store",
        )?;
        let below = below.map(|below| signed(below.0));
        let of_each = select.query_map([below], |row| {
            Ok((StoreId(unsigned(row.get(0)?)), unsigned(row.get(1)?)))
        })?;
        Ok(of_each.collect::<Result<_, _>>()?)
    }

    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        self.0.describe(event)
    }

    fn applied(&self, connection: &Connection, key: &Key) -> Result<Option<Applied>, StoreError> {
        applied(connection, key)
    }
}

/// What the version that is kept of a key tells.
///
/// # Errors
/// Those of SQLite.
pub fn applied(connection: &Connection, key: &Key) -> Result<Option<Applied>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT store, partitions, partition, epoch, sequence, gone, applied FROM versions WHERE key = ?1",
    )?;
    let row = select.query_row([key.as_str()], |row| {
        let version = Version {
            epoch: Epoch(unsigned(row.get(3)?)),
            sequence: Sequence(unsigned(row.get(4)?)),
        };
        let gone: bool = row.get(5)?;
        let applied: Option<i64> = row.get(6)?;
        Ok(Applied {
            event: Name::of(lane(row)?, version),
            value: (!gone).then(|| "kept".to_owned()),
            decision: None,
            owner: None,
            applied: applied.map(|micros| When(Timestamp::from_micros(micros))),
        })
    });
    Ok(row.optional()?)
}

/// The keys of a [`Versioned`] service, inside a transaction.
pub struct VersionedRows<'t> {
    connection: &'t Connection,
    service: Arc<dyn Changes>,
    now: Option<Timestamp>,
    /// What the key held that was read last.
    last_read: Option<(Key, Option<Held>)>,
    /// How the digest of the state has changed.
    changes: Vec<(Source, RollingHash)>,
}

/// What a key's row holds.
#[derive(Clone, Copy)]
struct Held {
    source: Source,
    sequence: Sequence,
    hash: RollingHash,
}

impl VersionedRows<'_> {
    fn read(&self, key: &Key) -> Result<Option<Held>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT store, partitions, partition, epoch, sequence, hash FROM versions WHERE key = ?1",
        )?;
        let held = |row: &rusqlite::Row<'_>| {
            let lane = Lane {
                store: StoreId(unsigned(row.get(0)?)),
                partitions: row.get(1)?,
                partition: Partition(row.get(2)?),
            };
            Ok(Held {
                source: lane.source(Epoch(unsigned(row.get(3)?))),
                sequence: Sequence(unsigned(row.get(4)?)),
                hash: RollingHash(unsigned(row.get(5)?)),
            })
        };
        Ok(select.query_row([key.as_str()], held).optional()?)
    }
}

impl Apply for VersionedRows<'_> {
    type Error = StoreError;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        let held = self.read(key)?;
        self.last_read = Some((key.clone(), held));
        Ok(held.map(|held| held.source.version(held.sequence)))
    }

    fn applies_at(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, StoreError> {
        let change = |connection: &Connection| self.service.change(connection, event, data);
        let kept = match in_savepoint(self.connection, change)? {
            Ok(kept) => kept,
            Err(failure) => return Ok(Err(failure)),
        };
        let before = match self.last_read.take() {
            Some((key, held)) if key == data.key => held,
            _ => self.read(&data.key)?,
        };
        // Of a job's event, what its sender's row holds, and not what came of the job.
        let stands = self.service.stands(event.data().unwrap_or(data));
        let hash = stands.map_or_else(RollingHash::default, |value| row_hash(&data.key, &value));
        if let Some(before) = before {
            let gone = RollingHash::default() - before.hash;
            self.changes.push((before.source, gone));
        }
        self.changes.push((event.source, hash));
        let Lane {
            store,
            partitions,
            partition,
        } = event.source.lane;
        self.connection
            .prepare_cached("REPLACE INTO versions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                data.key.as_str(),
                kept == Kept::Nothing,
                signed(store.0),
                partitions,
                partition.0,
                signed(event.source.epoch.0),
                signed(event.sequence.0),
                self.now.map(Timestamp::micros),
                signed(hash.0),
            ])?;
        Ok(Ok(None))
    }

    fn is_job(&mut self, event: &Event) -> bool {
        self.service.is_job(event)
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT key FROM versions
             WHERE gone AND store = ?1 AND partitions = ?2 AND partition = ?3 AND (epoch, sequence) <= (?4, ?5)
             ORDER BY epoch, sequence LIMIT ?6",
        )?;
        let Lane {
            store,
            partitions,
            partition,
        } = lane;
        let keys = select.query_map(
            params![
                signed(store.0),
                partitions,
                partition.0,
                signed(up_to.epoch.0),
                signed(up_to.sequence.0),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ],
            |row| row.get::<_, String>(0),
        )?;
        let keys = keys.filter_map(|key| key.map(Key::new).transpose());
        Ok(keys.collect::<Result<_, _>>()?)
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM versions WHERE key = ?1 AND gone")?
            .execute([key.as_str()])?;
        Ok(())
    }

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT key, epoch, gone, store, partitions, partition, hash FROM versions
             WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let after = after.map_or("", Key::as_str);
        let looked_at = select.query_map(
            params![after, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                let lane = Lane {
                    store: StoreId(unsigned(row.get(3)?)),
                    partitions: row.get(4)?,
                    partition: Partition(row.get(5)?),
                };
                let source = lane.source(Epoch(unsigned(row.get(1)?)));
                let hash = RollingHash(unsigned(row.get(6)?));
                Ok((
                    row.get::<_, String>(0)?,
                    source,
                    row.get::<_, bool>(2)?,
                    hash,
                ))
            },
        )?;
        let looked_at = looked_at.collect::<Result<Vec<_>, _>>()?;
        let mut swept = Swept::default();
        for (key, source, is_gone, hash) in looked_at {
            let key = Key::new(key).ok_or_else(|| corrupt("a key of no length a key has"))?;
            if sweep.takes(&key, source.epoch) {
                self.changes.push((source, RollingHash::default() - hash));
                if !is_gone {
                    self.service.remove(self.connection, &key)?;
                }
                self.connection
                    .prepare_cached("DELETE FROM versions WHERE key = ?1")?
                    .execute([key.as_str()])?;
                swept.removed += 1;
            }
            swept.last = Some(key);
        }
        Ok(swept)
    }

    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        let changes = std::mem::take(&mut self.changes);
        self.service.keeps_all().then_some(changes)
    }
}

/// The service has nothing of a key any more, by its own doing and not by an event: it was too old, say. Its version is kept as long
/// as something older may come, and would bring it back.
///
/// # Errors
/// Those of SQLite.
pub fn gone(connection: &Connection, key: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE versions SET gone = 1 WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use duet_protocol::event::Body;

    use super::*;
    use crate::transport::conformance::Events;

    /// Keeps the last text of each key; `bad` can't be, after something was written.
    struct Texts;

    impl Changes for Texts {
        fn change(&self, connection: &Connection, _: &Event, data: &Data) -> Changed {
            let (key, text) = (data.key.as_str(), &*data.kind);
            connection.execute("REPLACE INTO texts VALUES (?1, ?2)", [key, text])?;
            Ok(match text {
                "bad" => Err(Failure::new("it is bad")),
                "" => Ok(Kept::Nothing),
                _ => Ok(Kept::Something),
            })
        }

        fn remove(&self, connection: &Connection, key: &Key) -> Result<(), StoreError> {
            connection.execute("DELETE FROM texts WHERE key = ?1", [key.as_str()])?;
            Ok(())
        }
    }

    fn event(sequence: u64, key: &str, text: &str) -> (Event, Data) {
        let data = Data {
            kind: text.into(),
            key: Key::new(key).unwrap(),
            json: "{}".into(),
        };
        let mut event = Events::of(1).one();
        event.sequence = Sequence(sequence);
        event.body = Body::Data(data.clone());
        (event, data)
    }

    #[test]
    fn a_version_is_held_until_its_key_is_gone_and_nothing_older_can_come() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLE).unwrap();
        connection.execute_batch(APPLIED).unwrap();
        let add = "ALTER TABLE versions ADD COLUMN hash INTEGER NOT NULL DEFAULT 0";
        connection.execute_batch(add).unwrap();
        connection
            .execute_batch("CREATE TABLE texts (key PRIMARY KEY, text)")
            .unwrap();
        let service = Versioned::new(Texts);
        let mut rows = service.rows(&connection);
        for (sequence, key, text) in [(2, "a", "one"), (3, "b", ""), (5, "c", "two")] {
            let (event, data) = event(sequence, key, text);
            assert_eq!(rows.apply(&event, &data).unwrap(), Ok(None));
            assert_eq!(rows.held(&data.key).unwrap(), Some(event.version()));
        }
        let (bad, data) = event(6, "c", "bad");
        rows.apply(&bad, &data).unwrap().unwrap_err();
        let text: String = connection
            .query_row("SELECT text FROM texts WHERE key = 'c'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(text, "two", "what failed has written nothing");
        assert_eq!(rows.held(&data.key).unwrap().unwrap().sequence, Sequence(5));

        let count = |below| service.count(&connection, below).unwrap();
        assert_eq!(count(None), [(bad.source.lane.store, 2)], "b is gone");
        assert_eq!(count(Some(bad.source.epoch)), []);

        gone(&connection, "c").unwrap();
        let mut tombstones = |up_to| {
            let up_to = bad.source.version(Sequence(up_to));
            let keys = rows.tombstones(bad.source.lane, up_to, 10).unwrap();
            keys.iter()
                .map(|key| key.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (tombstones(4), tombstones(5)),
            (vec!["b".to_owned()], vec!["b".to_owned(), "c".to_owned()])
        );
        for key in ["a", "b"].map(|key| Key::new(key).unwrap()) {
            rows.drop_tombstone(&key).unwrap();
        }
        let held = ["a", "b"].map(|key| rows.held(&Key::new(key).unwrap()).unwrap().is_some());
        assert_eq!(held, [true, false], "what stands keeps its version");
    }
}
