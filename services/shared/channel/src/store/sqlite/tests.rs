//! What only SQLite's store promises; what every store does is in [`crate::store::conformance`].

use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::Sequence;
use duet_protocol::settings::Generation;
use tempfile::TempDir;

use super::*;

fn options() -> Options {
    Options::new(&[], crate::clock::Clock::start(), 7)
}

fn sending() -> Options {
    let receiver = ReceiverName::new("notification").unwrap();
    options().sending(vec![receiver], Generation::FIRST)
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("deep").join("store.db")
}

#[tokio::test]
async fn a_store_keeps_its_identity_and_takes_a_new_incarnation() {
    let directory = TempDir::new().unwrap();
    let (store, mut commits) = SqliteStore::open(&file(&directory), sending()).unwrap();
    let first = store.identity();
    assert_eq!(commits.recv().await.unwrap().len(), 1);
    let standing = store.outbox().await.unwrap();
    assert_eq!(standing.sources.len(), 1);
    assert_eq!(standing.sources[0].1.last, Sequence(1));
    store.close().await;
    let (store, _commits) = SqliteStore::open(&file(&directory), sending()).unwrap();
    assert_eq!(store.identity().store, first.store);
    assert!(store.identity().incarnation > first.incarnation);
    assert_eq!(store.outbox().await.unwrap().sources.len(), 2);
    store.close().await;
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let directory = TempDir::new().unwrap();
    let _open = SqliteStore::open(&file(&directory), options()).unwrap();
    let refused = SqliteStore::open(&file(&directory), options())
        .err()
        .unwrap();
    let OpenError::Locked { process, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(process, Some(std::process::id()));
}
