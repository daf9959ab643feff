use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::Stands;
use crate::store::StoreError;

/// A table of rows by key.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that make the key: one, or two, between which a key has a slash.
    pub key: &'static [&'static str],
    /// The columns that are read.
    pub columns: &'static str,
    /// What they say.
    pub stands: fn(&Row<'_>) -> rusqlite::Result<Stands>,
}

impl Table {
    pub(super) fn page(
        &self,
        connection: &Connection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stands>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Some(parts) = self.parts(after.unwrap_or_default()) else {
            return Ok(Vec::new()); // no key, so nothing comes after it
        };
        let keys = self.key.join(", ");
        let select = self.select(&format!(
            "({keys}) > ({}) ORDER BY {keys} LIMIT {limit}",
            self.marks()
        ));
        let mut select = connection.prepare_cached(&select)?;
        let rows = select.query_map(&*params(&parts), self.stands)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn of(
        &self,
        connection: &Connection,
        key: &str,
    ) -> Result<Option<Stands>, StoreError> {
        let Some(parts) = self.parts(key) else {
            return Ok(None);
        };
        let select = self.select(&format!("({}) = ({})", self.key.join(", "), self.marks()));
        let mut select = connection.prepare_cached(&select)?;
        let row = select.query_row(&*params(&parts), self.stands);
        Ok(row.optional()?)
    }

    fn select(&self, of: &str) -> String {
        format!("SELECT {} FROM {} WHERE {of}", self.columns, self.name)
    }

    fn marks(&self) -> &'static str {
        if self.key.len() == 1 { "?" } else { "?, ?" }
    }

    /// A key in its columns; none if it is none of this table's. The empty key is before all.
    fn parts<'k>(&self, key: &'k str) -> Option<Vec<&'k str>> {
        match (self.key.len(), key) {
            (1, _) => Some(vec![key]),
            (_, "") => Some(vec!["", ""]),
            _ => key.split_once('/').map(|(one, two)| vec![one, two]),
        }
    }
}

fn params<'p>(parts: &'p [&str]) -> Vec<&'p dyn ToSql> {
    parts.iter().map(|part| part as &dyn ToSql).collect()
}
