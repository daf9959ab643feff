//! A process that is killed while it writes: what was answered is there, and nothing by half.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Body, Data, Event, Key, TraceContext};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::sequence::{Lane, Partition};
use tempfile::TempDir;

use super::*;
use crate::store::Transaction;

/// Tells the test's own process to be the one that is killed, and where its store is.
const CHILD: &str = "DUET_TEST_STORE_TO_BE_KILLED_OVER";

#[tokio::test]
async fn a_killed_process_leaves_exactly_what_it_answered() {
    if let Some(path) = env::var_os(CHILD) {
        return write_until_killed(Path::new(&path)).await;
    }
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg(
            concat!(
                module_path!(),
                "::a_killed_process_leaves_exactly_what_it_answered"
            )
            .split_once("::")
            .unwrap()
            .1,
        )
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered: Vec<u32> = Vec::new();
    let take = |line: String| -> Option<u32> { line.strip_prefix("answered ")?.parse().ok() };
    while answered.len() < 2_000 {
        let line = lines.next().expect("the child writes until it is killed");
        answered.extend(take(line.unwrap()));
    }
    let open_elsewhere = SqliteStore::open(&path, options()).err().unwrap();
    assert!(
        matches!(open_elsewhere, OpenError::Locked { process, .. } if process == Some(child.id())),
        "{open_elsewhere}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    answered.extend(lines.map_while(Result::ok).filter_map(take));

    let (store, _commits) = SqliteStore::open(&path, sending(&["notification"])).unwrap();
    let rows = store.read(rows).await.unwrap();
    let source = store.outbox().await.unwrap().sources[0].0;
    let events = store.events(source, Sequence(1), usize::MAX).await.unwrap();
    let mut announced: Vec<u32> = Vec::new();
    for (event, sequence) in events.iter().zip(2..) {
        assert_eq!(event.sequence, Sequence(sequence), "gapless");
        announced.push(event.data().unwrap().key.as_str().parse().unwrap());
    }
    announced.sort_unstable();
    assert_eq!(announced, rows, "a row without its event, or the reverse");
    answered.sort_unstable();
    let missing = answered
        .iter()
        .filter(|row| rows.binary_search(row).is_err());
    assert_eq!(missing.count(), 0, "of {} answered", answered.len());
    store.close().await;
}

async fn write_until_killed(path: &Path) {
    let (store, _commits) = SqliteStore::open(path, sending(&["notification"])).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for first in 0..64 {
        let store = store.clone();
        writers.spawn(async move {
            for row in (first..).step_by(64) {
                store.write(move |tx| accept(tx, row)).await.unwrap();
                // One write a line: a kill cuts none in two.
                let line = format!("answered {row}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    writers.join_all().await;
}

fn accept(tx: &mut SqliteTx<'_>, row: u32) -> Result<(), StoreError> {
    put(tx.connection(), row)?;
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
            key: Key::new(row.to_string()).unwrap(),
            json: b"{}".as_slice().into(),
        }),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    };
    tx.append(event, Dispatch::Background)
}
