//! Work that takes longer than a message or a call may, and what could not be applied: run, cut short, redriven and discarded.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use duet_channel::clock::Clock;
use duet_channel::dead_letters::{Filter, Progress, Redriving, Would};
use duet_channel::open::{
    Changed, Changes, Connection, Data, Event, Failure, Kept, Receiver, SqliteStore, Store,
    Versioned,
};
use duet_channel::receiver::ParkedTask;
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::Options;
use duet_channel::transport::Urgency;
use duet_channel::transport::conformance::Events;
use duet_protocol::event::{Body, Key};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::Outcome;
use duet_protocol::rules::Rules;
use duet_protocol::sequence::Sequence;
use duet_protocol::settings::DeliverySettings;
use duet_testkit::until;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);
const TABLES: &[&str] = &["CREATE TABLE texts (key TEXT PRIMARY KEY, text TEXT)"];

/// Keeps the last text of each key. An event of type `job` is a job, whose work is done once it is let; one of type `broken` can't be
/// applied until that is mended.
#[derive(Clone)]
struct Texts(Arc<Shared>);

struct Shared {
    mended: AtomicBool,
    begun: AtomicU64,
    let_go: Semaphore,
    ran: Mutex<Vec<String>>,
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
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            self.0.let_go.acquire().await.unwrap().forget();
            let text = String::from_utf8(event.data().unwrap().json.to_vec()).unwrap();
            self.0.ran.lock().unwrap().push(text.clone());
            Ok(format!("{text}, done").into())
        })
    }
}

/// A receiver and the task of its parked table.
struct End {
    receiver: Receiver<SqliteStore, Versioned>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    texts: Texts,
}

impl End {
    fn open(dir: &Path) -> End {
        Self::with_room(dir, 100)
    }

    fn with_room(dir: &Path, parked: u64) -> End {
        let clock = Clock::start();
        let options = Options {
            parked,
            ..Options::new(TABLES, clock, rand::random())
        };
        let (store, _) = SqliteStore::open(&dir.join("texts.sqlite"), options).unwrap();
        let texts = Texts(Arc::new(Shared {
            mended: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            let_go: Semaphore::new(0),
            ran: Mutex::default(),
        }));
        let delivery = DeliverySettings {
            max_attempts: NonZeroU32::new(2).unwrap(),
            backoff_initial: Duration::from_millis(1),
            backoff_max: Duration::from_millis(5),
        };
        let receiver = Receiver::new(
            store,
            Arc::new(Versioned::new(texts.clone())),
            ReceiverName::new("texts").unwrap(),
            Arc::new(Rules::default()),
            clock,
            delivery,
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(ParkedTask::new(receiver.clone()).run(stop.clone()));
        End {
            receiver,
            stop,
            task,
            texts,
        }
    }

    async fn takes(&self, event: Event, urgency: Urgency) -> Outcome {
        let deadline = self.receiver.clock().now() + PATIENCE;
        let received = self.receiver.receive(vec![event], urgency, deadline).await;
        received.unwrap().outcomes.remove(0)
    }

    async fn text(&self, key: &'static str) -> Option<String> {
        let read = self.receiver.store().read(move |table| {
            let mut select = table.prepare_cached("SELECT text FROM texts WHERE key = ?1")?;
            let mut rows = select.query([key])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        });
        read.await.unwrap()
    }

    async fn comes_to(&self, what: &str, is: impl AsyncFn() -> bool) {
        let told = || async {
            if is().await {
                Ok(())
            } else {
                Err(what.to_owned())
            }
        };
        until(PATIENCE, told).await;
    }

    async fn has_begun(&self, runs: u64) {
        self.comes_to("it has begun", async || {
            self.texts.0.begun.load(Ordering::SeqCst) == runs
        })
        .await;
    }

    async fn holds(&self, key: &'static str, text: &str) {
        self.comes_to(text, async || self.text(key).await.as_deref() == Some(text))
            .await;
    }

    async fn has_letters(&self, parked: u64, dead: u64) {
        self.comes_to("so many letters", async || {
            let counts = self.receiver.store().counts().await.unwrap();
            (counts.parked, counts.dead) == (parked, dead)
        })
        .await;
    }

    async fn redriven(&self) -> Progress {
        let letters = self.receiver.dead_letters();
        let is_over = async || {
            let progress = letters.progress().await.unwrap();
            progress.is_some_and(|it| it.state != Redriving::Running)
        };
        self.comes_to("the redrive is over", is_over).await;
        letters.progress().await.unwrap().unwrap()
    }

    /// Dies as a process does.
    async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
        self.receiver.store().close().await;
    }

    async fn stops(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.receiver.store().close().await;
    }
}

fn event(sequence: u64, kind: &str, key: &str, text: &str) -> Event {
    let mut event = Events::of(1).one();
    event.sequence = Sequence(sequence);
    event.body = Body::Data(Data {
        kind: kind.into(),
        key: Key::new(key).unwrap(),
        json: text.to_owned().into(),
    });
    event
}

#[tokio::test]
async fn a_job_is_parked_at_once_and_applied_with_what_its_work_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    for (sequence, urgency) in [(2, Urgency::Inline), (3, Urgency::Background)] {
        let key = if sequence == 2 { "a" } else { "b" };
        let taken = end.takes(event(sequence, "job", key, key), urgency).await;
        assert_eq!(taken, Outcome::Parked);
    }
    end.has_begun(2).await;
    assert_eq!(end.text("a").await, None);
    end.texts.0.let_go.add_permits(2);
    end.holds("a", "a, done").await;
    end.holds("b", "b, done").await;
    end.has_letters(0, 0).await;
    end.stops().await;
}

