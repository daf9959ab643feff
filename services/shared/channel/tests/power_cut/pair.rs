//! A sender and a receiver, each on a disk of its own that loses its power while they talk.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use duet_channel::open::{
    Changed, Changes, Connection, Data, Documents, Event, Kept, Key, Open, ReceivingEnd,
    SendingEnd, SqliteStore, Store, StoreError, Versioned, documents,
};
use duet_channel::sender::SendError;
use duet_testkit::{NatsServer, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::disk::Disk;
use crate::{disk, key, taking, variable};

const PATIENCE: Duration = Duration::from_secs(60);
const CALLERS: u32 = 16;

/// What a receiver was told, and how often it changed what it has of it.
struct Numbers;
const TABLES: &[&str] = &[
    "CREATE TABLE numbers (number TEXT PRIMARY KEY, there INTEGER NOT NULL, times INTEGER NOT NULL)",
];

impl Changes for Numbers {
    fn change(&self, table: &Connection, _: &Event, told: &Data) -> Changed {
        let there = match documents::read::<u32>(told) {
            Ok(document) => document.is_some(),
            Err(failure) => return Ok(Err(failure)),
        };
        table.execute(
            "INSERT INTO numbers VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET there = ?2, times = times + 1",
            (told.key.as_str(), there),
        )?;
        Ok(Ok(if there {
            Kept::Something
        } else {
            Kept::Nothing
        }))
    }

    fn remove(&self, table: &Connection, key: &Key) -> Result<(), StoreError> {
        table.execute("DELETE FROM numbers WHERE number = ?1", [key.as_str()])?;
        Ok(())
    }
}

struct Receiving {
    end: ReceivingEnd<Versioned>,
    server: ServerHandle,
}

/// Both ends' directories, the broker, and where the receiver takes calls: the same after each cut.
struct Place {
    dir: TempDir,
    nats: NatsServer,
    at: SocketAddr,
    source: Arc<Disk>,
    one: Arc<Disk>,
}

impl Place {
    async fn new(mode: &str, seed: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let nats = NatsServer::start().await;
        let document = format!(
            "apiVersion: duet.dev/v1alpha1
kind: Channel
metadata: {{name: numbers}}
spec:
  from: source
  to: [{{name: one}}]
  mode: {mode}
  sync: {{deadline: 500ms}}
  async:
    transport: NATSJetStream
    natsJetStream:
      stream: {{name: NUMBERS, subject: numbers, maxBytes: 64Mi}}
      consumer: {{ackWait: 1s}}
"
        );
        fs::write(dir.path().join("channel.yaml"), document).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Place {
            at: free.local_addr().unwrap(),
            source: disk(&dir.path().join("source"), seed),
            one: disk(&dir.path().join("one"), seed + 1),
            nats,
            dir,
        }
    }

    fn open(&self, name: &str) -> Open {
        let document: PathBuf = self.dir.path().join("channel.yaml");
        Open::new(name, self.dir.path().join(name), document).nats(self.nats.url())
    }

    /// The receiver; none if its power went meanwhile.
    async fn receiver(&self) -> Option<Receiving> {
        let open = self.open("one").tables(TABLES);
        let end = open.receive(Versioned::new(Numbers)).await.ok()?;
        let port = TcpListener::bind(self.at).unwrap();
        let server = taking::server(end.receiver.clone(), port);
        let handle = server.handle();
        tokio::spawn(server);
        Some(Receiving {
            end,
            server: handle,
        })
    }

    /// The sender; none if its power went meanwhile.
    async fn sender(&self) -> Option<SendingEnd<Documents<u32>>> {
        let at = format!("http://{}", self.at);
        let documents = Documents::new("com.example.number");
        self.open("source")
            .send(&[("one", &at)], documents)
            .await
            .ok()
    }
}

impl Receiving {
    /// As a machine without power ends: nothing is finished, and nothing holds its files any more.
    async fn crash(self) {
        self.server.stop(false).await;
        let store = self.end.store().clone();
        drop(self.end);
        store.close().await;
    }
}

async fn crash(source: SendingEnd<Documents<u32>>) {
    let store = source.sender.store().clone();
    drop(source);
    store.close().await;
}

/// What callers were told of their numbers.
#[derive(Default)]
struct Told {
    kept: BTreeSet<u32>,
    taken_back: BTreeSet<u32>,
}

/// Asks with many at once, each until it was asked so often or nothing is accepted any more.
async fn ask(
    source: &Arc<SendingEnd<Documents<u32>>>,
    next: &Arc<AtomicU32>,
    each: u32,
    told: &mut Told,
) {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (source, next) = (source.clone(), next.clone());
        callers.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..each {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let answer = source.request(key(number), Some(number)).await;
                let over = matches!(
                    answer,
                    Err(SendError::NotAccepted { .. } | SendError::Unknown)
                );
                answers.push((number, answer));
                if over {
                    break;
                }
            }
            answers
        });
    }
    for (number, answer) in callers.join_all().await.into_iter().flatten() {
        match answer {
            Ok(_) => told.kept.insert(number),
            Err(SendError::Failed { .. } | SendError::NotAccepted { .. }) => {
                told.taken_back.insert(number)
            }
            Err(_) => continue,
        };
    }
}

