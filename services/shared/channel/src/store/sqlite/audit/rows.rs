//! The rows that the store keeps for services that leave it that.

use rusqlite::Row;

use super::{AuditRows, Stands, Table};
use crate::store::sqlite::codec::unsigned;

/// The rows of a [`Versioned`](crate::store::sqlite::versions::Versioned) service.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// Whether the service keeps all that its sender has.
    pub keeps_all: bool,
}

fn version(row: &Row<'_>) -> rusqlite::Result<Stands> {
    let hash = unsigned(row.get(5)?);
    Ok(Stands {
        key: row.get(0)?,
        hash: (hash != 0).then_some(hash),
        value: None,
        lane: Some((unsigned(row.get(1)?), row.get(2)?)),
        epoch: unsigned(row.get(3)?),
        sequence: unsigned(row.get(4)?),
    })
}

impl AuditRows for Versions {
    fn table(&self) -> Table {
        Table {
            name: "versions",
            key: &["key"],
            columns: "key, store, partitions, epoch, sequence, hash",
            stands: version,
        }
    }

    fn keeps_all(&self) -> bool {
        self.keeps_all
    }
}

/// The rows of a [`Documents`](crate::store::sqlite::documents::Documents) service.
#[derive(Clone, Copy, Debug)]
pub struct Documents;

fn document(row: &Row<'_>) -> rusqlite::Result<Stands> {
    let version = (row.get(2)?, row.get(3)?);
    Ok(Stands::with_value(row.get(0)?, row.get(1)?, None, version))
}

impl AuditRows for Documents {
    fn table(&self) -> Table {
        Table {
            name: "documents",
            key: &["key"],
            columns: "key, value, epoch, sequence",
            stands: document,
        }
    }
}
