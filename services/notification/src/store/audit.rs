use duet_channel::store::StoreError;
use duet_channel::store::sqlite::audit::{AuditRows, Finding, Stands, Table};
use rusqlite::{Connection, Result, Row};

/// Notification's rows, as an audit reads them.
#[derive(Clone, Copy, Debug)]
pub struct Notifications;

fn stands(row: &Row<'_>) -> Result<Stands> {
    let (post, user): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(Stands::with_value(
        format!("{post}/{user}"),
        row.get(2)?,
        Some((row.get(3)?, row.get(4)?)),
        (row.get(5)?, row.get(6)?),
    ))
}

impl AuditRows for Notifications {
    fn table(&self) -> Table {
        Table {
            name: "notifications",
            key: &["post", "user"],
            columns: "post, user, kind, store, partitions, epoch, sequence",
            stands,
        }
    }

    /// What owners see: a group's count, and its counts by kind, are those of the rows that are shown in it, and as many groups as are unread
    /// are told.
    fn check(&self, connection: &Connection) -> Result<Vec<Finding>, StoreError> {
        let groups = "SELECT owner, post, '', sum(counted), sum(stand) FROM (
               SELECT owner, post, count AS counted, 0 AS stand FROM groups
               UNION ALL SELECT owner, post, 0, 1 FROM notifications
                 WHERE kind IS NOT NULL AND user <> owner AND decision <> 2
             ) GROUP BY owner, post HAVING sum(counted) <> sum(stand) LIMIT 100";
        let kinds = "SELECT owner, post, ' of kind ' || kind, sum(counted), sum(stand) FROM (
               SELECT owner, post, kind, count AS counted, 0 AS stand FROM kinds
               UNION ALL SELECT owner, post, kind, 0, 1 FROM notifications
                 WHERE kind IS NOT NULL AND user <> owner AND decision <> 2
             ) GROUP BY owner, post, kind HAVING sum(counted) <> sum(stand) LIMIT 100";
        let mut findings = Vec::new();
        for check in [groups, kinds] {
            let mut select = connection.prepare(check)?;
            let found = select.query_map([], |row| {
                let (owner, post, of): (String, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let (counted, stand): (i64, i64) = (row.get(3)?, row.get(4)?);
                let what = format!("the group that {owner} sees counts {counted} reactions{of}, and {stand} are shown in it");
                Ok(Finding::new(what).of_key(post))
            })?;
            for finding in found {
                findings.push(finding?);
            }
        }
        let mut select = connection.prepare(
            "SELECT owner, sum(counted), sum(stand) FROM (
               SELECT owner, count AS counted, 0 AS stand FROM unread_groups
               UNION ALL SELECT owner, 0, 1 FROM groups WHERE newness > read_up_to
             ) GROUP BY owner HAVING sum(counted) <> sum(stand) LIMIT 100",
        )?;
        let found = select.query_map([], |row| {
            let (owner, counted, stand): (String, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let what =
                format!("{owner} is told of {counted} unread groups, and {stand} are unread");
            Ok(Finding::new(what))
        })?;
        for finding in found {
            findings.push(finding?);
        }
        Ok(findings)
    }
}
