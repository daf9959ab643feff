//! Bounds, and failures that only SQLite has.

use bytes::Bytes;
use duet_protocol::accept::Dispatch;
use duet_protocol::delivery::Parked;
use duet_protocol::event::{Body, Data, Event, Key, TraceContext};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receive::{Failure, InboxTables};
use duet_protocol::sender::BrokerPlace;
use duet_protocol::sequence::{Epoch, Lane, Partition};
use rusqlite::StatementStatus;
use tempfile::TempDir;

use super::*;
use crate::store::Transaction;
use crate::store::sqlite::outbox::{HASHES, UNFORGOTTEN, unforgotten};
use crate::transport::Undecodable;

fn failure() -> Failure {
    Failure::new("no".repeat(10_000))
}

fn event(source: Source, sequence: u64) -> Event {
    Event {
        source,
        sequence: Sequence(sequence),
        time: Timestamp::default(),
        body: Body::Data(Data {
            kind: "dev.duet.tested".into(),
            key: Key::new("post/user").unwrap(),
            json: Bytes::new(),
        }),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

#[tokio::test]
async fn a_full_parked_table_pushes_back() {
    let directory = TempDir::new().unwrap();
    let few = Options {
        parked: 2,
        ..options()
    };
    let (store, _commits) = SqliteStore::open(&file(&directory), few).unwrap();
    let park = |sequence| {
        let event = event(Lane::default().source(Epoch(1)), sequence);
        store.write(move |tx| tx.park(&event, Some(&failure()), Parked::job(Timestamp::default())))
    };
    park(2).await.unwrap();
    park(3).await.unwrap();
    assert!(matches!(park(4).await, Err(StoreError::ParkedFull)));
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.parked, counts.parked_limit), (2, 2));
    store.close().await;
}

#[tokio::test]
async fn a_receipt_costs_what_is_new_in_it_however_much_is_kept_for_another_receiver() {
    const EVENTS: u64 = 1_000;
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let (store, mut commits) = SqliteStore::open(&path, sending(&["one", "slow"])).unwrap();
    let opened = commits.recv().await.unwrap().events.remove(0).event;
    let source = opened.source;
    let job = move |tx: &mut SqliteTx<'_>| {
        let mut sum = opened.hash();
        for sequence in 2..=EVENTS {
            let event = event(source, sequence);
            sum += event.hash();
            tx.append(event, Dispatch::Background)?;
            // Two that are near to each other, and overtake each other.
            for behind in [0, sequence % 7, 3] {
                let up_to = Sequence(sequence.saturating_sub(behind).max(1));
                let between = tx.hash_between(source, Sequence::ZERO, up_to)?;
                assert!(behind > 0 || between == sum);
            }
        }
        let select = tx.connection().prepare_cached(HASHES)?;
        Ok(select.get_status(StatementStatus::VmStep))
    };
    let steps = store.write(job).await.unwrap();
    assert_eq!(steps, 0, "the newest are known");

    let fails = |_: &mut SqliteTx<'_>| Err::<(), _>(StoreError::Overloaded);
    store.write(fails).await.unwrap_err();
    let job = move |tx: &mut SqliteTx<'_>| {
        for sequence in 2..=EVENTS {
            for behind in [0, sequence % 7, 3] {
                let up_to = Sequence(sequence.saturating_sub(behind).max(1));
                tx.hash_between(source, Sequence::ZERO, up_to)?;
            }
        }
        let select = tx.connection().prepare_cached(HASHES)?;
        Ok(select.get_status(StatementStatus::VmStep))
    };
    let steps = store.write(job).await.unwrap();
    assert!(steps > 0 && steps < 100 * EVENTS as i32, "{steps}");
    store.close().await;
}

#[tokio::test]
async fn a_statement_is_planned_once_whatever_is_bound_to_it() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), sending(&["one"])).unwrap();
    let planned_anew = store.write(|tx| {
        for partition in 0..10 {
            let lane = Lane {
                partition: Partition(partition),
                ..Lane::default()
            };
            unforgotten(tx.connection(), lane, Epoch(u64::MAX))?;
        }
        let select = tx.connection().prepare_cached(UNFORGOTTEN)?;
        Ok(select.get_status(StatementStatus::RePrepare))
    });
    assert_eq!(planned_anew.await.unwrap(), 0);
    store.close().await;
}

