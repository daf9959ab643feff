//! How many rows a second the store accepts, each with its event, in a durable transaction that the waiting tasks share.
//!
//! `cargo run --release -p duet-channel --example store -- [DIRECTORY]`. The directory should be on a real disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use duet_channel::clock::Clock;
use duet_channel::store::sqlite::{Options, SqliteStore};
use duet_channel::store::{Store, StoreError, Transaction};
use duet_protocol::accept::{Accepting, Dispatch, Request, Row, Rows, Write};
use duet_protocol::calls::Calls;
use duet_protocol::event::{Data, Key, RollingHash, TraceContext};
use duet_protocol::ledger::row_hash;
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Sequence, Version};
use duet_protocol::settings::Generation;
use rusqlite::{Connection, OptionalExtension, params};

const FOR: Duration = Duration::from_secs(5);
const TABLE: &[&str] = &["CREATE TABLE own (
    key TEXT PRIMARY KEY, kind TEXT, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, provisional INTEGER NOT NULL
) WITHOUT ROWID"];

/// A service's rows as small as they get.
struct Own<'t>(&'t Connection);

impl Rows for Own<'_> {
    type Value = Box<str>;
    type Error = StoreError;

    fn row(&mut self, key: &Key) -> Result<Option<Row<Box<str>>>, StoreError> {
        let mut select = self
            .0
            .prepare_cached("SELECT kind, epoch, sequence, provisional FROM own WHERE key = ?1")?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                value: row.get(0)?,
                version: Version {
                    epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
                    sequence: Sequence(row.get::<_, i64>(2)?.cast_unsigned()),
                },
                provisional: row.get(3)?,
            })
        };
        Ok(select.query_row([key.as_str()], row).optional()?)
    }

    fn write(&mut self, key: &Key, write: Write<'_, Box<str>>) -> Result<Data, StoreError> {
        let mut put = self
            .0
            .prepare_cached("REPLACE INTO own VALUES (?1, ?2, ?3, ?4, ?5)")?;
        put.execute(params![
            key.as_str(),
            write.value.map(|kind| &**kind),
            write.version.epoch.0.cast_signed(),
            write.version.sequence.0.cast_signed(),
            write.provisional
        ])?;
        self.announce(key, &Box::default())
    }

    fn page(&mut self, _: Option<&Key>, _: usize) -> Result<Vec<(Key, Row<Box<str>>)>, StoreError> {
        Ok(Vec::new()) // nothing is told anew here
    }

    fn announce(&mut self, key: &Key, _: &Box<str>) -> Result<Data, StoreError> {
        Ok(Data {
            kind: "dev.duet.reaction.set".into(),
            key: key.clone(),
            json: Bytes::from_static(
                br#"{"post":"post-00000001","user":"user-00000001","kind":"like","owner":"bob","title":"A title"}"#,
            ),
        })
    }

    fn hash(&self, key: &Key, kind: &Box<str>) -> RollingHash {
        row_hash(key, kind.as_bytes())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    for tasks in [1, 64, 256, 1024] {
        let directory = tempfile::TempDir::new_in(&directory)?;
        run(&directory.path().join("store.db"), tasks).await?;
    }
    Ok(())
}

async fn run(path: &std::path::Path, tasks: u64) -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::start();
    let receivers = ReceiverName::new("notification").into_iter().collect();
    let options = Options::new(TABLE, clock, 7).sending(Some(receivers), Generation::FIRST);
    let (store, mut committed) = SqliteStore::open(path, options)?;
    // Forgets as receipts would have it, every 256 events or more.
    let forgetting = {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut commits, mut since) = (0_u64, 0);
            while let Some(group) = committed.recv().await {
                commits += 1;
                since += group.events.len();
                let Some(last) = group.events.last().filter(|_| since >= 256) else {
                    continue;
                };
                since = 0;
                let id = last.event.id();
                let forget = move |tx: &mut <SqliteStore as Store>::Tx<'_>| {
                    tx.forget(id.source, id.sequence)
                };
                if store.write(forget).await.is_err() {
                    break;
                }
            }
            commits
        })
    };
    let (rows, rules) = (Arc::new(AtomicU64::new(0)), Arc::new(Rules::default()));
    let (started, spent) = (Instant::now(), cpu());
    let mut writers = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (store, rows, rules) = (store.clone(), rows.clone(), rules.clone());
        writers.spawn(async move {
            for number in (task..).step_by(tasks as usize) {
                // Keys in no order, as users and posts come.
                let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let Some(key) = Key::new(format!("post-{scattered:016x}/user-{number:08}")) else {
                    return Ok(());
                };
                let request = Request {
                    key,
                    value: Some("like".into()),
                    dispatch: Dispatch::Background,
                    trace: TraceContext {
                        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
                            .into(),
                        tracestate: "".into(),
                    },
                    generation: Generation::FIRST,
                };
                let rules = rules.clone();
                let accept = move |tx: &mut <SqliteStore as Store>::Tx<'_>| {
                    let mut own = Own(tx.connection());
                    let mut calls = Calls::<()>::default();
                    let mut accepting = Accepting {
                        outbox: tx,
                        rows: &mut own,
                        calls: &mut calls,
                        at: clock.wall(),
                        rules: &rules,
                    };
                    accepting.accept(&request).map(drop)
                };
                store.write(accept).await?;
                rows.fetch_add(1, Ordering::Relaxed);
                if started.elapsed() > FOR {
                    return Ok::<_, StoreError>(());
                }
            }
            Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let (elapsed, spent) = (started.elapsed(), cpu() - spent);
    store.close().await;
    drop(store);
    let commits = forgetting.await?;
    let rows = rows.load(Ordering::Relaxed);
    println!(
        "{tasks:>5} tasks: {:>7.0} rows/s, {:>6.1} rows a commit, {:>5.1} µs of CPU a row",
        rows as f64 / elapsed.as_secs_f64(),
        rows as f64 / commits as f64,
        spent.as_micros() as f64 / rows as f64,
    );
    Ok(())
}

/// The CPU time that this process has spent, of all its threads; zero where there is no /proc.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
