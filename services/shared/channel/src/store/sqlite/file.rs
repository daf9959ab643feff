//! A store's file, read while no process serves it: for whoever asks afterwards. Nothing is written, and no lock is taken.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::schema;
use crate::store::StoreError;

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("there is no store {}", .0.display())]
    Missing(PathBuf),
    /// It is no store of Duet's.
    #[error("{} is no store of Duet's", .0.display())]
    Foreign(PathBuf),
    /// Its tables are of another version: whoever opens it to serve brings an older one up to date.
    #[error("the store {} is of another version than this program; start its service with this version once", .0.display())]
    OtherSchema(PathBuf),
    /// It can't be read.
    #[error("the store {} can't be read: {error}", .path.display())]
    Store {
        /// The store's file.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

/// Reads a file whose service's own tables have had as many migrations as this version knows.
///
/// # Errors
/// [`FileError`]; no file is made where there is none.
pub fn read<R>(
    path: &Path,
    migrations: &[&str],
    job: impl FnOnce(&Connection) -> Result<R, StoreError>,
) -> Result<R, FileError> {
    if !path.exists() {
        return Err(FileError::Missing(path.to_owned()));
    }
    let unread = |error: StoreError| FileError::Store {
        path: path.to_owned(),
        error,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| unread(error.into()))?;
    match schema::versions(&connection).map_err(|error| unread(error.into()))? {
        Err(schema::Foreign) | Ok(None) => Err(FileError::Foreign(path.to_owned())),
        Ok(Some(found))
            if found.channel != schema::CHANNEL.len() || found.service != migrations.len() =>
        {
            Err(FileError::OtherSchema(path.to_owned()))
        }
        Ok(Some(_)) => job(&connection).map_err(unread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::Store;
    use crate::store::sqlite::{Options, SqliteStore};

    const OWN: &[&str] = &["CREATE TABLE own (row INTEGER PRIMARY KEY)"];

    #[tokio::test]
    async fn a_file_is_read_served_or_not_and_never_made_or_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let count = |connection: &Connection| {
            let count = "SELECT count(*) FROM own";
            Ok(connection.query_row(count, [], |row| row.get::<_, i64>(0))?)
        };
        let refused = |migrations: &[&str]| read(&path, migrations, count).unwrap_err();
        assert!(matches!(refused(OWN), FileError::Missing(_)));
        assert!(!path.exists());

        let options = Options::new(OWN, Clock::start(), 1);
        let (store, _) = SqliteStore::open(&path, options).unwrap();
        let insert = |tx: &mut crate::store::sqlite::SqliteTx<'_>| {
            crate::store::Transaction::connection(tx).execute("INSERT INTO own VALUES (1)", [])?;
            Ok(())
        };
        store.write(insert).await.unwrap();
        assert_eq!(read(&path, OWN, count).unwrap(), 1, "while it is served");
        store.close().await;
        assert_eq!(read(&path, OWN, count).unwrap(), 1);
        assert!(matches!(refused(&[]), FileError::OtherSchema(_)));
        let writes = |connection: &Connection| Ok(connection.execute("DELETE FROM own", [])?);
        assert!(matches!(
            read(&path, OWN, writes),
            Err(FileError::Store { .. })
        ));

        std::fs::remove_file(&path).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (a)")
            .unwrap();
        assert!(matches!(refused(OWN), FileError::Foreign(_)));
    }
}
