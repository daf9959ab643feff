//! A receiver of texts, some of which are jobs, and some of which can't be applied.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use duet_channel::clock::Clock;
use duet_channel::dead_letters::{Progress, Redriving};
use duet_channel::open::{
    Changed, Changes, Connection, Data, Event, Failure, Kept, Receiver, SqliteStore, Store,
    Versioned,
};
use duet_channel::receiver::{ParkedTask, ReceivingService};
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::Options;
use duet_channel::store::sqlite::versions::VersionedRows;
use duet_channel::transport::Urgency;
use duet_channel::transport::conformance::Events;
use duet_protocol::event::{Body, Key};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::Outcome;
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Sequence, StoreId};
use duet_protocol::settings::DeliverySettings;
use duet_telemetry::{Config, Observer, Telemetry};
use duet_testkit::until;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const TABLES: &[&str] = &["CREATE TABLE texts (key TEXT PRIMARY KEY, text TEXT)"];

/// Keeps the last text of each key. An event of type `job` is a job, whose work is done once it is let; one of type `broken` can't be
/// applied until that is mended.
#[derive(Clone)]
pub(crate) struct Texts(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) mended: AtomicBool,
    pub(crate) begun: AtomicU64,
    /// Each run's name is a line of it.
    runs: PathBuf,
    pub(crate) let_go: Semaphore,
    pub(crate) ran: Mutex<Vec<String>>,
}

impl Changes for Texts {
    fn change(&self, table: &Connection, _: &Event, data: &Data) -> Changed {
        if &*data.kind == "broken" && !self.0.mended.load(Ordering::SeqCst) {
            return Ok(Err(Failure::new(format!("no room for '{}'", data.key))));
        }
        let text = String::from_utf8(data.json.to_vec()).unwrap();
        let put = "REPLACE INTO texts VALUES (?1, ?2)";
        table.execute(put, (data.key.as_str(), text))?;
        Ok(Ok(Kept::Something))
    }

    fn remove(&self, table: &Connection, key: &Key) -> Result<(), StoreError> {
        table.execute("DELETE FROM texts WHERE key = ?1", [key.as_str()])?;
        Ok(())
    }

    fn is_job(&self, event: &Event) -> bool {
        event.data().is_some_and(|data| &*data.kind == "job")
    }

    fn run(&self, event: Event, _: CancellationToken) -> BoxFuture<'_, Result<Bytes, Failure>> {
        Box::pin(async move {
            let mut runs = File::options();
            let runs = runs.create(true).append(true).open(&self.0.runs);
            let mut runs = runs.unwrap();
            writeln!(runs, "{}", event.id()).unwrap();
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            self.0.let_go.acquire().await.unwrap().forget();
            let text = String::from_utf8(event.data().unwrap().json.to_vec()).unwrap();
            if text == "fails" {
                return Err(Failure::new("it fails"));
            }
            self.0.ran.lock().unwrap().push(text.clone());
            Ok(format!("{text}, done").into())
        })
    }
}

/// A service that counts how often a job of the store's asks for its rows.
pub(crate) struct Counted {
    of: Versioned,
    jobs: Arc<AtomicU64>,
}

impl ReceivingService<Connection> for Counted {
    type Rows<'t> = VersionedRows<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> VersionedRows<'t> {
        self.jobs.fetch_add(1, Ordering::SeqCst);
        self.of.rows(connection)
    }

    fn count(
        &self,
        connection: &Connection,
        below: Option<Epoch>,
    ) -> Result<Vec<(StoreId, u64)>, StoreError> {
        self.of.count(connection, below)
    }

    fn run(
        &self,
        event: Event,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send {
        self.of.run(event, stop)
    }
}

/// A receiver and the task of its parked table.
pub(crate) struct End {
    pub(crate) receiver: Receiver<SqliteStore, Counted>,
    jobs: Arc<AtomicU64>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    pub(crate) texts: Texts,
}

impl End {
    pub(crate) fn open(dir: &Path) -> End {
        Self::with_room(dir, 100)
    }

