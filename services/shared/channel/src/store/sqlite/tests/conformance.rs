//! The suite of every store, over this one.

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Connection, SqliteStore, StoreError, file, sending};
use crate::store::CommittedGroup;
use crate::store::conformance::{Opening, Subject};

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Sqlite(TempDir::new().unwrap())
    }
}

impl Subject for Sqlite {
    type Store = SqliteStore;

    async fn open(
        &self,
        opening: Opening,
    ) -> (SqliteStore, mpsc::UnboundedReceiver<CommittedGroup>) {
        let mut options = sending(opening.receivers);
        options.jobs_waiting = opening.jobs_waiting;
        SqliteStore::open(&file(&self.0), options).unwrap()
    }

    fn put(connection: &Connection, row: u32) -> Result<(), StoreError> {
        super::put(connection, row)
    }

    fn rows(connection: &Connection) -> Result<Vec<u32>, StoreError> {
        super::rows(connection)
    }
}

crate::store_conformance!(Sqlite::new());
