//! What only SQLite's store promises; what every store does is in [`crate::store::conformance`].

mod behind;
mod conformance;
mod kill;
mod limits;
mod opening;

use std::path::PathBuf;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::Generation;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;

/// A table of the service's own.
const TABLE: &str = "CREATE TABLE own (row INTEGER PRIMARY KEY)";

fn options() -> Options {
    Options::new(&[TABLE], Clock::start(), rand::random())
}

fn sending(receivers: &[&str]) -> Options {
    let name = |name: &&str| ReceiverName::new(name).unwrap();
    options().sending(
        Some(receivers.iter().map(name).collect()),
        Generation::FIRST,
    )
}

/// Where a store is, in a directory that is not there yet.
fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("data").join("store.db")
}

fn put(connection: &Connection, row: u32) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO own VALUES (?1)")?
        .execute([row])?;
    Ok(())
}

fn rows(connection: &Connection) -> Result<Vec<u32>, StoreError> {
    let mut select = connection.prepare_cached("SELECT row FROM own ORDER BY row")?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