#[tokio::test]
async fn jobs_of_a_key_run_one_at_a_time_in_order_and_one_that_is_superseded_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    for sequence in [2, 3, 4] {
        let text = sequence.to_string();
        end.takes(event(sequence, "job", "a", &text), Urgency::Background)
            .await;
    }
    end.has_begun(1).await;
    end.texts.0.let_go.add_permits(1);
    end.holds("a", "2, done").await;
    end.has_begun(2).await;
    // While the second runs, something newer than all is applied.
    end.takes(event(5, "text", "a", "newest"), Urgency::Background)
        .await;
    end.texts.0.let_go.add_permits(1);
    end.has_letters(0, 0).await;
    assert_eq!(end.text("a").await.as_deref(), Some("newest"));
    assert_eq!(*end.texts.0.ran.lock().unwrap(), ["2", "3"]);
    end.stops().await;
}

#[tokio::test]
async fn a_job_runs_again_after_a_crash_and_one_that_ends_the_process_each_time_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    end.takes(event(2, "job", "a", "a"), Urgency::Background)
        .await;
    end.has_begun(1).await;
    end.dies().await;
    let end = End::open(dir.path());
    end.has_begun(1).await;
    end.dies().await;
    let end = End::open(dir.path());
    end.has_letters(0, 1).await;
    assert_eq!(end.text("a").await, None);
    // By name, a person has it run once more.
    let id = event(2, "job", "a", "a").id();
    end.receiver
        .dead_letters()
        .redrive(Filter::of([id]), None)
        .await
        .unwrap();
    assert_eq!(end.redriven().await.queued, 1);
    end.texts.0.let_go.add_permits(1);
    end.holds("a", "a, done").await;
    end.stops().await;
}

#[tokio::test]
async fn dead_letters_are_grouped_by_cause_previewed_and_redriven_and_what_is_older_changes_nothing()
 {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    let letters = end.receiver.dead_letters();
    for (sequence, key) in [(2, "a"), (3, "b"), (4, "c")] {
        let taken = end
            .takes(event(sequence, "broken", key, key), Urgency::Background)
            .await;
        assert_eq!(taken, Outcome::Parked);
    }
    end.has_letters(0, 3).await;
    end.takes(event(5, "text", "b", "newer"), Urgency::Background)
        .await;
    let causes = letters.causes(&Filter::dead()).await.unwrap();
    assert_eq!(
        (causes.len(), causes[0].dead),
        (1, 3),
        "one cause, of three keys"
    );
    let would = letters.preview(&Filter::dead(), 10).await.unwrap();
    let kinds: Vec<bool> = would
        .letters
        .iter()
        .map(|(_, it)| *it == Would::Supersede)
        .collect();
    assert_eq!((kinds, would.matching), (vec![false, true, false], 3));
    end.texts.0.mended.store(true, Ordering::SeqCst);
    let would = letters.preview(&Filter::dead(), 10).await.unwrap();
    assert_eq!(would.letters[0].1, Would::Apply);
    assert_eq!(end.text("a").await, None, "a preview keeps nothing");
    let second_copy = end
        .takes(event(2, "broken", "a", "a"), Urgency::Inline)
        .await;
    assert_eq!(second_copy, Outcome::Dead);

    let gone = letters
        .discard(&Filter::of([event(4, "broken", "c", "c").id()]))
        .await
        .unwrap();
    assert_eq!(gone, 1);
    letters
        .redrive(Filter::dead(), NonZeroU32::new(1_000))
        .await
        .unwrap();
    let progress = end.redriven().await;
    assert_eq!((progress.matching, progress.tried), (2, 2));
    assert_eq!((progress.applied, progress.superseded), (1, 1));
    assert_eq!(end.text("a").await.as_deref(), Some("a"));
    assert_eq!(end.text("b").await.as_deref(), Some("newer"));
    assert_eq!(
        end.text("c").await,
        None,
        "what is discarded is never applied"
    );
    end.has_letters(0, 0).await;
    end.stops().await;
}

#[tokio::test]
async fn a_full_table_pushes_back_whole_batches_and_takes_them_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::with_room(dir.path(), 2);
    for (sequence, key) in [(2, "a"), (3, "b")] {
        let broken = event(sequence, "broken", key, key);
        end.takes(broken, Urgency::Background).await;
    }
    end.has_letters(0, 2).await;
    let batch = || vec![event(4, "text", "c", "good"), event(5, "broken", "d", "d")];
    let deadline = end.receiver.clock().now() + PATIENCE;
    let refused = end.receiver.receive(batch(), Urgency::Background, deadline);
    assert!(matches!(refused.await, Err(StoreError::ParkedFull)));
    assert_eq!(end.text("c").await, None, "nothing of it is received");
    let alone = end.takes(event(6, "text", "e", "good"), Urgency::Background);
    assert_eq!(
        alone.await,
        Outcome::Applied(None),
        "what can be applied is"
    );
    let a = event(2, "broken", "a", "a").id();
    let letters = end.receiver.dead_letters();
    letters.discard(&Filter::of([a])).await.unwrap();
    let taken = end.receiver.receive(batch(), Urgency::Background, deadline);
    let taken = taken.await.unwrap().outcomes;
    assert_eq!(taken, [Outcome::Applied(None), Outcome::Parked]);
    end.has_letters(0, 2).await;
    end.stops().await;
}