async fn documents_of(store: &SqliteStore) -> BTreeSet<u32> {
    let read = store.read(|table| {
        let mut select = table.prepare("SELECT key FROM documents WHERE value IS NOT NULL")?;
        let keys = select.query_map([], |row| row.get::<_, String>(0))?;
        Ok(keys.collect::<Result<Vec<_>, _>>()?)
    });
    let keys = read.await.unwrap();
    keys.iter().map(|key| key.parse().unwrap()).collect()
}

/// What the receiver has, and what it was changed more than once for.
async fn has(store: &SqliteStore) -> (BTreeSet<u32>, Vec<u32>) {
    let read = store.read(|table| {
        let mut select = table.prepare("SELECT number, there, times FROM numbers")?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, bool>(1)?,
                row.get::<_, u32>(2)?,
            ))
        };
        let rows = select.query_map([], row)?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    let rows = read.await.unwrap();
    let number = |text: &String| text.parse().unwrap();
    let there = rows.iter().filter(|(_, there, _)| *there);
    // A number is asked for once; one that was taken back was told of twice.
    let twice = rows.iter().filter(|(_, there, times)| *there && *times > 1);
    (
        there.map(|(text, ..)| number(text)).collect(),
        twice.map(|(text, ..)| number(text)).collect(),
    )
}

async fn nothing_is_lost_or_doubled(mode: &str, seed: u64) {
    let place = Place::new(mode, seed).await;
    let mut dice = StdRng::seed_from_u64(variable("SEED", 0) ^ seed);
    let (next, mut told) = (Arc::new(AtomicU32::new(0)), Told::default());
    let mut lost = 0;
    for _ in 0..variable("CUTS", 12) {
        let (source, one) = [(true, false), (false, true), (true, true)][dice.random_range(0..3)];
        if let (Some(receiver), Some(sender)) = (place.receiver().await, place.sender().await) {
            let sender = Arc::new(sender);
            ask(&sender, &next, 5, &mut told).await;
            for (cut, disk) in [(source, &place.source), (one, &place.one)] {
                if cut {
                    disk.cut_in(dice.random_range(1..150));
                }
            }
            ask(&sender, &next, 10, &mut told).await;
            // What is quiet loses its power too.
            for (cut, disk) in [(source, &place.source), (one, &place.one)] {
                if cut && !disk.is_off() {
                    disk.cut_in(1);
                }
            }
            crash(Arc::into_inner(sender).unwrap()).await;
            receiver.crash().await;
        }
        for (cut, disk) in [(source, &place.source), (one, &place.one)] {
            if cut {
                lost += disk.boot();
            }
        }
    }
    assert!(lost > 0, "no cut took anything: nothing was tried");

    let (receiver, sender) = (
        place.receiver().await.unwrap(),
        place.sender().await.unwrap(),
    );
    until(PATIENCE, || async {
        let standing = sender.sender.standing().await.unwrap();
        match standing.unacknowledged {
            0 => Ok(()),
            left => Err(format!("{left} unacknowledged")),
        }
    })
    .await;
    let stand = documents_of(sender.sender.store()).await;
    let (there, twice) = has(receiver.end.store()).await;
    let difference: Vec<_> = stand.symmetric_difference(&there).collect();
    assert!(difference.is_empty(), "at one end only: {difference:?}");
    assert!(twice.is_empty(), "applied twice: {twice:?}");
    let missing: Vec<_> = told.kept.difference(&stand).collect();
    assert!(missing.is_empty(), "was answered and is gone: {missing:?}");
    let back: Vec<_> = told.taken_back.intersection(&stand).collect();
    assert!(back.is_empty(), "was taken back and stands: {back:?}");
    assert!(told.kept.len() >= 100, "{}", told.kept.len());
    crash(sender).await;
    receiver.crash().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_async_neither_end_loses_or_doubles_anything_by_a_power_cut() {
    nothing_is_lost_or_doubled("Async", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_sync_neither_end_loses_or_doubles_anything_by_a_power_cut() {
    nothing_is_lost_or_doubled("Sync", 20).await;
}
