//! Reading a store's tables for an audit: what they say, and whether they agree with one another. Nothing is written, and nothing is
//! believed that can be recomputed.
//!
//! Each read is one snapshot. It goes over all rows, a page at a time: seconds for a million.

/// How much is not accounted for.
pub mod imbalance;
mod receiver;
mod rows;
mod sender;
mod table;

use duet_protocol::event::{EventId, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId};
use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::sqlite::codec::unsigned;

pub use receiver::{AtReceiver, HeldEpoch, HeldLane, ReceiverTables, at_receiver, receiver};
pub use rows::{Documents, Versions};
pub use sender::{Begin, Said, SenderTables, SentEpoch, sender};
pub use table::Table;

/// What tables say that can't be, by key, source and sequence as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The service whose store it is in; empty where the reader is told by whom it asked.
    pub store: String,
    /// The row's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The source of the event that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its sequence there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// In a sentence.
    pub what: String,
}

impl Finding {
    /// In this table, of nothing in particular.
    pub fn new(what: impl Into<String>) -> Self {
        Finding {
            what: what.into(),
            ..Finding::default()
        }
    }

    /// About a row.
    pub fn of_key(self, key: impl Into<String>) -> Self {
        Finding {
            key: Some(key.into()),
            ..self
        }
    }

    /// About a source.
    pub fn of_source(self, source: Source) -> Self {
        Finding {
            source: Some(source.to_string()),
            ..self
        }
    }

    /// About an event.
    pub fn of_event(self, event: EventId) -> Self {
        Finding {
            sequence: Some(event.sequence.0),
            ..self.of_source(event.source)
        }
    }
}

/// At most so many findings of one kind are told: who altered a table by hand learns nothing from a million.
pub const MOST: usize = 100;

/// What a service's row says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stands {
    /// The key.
    pub key: String,
    /// What it adds to the digest of the state; none if nothing stands.
    pub hash: Option<u64>,
    /// The value, for people, where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The event that wrote it: its store, and into how many partitions that is divided. None at a sender, whose own it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<(u64, u16)>,
    /// That event's epoch,
    pub epoch: u64,
    /// and sequence.
    pub sequence: u64,
}

impl Stands {
    /// A row that keeps its value, with its numbers as SQLite's columns have them: the store and partitions of the event that wrote it,
    /// where they are kept, and that event's epoch and sequence.
    pub fn with_value(
        key: String,
        value: Option<String>,
        lane: Option<(i64, u16)>,
        (epoch, sequence): (i64, i64),
    ) -> Self {
        let hash = Key::new(&*key).zip(value.as_ref());
        Stands {
            hash: hash.map(|(key, value)| row_hash(&key, value.as_bytes()).0),
            key,
            value,
            lane: lane.map(|(store, partitions)| (unsigned(store), partitions)),
            epoch: unsigned(epoch),
            sequence: unsigned(sequence),
        }
    }

    /// The event that wrote the row, where it came from `lane` if the row does not say.
    pub fn event(&self, own: Option<(u64, u16)>) -> Option<EventId> {
        let (store, partitions) = self.lane.or(own)?;
        let partition = Key::new(&*self.key)?.partition(partitions);
        let lane = Lane {
            store: StoreId(store),
            partitions,
            partition,
        };
        Some(EventId {
            source: lane.source(Epoch(self.epoch)),
            sequence: Sequence(self.sequence),
        })
    }
}

/// A service's rows, as an audit reads them.
pub trait AuditRows: std::fmt::Debug + Send + Sync + 'static {
    /// Where they are.
    fn table(&self) -> Table;

    /// Up to `limit` rows in an order of the table's own, from the one after `after` on; also those of which nothing stands.
    ///
    /// # Errors
    /// Those of the tables.
    fn page(
        &self,
        connection: &Connection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stands>, StoreError> {
        self.table().page(connection, after, limit)
    }

    /// The row of a key, if there is one.
    ///
    /// # Errors
    /// Those of the tables.
    fn of(&self, connection: &Connection, key: &str) -> Result<Option<Stands>, StoreError> {
        self.table().of(connection, key)
    }

    /// Whether tables that sum up others agree with them.
    ///
    /// # Errors
    /// Those of the tables.
    fn check(&self, connection: &Connection) -> Result<Vec<Finding>, StoreError> {
        let _ = connection;
        Ok(Vec::new())
    }

    /// Whether the service keeps all that its sender has.
    fn keeps_all(&self) -> bool {
        true
    }
}

/// One state of the tables for all that is read: a transaction of its own, unless the caller has one.
fn snapshot(connection: &Connection) -> Result<Option<Transaction<'_>>, StoreError> {
    let begin = connection.is_autocommit();
    Ok(begin
        .then(|| connection.unchecked_transaction())
        .transpose()?)
}

/// How many rows are read at once.
const PAGE: usize = 1_000;

/// Every row of a service, a page at a time.
pub(super) fn each(
    connection: &Connection,
    rows: &dyn AuditRows,
    mut see: impl FnMut(&Stands),
) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let page = rows.page(connection, after.as_deref(), PAGE)?;
        page.iter().for_each(&mut see);
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}

/// A lane from its three columns.
fn lane(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Lane> {
    Ok(Lane {
        store: StoreId(row.get::<_, i64>(at)?.cast_unsigned()),
        partitions: row.get(at + 1)?,
        partition: Partition(row.get(at + 2)?),
    })
}

/// What [`Stands::hash`] comes to in a sum.
pub(super) fn hash(stands: &Stands) -> RollingHash {
    RollingHash(stands.hash.unwrap_or_default())
}
