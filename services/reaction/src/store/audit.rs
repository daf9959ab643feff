use duet_channel::store::StoreError;
use duet_channel::store::sqlite::audit::{AuditRows, Finding, Stands, Table};
use rusqlite::{Connection, Result, Row};

use crate::domain::Kind;

/// Reaction's rows, as an audit reads them.
#[derive(Clone, Copy, Debug)]
pub struct Reactions;

fn stands(row: &Row<'_>) -> Result<Stands> {
    let (post, user): (String, String) = (row.get(0)?, row.get(1)?);
    let key = format!("{post}/{user}");
    let code: Option<i64> = row.get(2)?;
    // A kind that there is not is no value that any receiver has.
    let kind = code.map(|code| Kind::from_code(code).map_or("no kind", Kind::name));
    let version = (row.get(3)?, row.get(4)?);
    Ok(Stands::with_value(
        key,
        kind.map(str::to_owned),
        None,
        version,
    ))
}

impl AuditRows for Reactions {
    fn table(&self) -> Table {
        Table {
            name: "reactions",
            key: &["post", "user"],
            columns: "post, user, kind, epoch, sequence",
            stands,
        }
    }

    /// The counts that posts are shown with.
    fn check(&self, connection: &Connection) -> Result<Vec<Finding>, StoreError> {
        let mut select = connection.prepare(
            "SELECT post, kind, sum(counted), sum(stand) FROM (
               SELECT post, kind, count AS counted, 0 AS stand FROM counts
               UNION ALL SELECT post, kind, 0, 1 FROM reactions WHERE kind IS NOT NULL
             ) GROUP BY post, kind HAVING sum(counted) <> sum(stand) LIMIT 100",
        )?;
        let findings = select.query_map([], |row| {
            let (post, code): (String, i64) = (row.get(0)?, row.get(1)?);
            let (counted, stand): (i64, i64) = (row.get(2)?, row.get(3)?);
            let kind = Kind::from_code(code).map_or("no kind", Kind::name);
            let what = format!("it counts {counted} reactions of kind {kind}, and {stand} stand");
            Ok(Finding::new(what).of_key(post))
        })?;
        Ok(findings.collect::<Result<_>>()?)
    }
}
