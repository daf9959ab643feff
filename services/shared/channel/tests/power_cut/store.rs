//! One store that many write to, whose disk loses its power again and again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use duet_channel::clock::Clock;
use duet_channel::store::sqlite::{OpenError, Options, SqliteStore, SqliteTx};
use duet_channel::store::{Store, StoreError, Transaction};
use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Body, Data, Event, TraceContext};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Lane, Partition, Sequence};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::disk::{Disk, Trouble};
use crate::{disk, key, variable};

const TABLES: &[&str] = &["CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT"];

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    let options = Options::new(TABLES, Clock::start(), rand::random());
    let to = ReceiverName::new("one").unwrap();
    let options = Options {
        log: 16, // it is copied again and again while it is written
        ..options.sending(Some(vec![to]), Generation::FIRST)
    };
    SqliteStore::open(path, options).map(|(store, _)| store)
}

/// A row and its event, as accepting writes them.
fn accept(tx: &mut SqliteTx<'_>, number: u32) -> Result<(), StoreError> {
    tx.connection()
        .execute("INSERT INTO numbers VALUES (?1)", [number])?;
    let lane = Lane {
        store: tx.store()?,
        partitions: tx.partitions()?,
        partition: Partition(0),
    };
    let source = lane.source(tx.head(lane.partition)?.unwrap());
    let event = Event {
        source,
        sequence: tx.epoch(source)?.unwrap().last.next(),
        time: Timestamp::default(),
        body: Body::Data(Data {
            kind: "dev.duet.tested".into(),
            key: key(number),
            json: Bytes::from_static(b"{}"),
        }),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    };
    tx.append(event, Dispatch::Background)
}

/// What was asked of a store, and what it said.
#[derive(Default)]
struct Told {
    asked: AtomicU32,
    /// It said that these are durable.
    kept: BTreeSet<u32>,
    /// It said that nothing of these is.
    refused: BTreeSet<u32>,
}

impl Told {
    /// Writes with many at once until nothing goes any more, or each wrote so many.
    async fn write(&mut self, store: &SqliteStore, each: u32) {
        let asked = Arc::new(std::mem::take(&mut self.asked));
        let mut writers = JoinSet::new();
        for _ in 0..24 {
            let (store, asked) = (store.clone(), asked.clone());
            writers.spawn(async move {
                let mut told = Vec::new();
                for _ in 0..each {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    let answer = store.write(move |tx| accept(tx, number)).await;
                    let goes_on = answer.is_ok();
                    told.push((number, answer));
                    if !goes_on {
                        break;
                    }
                }
                told
            });
        }
        for (number, answer) in writers.join_all().await.into_iter().flatten() {
            match answer {
                Ok(()) => self.kept.insert(number),
                Err(StoreError::Unknown(_)) => continue,
                Err(_) => self.refused.insert(number),
            };
        }
        self.asked = AtomicU32::new(asked.load(Ordering::Relaxed));
    }

    /// What is there is what it said: nothing that it kept is missing, nothing that it refused is there, and each row has its event.
    async fn holds(&self, store: &SqliteStore) -> Result<(), String> {
        let rows: BTreeSet<u32> = numbers(store).await;
        let mut announced = BTreeSet::new();
        for (source, state) in store.outbox().await.unwrap().sources {
            let events = store.events(source, Sequence::ZERO, usize::MAX).await;
            let events = events.unwrap();
            for (event, sequence) in events.iter().zip(1..) {
                if event.sequence != Sequence(sequence) {
                    return Err(format!("{source:?} has a gap before {sequence}"));
                }
                announced.extend(
                    event
                        .data()
                        .map(|data| data.key.as_str().parse::<u32>().unwrap()),
                );
            }
            if state.last.0 != events.len() as u64 {
                return Err(format!("{source:?} ends at {:?}", state.last));
            }
        }
        let missing: Vec<_> = self.kept.difference(&rows).collect();
        let back: Vec<_> = self.refused.intersection(&rows).collect();
        match (missing.is_empty(), back.is_empty()) {
            (false, _) => Err(format!("was answered and is gone: {missing:?}")),
            (_, false) => Err(format!("was refused and is there: {back:?}")),
            _ if rows != announced => Err("a row without its event, or the reverse".to_owned()),
            _ => Ok(()),
        }
    }
}

