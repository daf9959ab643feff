//! What a service writes behind.

use std::sync::Mutex;

use super::*;
use crate::store::Transaction;

/// Rows that are to be written before the commit.
#[derive(Default)]
struct Behind(Mutex<Vec<u32>>);

impl WriteBehind for Behind {
    fn write_back(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut rows = self.0.lock().unwrap();
        rows.drain(..).try_for_each(|row| put(connection, row))
    }

    fn rolled_back(&self) {
        self.0.lock().unwrap().clear();
    }
}

async fn opened(directory: &TempDir) -> (SqliteStore, Arc<Behind>) {
    let (store, _) = SqliteStore::open(&file(directory), options()).unwrap();
    let behind = Arc::<Behind>::default();
    let own = behind.clone();
    let job = move |tx: &mut SqliteTx<'_>| {
        tx.write_behind(own.clone());
        Ok(())
    };
    store.write(job).await.unwrap();
    (store, behind)
}

#[tokio::test]
async fn what_is_written_behind_is_committed_with_its_job_and_dropped_with_one_that_fails() {
    let directory = TempDir::new().unwrap();
    let (store, behind) = opened(&directory).await;
    let job = |row: u32| {
        let behind = behind.clone();
        store.write(move |_| {
            behind.0.lock().unwrap().push(row);
            match row % 3 {
                0 => Err(StoreError::Overloaded),
                _ => Ok(()),
            }
        })
    };
    let jobs: Vec<_> = (1..=6).map(job).collect();
    for (row, written) in (1..).zip(futures::future::join_all(jobs).await) {
        assert_eq!(written.is_ok(), row % 3 != 0, "{row}");
    }
    assert_eq!(store.read(rows).await.unwrap(), [1, 2, 4, 5]);
    store.close().await;
}

#[tokio::test]
async fn what_is_tried_and_taken_back_leaves_what_was_to_be_written_before_it() {
    let directory = TempDir::new().unwrap();
    let (store, behind) = opened(&directory).await;
    let job = move |tx: &mut SqliteTx<'_>| {
        behind.0.lock().unwrap().push(1);
        tx.rolled_back(|_| {
            behind.0.lock().unwrap().push(2);
            Ok(())
        })?;
        behind.0.lock().unwrap().push(3);
        Ok(())
    };
    store.write(job).await.unwrap();
    assert_eq!(store.read(rows).await.unwrap(), [1, 3]);
    store.close().await;
}
