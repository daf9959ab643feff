//! Which Channel was in force when: a row for each generation, so that one can tell long after which settings decided something.

use duet_crd::Channel;
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{signed, unsigned};
use super::error::corrupt;
use crate::life;
use crate::settings::InForce;
use crate::store::StoreError;

/// The table, as a migration of the channel's.
pub(super) const TABLE: &str = "
-- The Channel documents that were in force, the latest of them.
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY, -- the store's own count
    resource   INTEGER,             -- the resource's own, where it is one of the Kubernetes API
    since      INTEGER NOT NULL,    -- when it came into force here
    document   TEXT NOT NULL        -- JSON
) STRICT;
";

/// How many are kept.
const KEPT: i64 = 256;

/// Keeps what is in force, once for each generation. The oldest of too many go.
///
/// # Errors
/// Those of SQLite.
pub fn keep(connection: &Connection, in_force: &InForce) -> Result<(), StoreError> {
    let document = serde_json::to_string(&*in_force.document).map_err(corrupt)?;
    let generation = signed(in_force.settings.generation.0);
    let resource = in_force.resource.as_ref().map(|it| signed(it.generation));
    let since = in_force.since.micros();
    connection
        .prepare_cached("INSERT OR IGNORE INTO generations VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![generation, resource, since, document])?;
    connection
        .prepare_cached(
            "DELETE FROM generations WHERE generation <=
               (SELECT generation FROM generations ORDER BY generation DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([KEPT])?;
    Ok(())
}

const COLUMNS: &str = "SELECT generation, resource, since, document,
    (SELECT min(later.since) FROM generations later WHERE later.generation > generations.generation)
  FROM generations";

/// A generation, if it is kept.
pub(super) fn get(
    connection: &Connection,
    generation: Generation,
) -> Result<Option<life::Generation>, StoreError> {
    let mut select = connection.prepare_cached(&format!("{COLUMNS} WHERE generation = ?1"))?;
    let found = select.query_row([signed(generation.0)], read).optional()?;
    found.transpose()
}

/// The newest generation; none if no Channel was ever in force.
pub(super) fn newest(connection: &Connection) -> Result<Option<life::Generation>, StoreError> {
    let newest = format!("{COLUMNS} ORDER BY generation DESC LIMIT 1");
    let found = connection.prepare_cached(&newest)?.query_row([], read);
    found.optional()?.transpose()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<life::Generation, StoreError>> {
    let when = |micros| life::When(Timestamp::from_micros(micros));
    let document: String = row.get(3)?;
    let (generation, resource) = (row.get(0)?, row.get::<_, Option<i64>>(1)?);
    let (since, until) = (when(row.get(2)?), row.get::<_, Option<i64>>(4)?.map(when));
    let document = serde_json::from_str::<Channel>(&document).map_err(corrupt);
    Ok(document.map(|document| life::Generation {
        generation: unsigned(generation),
        resource: resource.map(unsigned),
        since,
        until,
        document,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use duet_protocol::settings::Settings;

    use super::*;

    fn in_force(generation: u64) -> InForce {
        let mut channel = Channel::from_yaml(duet_crd::EXAMPLE).unwrap();
        channel.metadata.generation = Some(generation);
        InForce {
            settings: Arc::new(Settings::try_from(&channel).unwrap()),
            resource: None,
            since: Timestamp::from_micros(i64::try_from(generation).unwrap() * 1_000),
            document: Arc::new(channel),
        }
    }

    #[test]
    fn each_generation_is_kept_once_with_since_when_and_until_and_the_oldest_go() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLE).unwrap();
        assert_eq!(newest(&connection).unwrap(), None);
        let all = u64::try_from(KEPT).unwrap() + 10;
        for generation in 1..=all {
            keep(&connection, &in_force(generation)).unwrap();
        }
        let again = InForce {
            since: Timestamp::from_micros(i64::MAX),
            ..in_force(all)
        };
        keep(&connection, &again).unwrap();

        let found = newest(&connection).unwrap().unwrap();
        assert_eq!(
            (found.generation, found.since, found.until),
            (all, life::When(in_force(all).since), None)
        );
        assert_eq!(found.document, *in_force(all).document);
        let before = get(&connection, Generation(all - 1)).unwrap().unwrap();
        assert_eq!(before.until, Some(found.since));
        let is_kept = |n| get(&connection, Generation(n)).unwrap().is_some();
        assert_eq!([10, 11].map(is_kept), [false, true]);
    }
}
