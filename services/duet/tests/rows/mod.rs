//! What both stores hold of each pair of post and user, read from their files beside the services that have them open.
#![allow(dead_code, reason = "not every test program asks everything")]

use duet_testkit::{Pair, Service};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;

/// The reactions that stand: their kind, by post and user.
pub(crate) type Rows = BTreeMap<(String, String), String>;

const REACTIONS: &str = "SELECT post, user, kind FROM (SELECT post, user,
    CASE kind WHEN 1 THEN 'like' WHEN 2 THEN 'love' WHEN 3 THEN 'laugh' WHEN 4 THEN 'wow' WHEN 5 THEN 'sad'
    WHEN 6 THEN 'angry' END AS kind, epoch FROM reactions) WHERE kind IS NOT NULL";
const NOTIFICATIONS: &str = "SELECT post, user, kind FROM notifications WHERE kind IS NOT NULL";

/// Compares all rows, and says how many pairs both hold. To be asked when nothing is under way.
///
/// # Panics
/// If they differ.
pub(crate) fn equal(pair: &Pair) -> usize {
    let (sent, received) = (at_reaction(pair), at_notification(pair));
    let differing = |a: &Rows, b: &Rows| -> Vec<String> {
        let missing = a.iter().filter(|(pair, kind)| b.get(pair) != Some(kind));
        missing
            .map(|(pair, kind)| format!("{pair:?}: {kind}"))
            .take(10)
            .collect()
    };
    let (only_sent, only_received) = (differing(&sent, &received), differing(&received, &sent));
    assert!(
        only_sent.is_empty() && only_received.is_empty(),
        "{} rows of Reaction, {} of Notification; only in Reaction: {only_sent:#?}; only in Notification: {only_received:#?}",
        sent.len(),
        received.len()
    );
    sent.len()
}

/// The reactions that stand at Reaction now.
pub(crate) fn at_reaction(pair: &Pair) -> Rows {
    read(&pair.reaction, REACTIONS)
}

/// Those of them that a receiver is to have: what was written since it joined.
pub(crate) fn since_joined(pair: &Pair, receiver: &str) -> Rows {
    let query = format!(
        "{REACTIONS} AND epoch >= ifnull((SELECT ifnull(rows_since, begins.epoch) FROM begins
            JOIN receivers ON receivers.id = receiver WHERE name = '{receiver}'), 0)"
    );
    read(&pair.reaction, &query)
}

/// Those that stand at Notification.
pub(crate) fn at_notification(pair: &Pair) -> Rows {
    read(&pair.notification, NOTIFICATIONS)
}

/// Those of the last hour that stand at Trending.
pub(crate) fn at_trending(pair: &Pair) -> Rows {
    read(pair.trending(), "SELECT post, user, kind FROM reactions")
}

/// How many rows there are of a table, or of what is left of it by a condition.
pub(crate) fn count(service: &Service, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    asked(service, |connection| {
        connection.query_row(&query, [], |row| row.get(0))
    })
}

fn read(service: &Service, query: &str) -> Rows {
    asked(service, |connection| {
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        rows.collect()
    })
}

fn asked<T>(service: &Service, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
    let file = format!("{}.sqlite", service.name());
    let file = service.data_dir().join(file);
    let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let answer = connection.and_then(|connection| ask(&connection));
    answer.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