#[tokio::test]
async fn of_the_undecodable_the_newest_are_kept() {
    let directory = TempDir::new().unwrap();
    let few = Options {
        undecodable: 3,
        ..options()
    };
    let (store, _commits) = SqliteStore::open(&file(&directory), few).unwrap();
    for place in 1..=10 {
        let undecodable = Undecodable {
            place: BrokerPlace(place),
            payload: Bytes::new(),
            cause: String::new(),
        };
        let put = store.write(move |tx| tx.put_undecodable("nats", &undecodable));
        put.await.unwrap();
    }
    let places = store.read(|connection| {
        let mut select = connection.prepare("SELECT place FROM undecodable ORDER BY place")?;
        let places = select.query_map([], |row| row.get::<_, i64>(0))?;
        Ok(places.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(places.await.unwrap(), [8, 9, 10]);
    store.close().await;
}

#[tokio::test]
async fn an_apply_that_fails_in_a_savepoint_has_written_nothing() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    let job = |tx: &mut SqliteTx<'_>| {
        let connection = tx.connection();
        for row in 0..4 {
            let applied = in_savepoint(connection, |connection| {
                put(connection, row)?;
                Ok(if row % 2 == 0 { Ok(()) } else { Err(failure()) })
            })?;
            assert_eq!(applied.is_ok(), row % 2 == 0);
        }
        Ok(())
    };
    store.write(job).await.unwrap();
    assert_eq!(store.read(rows).await.unwrap(), [0, 2]);
    store.close().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_of_unknown_outcome_and_the_next_one_works() {
    let directory = TempDir::new().unwrap();
    let deferred = Options {
        service: &[
            TABLE,
            "CREATE TABLE child (own INTEGER REFERENCES own DEFERRABLE INITIALLY DEFERRED)",
        ],
        ..options()
    };
    let (store, _commits) = SqliteStore::open(&file(&directory), deferred).unwrap();
    let orphan = store.write(|tx| {
        put(tx.connection(), 1)?;
        let insert = "INSERT INTO child VALUES (7)"; // checked at the commit
        tx.connection().execute(insert, [])?;
        Ok(())
    });
    assert!(matches!(orphan.await, Err(StoreError::Unknown(_))));
    store.write(|tx| put(tx.connection(), 2)).await.unwrap();
    assert_eq!(store.read(rows).await.unwrap(), [2]);
    store.close().await;
}

#[tokio::test]
async fn a_read_that_panics_or_fails_leaves_its_reader_usable() {
    let directory = TempDir::new().unwrap();
    let one = Options {
        readers: 1,
        ..options()
    };
    let (store, _commits) = SqliteStore::open(&file(&directory), one).unwrap();
    let panicked = store.read::<(), _>(|_| panic!("a read of the test's panics"));
    assert!(panicked.await.is_err());
    let wrote = store.read(|connection| put(connection, 1));
    assert!(wrote.await.is_err());
    assert_eq!(store.read(rows).await.unwrap().len(), 0);
    store.close().await;
}

#[tokio::test]
async fn the_log_begins_anew_while_commits_go_on_and_is_gone_with_the_store() {
    const ROWS: u32 = 2_000;
    let directory = TempDir::new().unwrap();
    let short = Options {
        log: 20,
        ..options()
    };
    let path = file(&directory);
    let (store, _commits) = SqliteStore::open(&path, short).unwrap();
    for row in 0..ROWS {
        store
            .write(move |tx| put(tx.connection(), row))
            .await
            .unwrap();
    }
    let log = path.with_file_name("store.db-wal");
    let pages = std::fs::metadata(&log).unwrap().len() / 4_096;
    assert!(pages <= 100, "{pages}, though commits wait at 80");
    assert_eq!(store.read(rows).await.unwrap().len(), ROWS as usize);
    store.close().await;
    assert!(!log.exists());
}
