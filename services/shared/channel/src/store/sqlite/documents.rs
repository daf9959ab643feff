//! Rows that the store keeps for a sending service whose values are documents: JSON under a key, each change an event that tells the
//! document whole. A service with tables of its own implements [`SendingService`] instead.

use std::convert::Infallible;
use std::marker::PhantomData;

use bytes::Bytes;
use duet_protocol::accept::{Row, Rows, Write};
use duet_protocol::event::{Data, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::receive::Failure;
use duet_protocol::sequence::{Epoch, Sequence, Version};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{signed, unsigned};
use super::error::corrupt;
use crate::sender::SendingService;
use crate::store::StoreError;

/// The table, as a migration of the channel's.
pub(super) const TABLE: &str = "
-- Of a sending service that leaves that to the store: its values, as JSON.
CREATE TABLE documents (
    key         TEXT    PRIMARY KEY,
    value       TEXT,             -- NULL: undone
    epoch       INTEGER NOT NULL, -- with sequence: the event that wrote it
    sequence    INTEGER NOT NULL,
    provisional INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_undone ON documents (epoch, sequence) WHERE value IS NULL;
";

/// A sending service whose values are documents, which the store keeps.
#[derive(Clone, Debug)]
pub struct Documents<T> {
    kind: Box<str>,
    value: PhantomData<fn() -> T>,
}

impl<T> Documents<T> {
    /// Its events are of this CloudEvents type: `com.example.order`.
    pub fn new(kind: impl Into<Box<str>>) -> Self {
        Documents {
            kind: kind.into(),
            value: PhantomData,
        }
    }

    fn data(&self, key: &Key, json: String) -> Data {
        Data {
            kind: self.kind.clone(),
            key: key.clone(),
            json: Bytes::from(json),
        }
    }
}

/// The document that an event of [`Documents`] tells, at a receiver; none if it was undone.
///
/// # Errors
/// If it tells no such document: a newer receiver may know it.
pub fn read<T: DeserializeOwned>(data: &Data) -> Result<Option<T>, Failure> {
    serde_json::from_slice(&data.json)
        .map_err(|error| Failure::new(format!("the data can't be read: {error}")))
}

impl<T> SendingService<Connection> for Documents<T>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static,
{
    type Value = T;
    type Refusal = Infallible;
    type Rows<'t> = DocumentRows<'t, T>;

    fn admit(
        &self,
        _: &Connection,
        _: &Key,
        _: Option<&T>,
    ) -> Result<Result<(), Infallible>, StoreError> {
        Ok(Ok(()))
    }

    fn rows<'t>(&self, connection: &'t Connection) -> DocumentRows<'t, T> {
        DocumentRows {
            connection,
            service: self.clone(),
        }
    }
}

/// The rows of [`Documents`], inside a transaction.
pub struct DocumentRows<'t, T> {
    connection: &'t Connection,
    service: Documents<T>,
}