async fn numbers(store: &SqliteStore) -> BTreeSet<u32> {
    let read = store.read(|connection| {
        let mut select = connection.prepare("SELECT number FROM numbers")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    read.await.unwrap()
}

/// Cuts the power `cuts` times while it is written to; what it came to. Says how many bytes were lost that were not synced.
async fn cut_again_and_again(
    disk: &Disk,
    path: &Path,
    cuts: u64,
    mut dice: StdRng,
) -> Result<usize, String> {
    let mut told = Told::default();
    let mut lost = 0;
    for _ in 0..cuts {
        disk.cut_in(dice.random_range(1..400));
        // The power may go while it is opened.
        if let Ok(store) = open(path) {
            told.write(&store, u32::MAX).await;
            store.close().await;
        }
        assert!(disk.is_off());
        lost += disk.boot();
        let store = open(path).map_err(|error| error.to_string())?;
        let held = told.holds(&store).await;
        store.close().await;
        held?;
    }
    assert!(told.kept.len() as u64 > cuts, "{}", told.kept.len());
    Ok(lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_every_power_cut_and_nothing_is_there_by_half() {
    let dir = TempDir::new().unwrap();
    let disk = disk(dir.path(), 1);
    let path = dir.path().join("store.sqlite");
    let cuts = variable("CUTS", 60);
    let dice = StdRng::seed_from_u64(variable("SEED", 0));
    let lost = cut_again_and_again(&disk, &path, cuts, dice).await.unwrap();
    assert!(lost > 0, "no cut took anything: nothing was tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_changes_goes_to_the_log_in_few_writes() {
    let dir = TempDir::new().unwrap();
    let disk = disk(dir.path(), 5);
    let path = dir.path().join("store.sqlite");
    let store = open(&path).unwrap();
    let before = disk.logged();
    let all = store.write(|tx| (0..5_000).try_for_each(|number| accept(tx, number)));
    all.await.unwrap();
    let (writes, bytes) = (
        disk.logged().writes - before.writes,
        disk.logged().bytes - before.bytes,
    );
    assert!(bytes > 200_000, "{bytes}");
    assert!(writes <= 2 + bytes / 50_000, "{bytes} in {writes}");
    assert_eq!(numbers(&store).await.len(), 5_000);
    store.close().await;
    let store = open(&path).unwrap();
    assert_eq!(numbers(&store).await.len(), 5_000);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_only_says_that_it_syncs_is_found_out() {
    let dir = TempDir::new().unwrap();
    let disk = disk(dir.path(), 2);
    let path = dir.path().join("store.sqlite");
    let mut found = Ok(());
    for _ in 0..50 {
        let mut told = Told::default();
        disk.has(Trouble::Lies);
        disk.cut_in(200);
        if let Ok(store) = open(&path) {
            told.write(&store, u32::MAX).await;
            store.close().await;
        }
        disk.boot();
        found = match open(&path) {
            Ok(store) => {
                let held = told.holds(&store).await;
                store.close().await;
                held
            }
            Err(error) => Err(error.to_string()),
        };
        if found.is_err() {
            break;
        }
        for name in ["store.sqlite", "store.sqlite-wal"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
    }
    found.expect_err("without syncs something is lost: this layer cuts nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_refuses_and_goes_on_once_it_is_not() {
    for trouble in [Trouble::Full, Trouble::ReadOnly] {
        let dir = TempDir::new().unwrap();
        let disk = disk(dir.path(), 3);
        let path = dir.path().join("store.sqlite");
        let store = open(&path).unwrap();
        let mut told = Told::default();
        told.write(&store, 20).await;
        let before = told.kept.len();
        disk.has(trouble);
        told.write(&store, u32::MAX).await;
        // What is there can be read all the while.
        assert!(told.kept.is_subset(&numbers(&store).await));
        // Of a full disk it is known that nothing was written; of a write that failed otherwise it is not.
        assert_eq!(!told.refused.is_empty(), trouble == Trouble::Full);
        let asked = told.asked.load(Ordering::Relaxed) as usize;
        assert!(told.kept.len() < asked, "{trouble:?}: everything was taken");
        disk.has(Trouble::Nothing);
        told.write(&store, 20).await;
        assert!(told.kept.len() >= before + 20 * 24, "{trouble:?}");
        told.holds(&store).await.unwrap();
        store.close().await;
        let store = open(&path).unwrap();
        told.holds(&store).await.unwrap();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_answered_with_doubt_and_what_comes_after_it_is_kept() {
    let mut dice = StdRng::seed_from_u64(variable("SEED", 0));
    let dir = TempDir::new().unwrap();
    let disk = disk(dir.path(), 4);
    let path = dir.path().join("store.sqlite");
    let mut told = Told::default();
    for _ in 0..variable("CUTS", 20) {
        let store = open(&path).unwrap();
        told.write(&store, 5).await;
        disk.has(Trouble::SyncFails);
        told.write(&store, u32::MAX).await;
        disk.has(Trouble::Nothing);
        disk.cut_in(dice.random_range(10..200));
        told.write(&store, u32::MAX).await;
        store.close().await;
        disk.boot();
        let store = open(&path).unwrap();
        told.holds(&store).await.unwrap();
        store.close().await;
    }
}
