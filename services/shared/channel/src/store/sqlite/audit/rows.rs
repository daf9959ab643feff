//! The rows that the store keeps for services that leave it that.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{AuditRows, Stands};
use crate::store::StoreError;
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
    fn page(
        &self,
        connection: &Connection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stands>, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT key, store, partitions, epoch, sequence, hash FROM versions WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after.unwrap_or_default(), limit], version)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn of(&self, connection: &Connection, key: &str) -> Result<Option<Stands>, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT key, store, partitions, epoch, sequence, hash FROM versions WHERE key = ?1",
        )?;
        Ok(select.query_row([key], version).optional()?)
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
    fn page(
        &self,
        connection: &Connection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stands>, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT key, value, epoch, sequence FROM documents WHERE key > ?1 ORDER BY key LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after.unwrap_or_default(), limit], document)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn of(&self, connection: &Connection, key: &str) -> Result<Option<Stands>, StoreError> {
        let mut select = connection
            .prepare_cached("SELECT key, value, epoch, sequence FROM documents WHERE key = ?1")?;
        Ok(select.query_row([key], document).optional()?)
    }
}
