//! Opening: what is in force afterwards, and what is refused.

use std::fs;
use std::time::Duration;

use duet_protocol::outbox::{Mark, OutboxTables};
use duet_protocol::receive::InboxTables;
use duet_protocol::record::HELLO_EPOCHS;
use duet_protocol::sequence::Epoch;
use tempfile::TempDir;

use super::*;
use crate::store::Transaction;
use crate::store::sqlite::schema::{APPLICATION_ID, CHANNEL};

fn refused(path: &std::path::Path, options: Options) -> OpenError {
    SqliteStore::open(path, options).err().unwrap()
}

#[tokio::test]
async fn commits_are_flushed_and_foreign_keys_hold() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    let settings = store.write(|tx| {
        let read = |setting| {
            tx.connection()
                .pragma_query_value(None, setting, |row| row.get::<_, i64>(0))
        };
        let journal: String = tx
            .connection()
            .pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((
            journal,
            read("synchronous")?,
            read("fullfsync")?,
            read("foreign_keys")?,
        ))
    });
    assert_eq!(settings.await.unwrap(), ("wal".to_owned(), 2, 1, 1));
    store.close().await;
}

#[tokio::test]
async fn a_store_that_only_receives_opens_no_epoch() {
    let directory = TempDir::new().unwrap();
    let (store, mut commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    assert_eq!(store.outbox().await.unwrap(), OutboxStanding::default());
    store.close().await;
    assert!(commits.recv().await.is_none());
}

#[tokio::test]
async fn the_service_s_migrations_are_run_once_each() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    store.write(|tx| put(tx.connection(), 1)).await.unwrap();
    store.close().await;
    let more = Options {
        service: &[TABLE, "INSERT INTO own VALUES (2)"],
        ..options()
    };
    for _ in 0..2 {
        let (store, _commits) = SqliteStore::open(&file(&directory), more.clone()).unwrap();
        assert_eq!(store.read(rows).await.unwrap(), [1, 2]);
        store.close().await;
    }
    let error = refused(&file(&directory), options());
    assert!(
        error.to_string().contains("service tables")
            && error.to_string().contains("version 2")
            && error.to_string().contains("version 1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_store_of_the_first_schema_keeps_what_is_in_it_and_who_receives() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let older = Connection::open(&path).unwrap();
    for statements in [
        CHANNEL[0],
        TABLE,
        "INSERT INTO own VALUES (1);
         INSERT INTO store VALUES (1, 7, 1, 5, 1);
         INSERT INTO epochs VALUES (1, 0, 42, 3, 1, 0);
         INSERT INTO outbox VALUES ((1 << 40) + 2, 0, 0, 'kind', 'a', x'7b7d', '', '', 1);
         INSERT INTO outbox VALUES ((1 << 40) + 3, 0, 0, 'kind', 'b', x'7b7d', '', '', 1);
         INSERT INTO receivers VALUES (1, 'notification', 9);
         INSERT INTO marks VALUES (1, 1, 2, x'');
         INSERT INTO inbox_lanes VALUES (1, 8, 1, 0, 4);",
    ] {
        older.execute_batch(statements).unwrap();
    }
    for (pragma, value) in [("application_id", APPLICATION_ID), ("user_version", 1)] {
        older.pragma_update(None, pragma, value).unwrap();
    }
    older.close().unwrap();

    let options = sending(&["notification", "trending"]);
    let (store, _commits) = SqliteStore::open(&path, options).unwrap();
    assert_eq!(store.read(rows).await.unwrap(), [1]);
    let OutboxStanding {
        sources, receivers, ..
    } = store.outbox().await.unwrap();
    let [(older, state), (newer, _)] = sources[..] else {
        panic!("{sources:?}");
    };
    assert_eq!((older.epoch, state.last), (Epoch(42), Sequence(3)));
    let events = store.events(older, Sequence(1), 10).await.unwrap();
    let keys = events
        .iter()
        .map(|event| event.data().unwrap().key.as_str());
    let left = keys.collect::<Vec<_>>();
    assert_eq!(left, ["b"], "all hold the other that are to have it");
    let [notification, trending] = &receivers[..] else {
        panic!("{receivers:?}");
    };
    assert_eq!(
        (notification.incarnation, &*notification.begin),
        (Epoch(9), &[][..])
    );
    assert_eq!(notification.marks[0].1.watermark, Sequence(2));
    assert_eq!(trending.begin, [newer], "it has nothing of what is older");
    let lanes = store.write(|tx| tx.lanes(None)).await.unwrap();
    assert_eq!(lanes.len(), 1, "what was received is still known");
    store.close().await;
}

#[tokio::test]
async fn a_store_of_a_newer_schema_is_refused_and_left_as_it_was() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    store.close().await;
    let connection = Connection::open(file(&directory)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(file(&directory)).unwrap();
    let error = refused(&file(&directory), options());
    let OpenError::NewerSchema {
        found: 99,
        known,
        tables: "channel",
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(known, CHANNEL.len());
    let told = error.to_string();
    assert!(told.contains("version 99") && told.contains(&format!("version {known}")));
    assert_eq!(fs::read(file(&directory)).unwrap(), before);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    let error = refused(&file(&directory), options());
    let OpenError::Locked { process, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(process, Some(std::process::id()));
    store.close().await;
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_patient_opener_has_it_once_the_one_before_is_gone() {
    let directory = TempDir::new().unwrap();
    let (before, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    let path = file(&directory);
    let impatient = SqliteStore::open_when_free(&path, options(), Duration::ZERO).await;
    assert!(matches!(impatient, Err(OpenError::Locked { .. })));
    let waiting = SqliteStore::open_when_free(&path, options(), Duration::from_secs(60));
    let (opened, ()) = tokio::join!(waiting, before.close());
    let (store, _commits) = opened.unwrap();
    store.close().await;
}

#[test]
fn a_directory_that_can_t_be_made_is_named() {
    let directory = TempDir::new().unwrap();
    let in_the_way = directory.path().join("data");
    fs::write(&in_the_way, "").unwrap();
    let error = refused(&in_the_way.join("store.db"), options());
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains(in_the_way.to_str().unwrap()));
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let directory = TempDir::new().unwrap();
    let garbage = directory.path().join("garbage");
    fs::write(&garbage, [0x5a; 8192]).unwrap();
    let error = refused(&garbage, options());
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");

    let foreign = directory.path().join("foreign");
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(connection);
    let error = refused(&foreign, options());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_store_is_refused() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) = SqliteStore::open(&file(&directory), options()).unwrap();
    store.close().await;
    let mut bytes = fs::read(file(&directory)).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(file(&directory), bytes).unwrap();
    let error = refused(&file(&directory), options());
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_store_is_one_file_and_the_lock_s() {
    let directory = TempDir::new().unwrap();
    let (store, _commits) =
        SqliteStore::open(&file(&directory), sending(&["notification"])).unwrap();
    store.write(|tx| put(tx.connection(), 1)).await.unwrap();
    store.read(rows).await.unwrap();
    store.close().await;
    let entries = fs::read_dir(file(&directory).parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["store.db", "store.db.lock"]);
}

#[tokio::test]
async fn what_receivers_said_does_not_grow_with_openings() {
    const OPENINGS: usize = 40;
    let directory = TempDir::new().unwrap();
    for opening in 1..=OPENINGS {
        let options = sending(&["notification"]);
        let name = ReceiverName::new("notification").unwrap();
        let (store, mut commits) = SqliteStore::open(&file(&directory), options).unwrap();
        let opened = commits.recv().await.unwrap().events.remove(0).event;
        let marks = store.write(move |tx| {
            let mark = Mark {
                watermark: opened.sequence,
                runs: Vec::new(),
            };
            tx.put_mark(&name, opened.source, &mark)?;
            tx.forget(opened.source, opened.sequence)?;
            let count = "SELECT count(*) FROM marks";
            Ok(tx
                .connection()
                .query_row(count, [], |row| row.get::<_, u16>(0))?)
        });
        assert!(usize::from(marks.await.unwrap()) <= HELLO_EPOCHS + 1);
        let standing = store.outbox().await.unwrap();
        assert_eq!(standing.sources.len(), opening.min(HELLO_EPOCHS));
        let held = |(_, mark): &(_, Mark)| mark.watermark == Sequence(1);
        assert!(standing.receivers[0].marks.iter().all(held));
        store.close().await;
    }
}

#[tokio::test]
async fn the_outbox_can_be_looked_at() {
    let directory = TempDir::new().unwrap();
    let (store, mut commits) =
        SqliteStore::open(&file(&directory), sending(&["notification"])).unwrap();
    let opened = commits.recv().await.unwrap().events.remove(0).event;
    let seen = store.read(|connection| {
        let select = "SELECT epoch, sequence, type, data FROM outbox_events";
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        Ok(connection.query_row(select, [], row)?)
    });
    let expected: (String, i64, String, String) = (
        opened.source.epoch.to_string(),
        1,
        "dev.duet.opened".to_owned(),
        r#"{"previous":null}"#.to_owned(),
    );
    assert_eq!(seen.await.unwrap(), expected);
    store.close().await;
}