    pub(crate) fn with_room(dir: &Path, parked: u64) -> End {
        let telemetry = Telemetry::start(Config::new("texts", "0.0.0")).unwrap();
        Self::observed(dir, parked, Observer::from(&telemetry))
    }

    pub(crate) fn observed(dir: &Path, parked: u64, observer: Observer) -> End {
        let clock = Clock::start();
        let options = Options {
            parked,
            ..Options::new(TABLES, clock, rand::random())
        };
        let (store, _) = SqliteStore::open(&dir.join("texts.sqlite"), options).unwrap();
        let texts = Texts(Arc::new(Shared {
            mended: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            runs: runs_file(dir),
            let_go: Semaphore::new(0),
            ran: Mutex::default(),
        }));
        let delivery = DeliverySettings {
            max_attempts: NonZeroU32::new(2).unwrap(),
            backoff_initial: Duration::from_millis(1),
            backoff_max: Duration::from_millis(5),
        };
        let jobs = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            of: Versioned::new(texts.clone()),
            jobs: jobs.clone(),
        };
        let receiver = Receiver::new(
            store,
            Arc::new(counted),
            ReceiverName::new("texts").unwrap(),
            Arc::new(Rules::default()),
            clock,
            delivery,
            observer,
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(ParkedTask::new(receiver.clone()).run(stop.clone()));
        End {
            receiver,
            jobs,
            stop,
            task,
            texts,
        }
    }

    pub(crate) async fn takes(&self, event: Event, urgency: Urgency) -> Outcome {
        let deadline = self.receiver.clock().now() + PATIENCE;
        let received = self.receiver.receive(vec![event], urgency, deadline).await;
        received.unwrap().outcomes.remove(0)
    }

    /// How often a job of the store's has worked on the rows so far.
    pub(crate) fn jobs(&self) -> u64 {
        self.jobs.load(Ordering::SeqCst)
    }

    pub(crate) async fn text(&self, key: &'static str) -> Option<String> {
        let read = self.receiver.store().read(move |table| {
            let mut select = table.prepare_cached("SELECT text FROM texts WHERE key = ?1")?;
            let mut rows = select.query([key])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        });
        read.await.unwrap()
    }

    pub(crate) async fn comes_to(&self, what: &str, is: impl AsyncFn() -> bool) {
        let told = || async {
            if is().await {
                Ok(())
            } else {
                Err(what.to_owned())
            }
        };
        until(PATIENCE, told).await;
    }

    pub(crate) async fn has_begun(&self, runs: u64) {
        self.comes_to("it has begun", async || {
            self.texts.0.begun.load(Ordering::SeqCst) == runs
        })
        .await;
    }

    pub(crate) async fn holds(&self, key: &'static str, text: &str) {
        self.comes_to(text, async || self.text(key).await.as_deref() == Some(text))
            .await;
    }

    pub(crate) async fn has_letters(&self, parked: u64, dead: u64) {
        self.comes_to("so many letters", async || {
            let counts = self.receiver.store().counts().await.unwrap();
            (counts.parked, counts.dead) == (parked, dead)
        })
        .await;
    }

    pub(crate) async fn redriven(&self) -> Progress {
        let letters = self.receiver.dead_letters();
        let is_over = async || {
            let progress = letters.progress().await.unwrap();
            progress.is_some_and(|it| it.state != Redriving::Running)
        };
        self.comes_to("the redrive is over", is_over).await;
        letters.progress().await.unwrap().unwrap()
    }

    /// Dies as a process does.
    pub(crate) async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
        self.receiver.store().close().await;
    }

    pub(crate) async fn stops(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.receiver.store().close().await;
    }
}

/// Where each run of a job is written down.
pub(crate) fn runs_file(dir: &Path) -> PathBuf {
    dir.join("runs")
}

pub(crate) fn event(sequence: u64, kind: &str, key: &str, text: &str) -> Event {
    let mut event = Events::of(1).one();
    event.sequence = Sequence(sequence);
    event.body = Body::Data(Data {
        kind: kind.into(),
        key: Key::new(key).unwrap(),
        json: text.to_owned().into(),
    });
    event
}
