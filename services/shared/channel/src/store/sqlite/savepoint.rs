//! A part of a transaction that can be taken back alone.

use duet_protocol::receive::Failure;
use rusqlite::Connection;

use crate::store::StoreError;

/// Runs `apply` so that a [`Failure`] has written nothing, as [`Apply::apply`](duet_protocol::receive::Apply::apply) promises.
///
/// An apply that fails before its first statement does not need this, and is cheaper without.
///
/// # Errors
/// Those of `apply` and of SQLite; then the whole transaction is to be rolled back.
pub fn in_savepoint<T>(
    connection: &Connection,
    apply: impl FnOnce(&Connection) -> Result<Result<T, Failure>, StoreError>,
) -> Result<Result<T, Failure>, StoreError> {
    run(connection, "SAVEPOINT apply")?;
    let applied = apply(connection)?;
    if applied.is_err() {
        run(connection, "ROLLBACK TO apply")?;
    }
    run(connection, "RELEASE apply")?;
    Ok(applied)
}

/// Runs a statement that has neither parameters nor rows.
pub(super) fn run(connection: &Connection, statement: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