impl<T: Serialize + DeserializeOwned + Clone + PartialEq> Rows for DocumentRows<'_, T> {
    type Value = T;
    type Error = StoreError;

    fn row(&mut self, key: &Key) -> Result<Option<Row<T>>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT value, epoch, sequence, provisional FROM documents WHERE key = ?1",
        )?;
        let row = select.query_row([key.as_str()], Stored::read);
        row.optional()?.map(Stored::row).transpose()
    }

    fn write(&mut self, key: &Key, write: Write<'_, T>) -> Result<Data, StoreError> {
        let json = serde_json::to_string(&write.value).map_err(refused)?;
        self.connection
            .prepare_cached("REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                key.as_str(),
                write.value.map(|_| &json),
                signed(write.version.epoch.0),
                signed(write.version.sequence.0),
                write.provisional,
            ])?;
        // An undone one keeps an older call's failure from bringing it back, until every receiver holds what undid it. More of
        // them leave than can come.
        self.connection
            .prepare_cached(
                "DELETE FROM documents WHERE key IN (
                   SELECT key FROM documents JOIN epochs USING (epoch)
                   WHERE value IS NULL AND sequence <= forgotten LIMIT 2)",
            )?
            .execute([])?;
        Ok(self.service.data(key, json))
    }

    fn page(
        &mut self,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Row<T>)>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT value, epoch, sequence, provisional, key FROM documents
             WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let after = after.map_or("", Key::as_str);
        let rows = select.query_map(
            params![after, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((row.get::<_, String>(4)?, Stored::read(row)?)),
        )?;
        let row = |row: rusqlite::Result<(String, Stored)>| {
            let (key, stored) = row?;
            let key = Key::new(key).ok_or_else(|| corrupt("a key of no length a key has"))?;
            Ok((key, stored.row()?))
        };
        rows.map(row).collect()
    }

    fn announce(&mut self, key: &Key, value: &T) -> Result<Data, StoreError> {
        let json = serde_json::to_string(&Some(value)).map_err(refused)?;
        Ok(self.service.data(key, json))
    }

    /// Of its JSON, which is what [`Versioned`](super::versions::Versioned) keeps the hash of.
    fn hash(&self, key: &Key, value: &T) -> RollingHash {
        // What was written could be serialized.
        row_hash(key, &serde_json::to_vec(value).unwrap_or_default())
    }
}

/// A row as the table has it.
struct Stored {
    value: Option<String>,
    version: Version,
    provisional: bool,
}

impl Stored {
    /// From the first four columns of a row.
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Stored {
            value: row.get(0)?,
            version: Version {
                epoch: Epoch(unsigned(row.get(1)?)),
                sequence: Sequence(unsigned(row.get(2)?)),
            },
            provisional: row.get(3)?,
        })
    }

    fn row<T: DeserializeOwned>(self) -> Result<Row<T>, StoreError> {
        let value = self.value.map(|json| serde_json::from_str(&json));
        Ok(Row {
            value: value.transpose().map_err(corrupt)?,
            version: self.version,
            provisional: self.provisional,
        })
    }
}

fn refused(error: serde_json::Error) -> StoreError {
    StoreError::NotCommitted(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use duet_protocol::event::TraceContext;
    use duet_protocol::settings::Generation;
    use duet_protocol::time::Timestamp;

    use super::*;

    #[test]
    fn a_document_is_told_whole_and_an_undone_one_goes_once_all_hold_what_undid_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLE).unwrap();
        connection
            .execute_batch("CREATE TABLE epochs (epoch INTEGER, forgotten INTEGER); INSERT INTO epochs VALUES (1, 3)")
            .unwrap();
        let service = Documents::<Vec<u32>>::new("com.example.numbers");
        let mut rows = service.rows(&connection);
        let mut write = |key: &str, sequence, value: Option<&Vec<u32>>| {
            let key = Key::new(key).unwrap();
            let version = Version {
                epoch: Epoch(1),
                sequence: Sequence(sequence),
            };
            let write = Write {
                value,
                version,
                provisional: true,
                restores: false,
                at: Timestamp::default(),
                trace: &TraceContext::default(),
                generation: Generation::FIRST,
            };
            let data = rows.write(&key, write).unwrap();
            let row = rows.row(&key).unwrap();
            (
                read::<Vec<u32>>(&data).unwrap(),
                row.map(|it| (it.value, it.version == version)),
            )
        };
        let numbers = vec![1, 2];
        let stands = (Some(numbers.clone()), Some((Some(numbers.clone()), true)));
        assert_eq!(write("a", 2, Some(&numbers)), stands);
        assert_eq!(
            write("a", 4, None),
            (None, Some((None, true))),
            "some may not hold it"
        );
        assert_eq!(write("b", 3, None), (None, None), "all hold it");
        let data = Data {
            kind: "com.example.numbers".into(),
            key: Key::new("a").unwrap(),
            json: "\"text\"".into(),
        };
        let failure = read::<Vec<u32>>(&data).unwrap_err();
        assert!(
            failure.cause.starts_with("the data can't be read"),
            "{failure}"
        );
    }
}
