//! What both stores hold of each pair of post and user, read from their files beside the services that have them open.

use duet_testkit::Pair;
use rusqlite::{Connection, OpenFlags};
use std::{collections::BTreeMap, path::Path};

/// The reactions that stand: their kind, by post and user.
pub(crate) type Rows = BTreeMap<(String, String), String>;

const REACTIONS: &str = "SELECT post, user, kind FROM (SELECT post, user,
    CASE kind WHEN 1 THEN 'like' WHEN 2 THEN 'love' WHEN 3 THEN 'laugh' WHEN 4 THEN 'wow' WHEN 5 THEN 'sad'
    WHEN 6 THEN 'angry' END AS kind FROM reactions) WHERE kind IS NOT NULL";
const NOTIFICATIONS: &str = "SELECT post, user, kind FROM notifications WHERE kind IS NOT NULL";

/// Compares all rows, and says how many pairs both hold. To be asked when nothing is under way.
///
/// # Panics
/// If they differ.
pub(crate) fn equal(pair: &Pair) -> usize {
    let sent = read(&pair.reaction.data_dir().join("reaction.sqlite"), REACTIONS);
    let received = read(
        &pair.notification.data_dir().join("notification.sqlite"),
        NOTIFICATIONS,
    );
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

/// How many pairs stand at Reaction now.
#[allow(dead_code, reason = "not every test program asks")]
pub(crate) fn sent(pair: &Pair) -> usize {
    read(&pair.reaction.data_dir().join("reaction.sqlite"), REACTIONS).len()
}

fn read(file: &Path, query: &str) -> Rows {
    let read = || -> rusqlite::Result<Rows> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        rows.collect()
    };
    read().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
