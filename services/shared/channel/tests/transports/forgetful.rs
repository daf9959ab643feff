//! A wire that acknowledges and forgets: the only double there is. The path over it is whole: sender, stores, broker, receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use duet_channel::brokers::Brokers;
use duet_channel::clock::Clock;
use duet_channel::receiver::{BrokerSide, ConsumerParts, ConsumerTask, Receiver};
use duet_channel::sender::{Delivery, Parts, SenderTask, SendingService};
use duet_channel::settings::SettingsState;
use duet_channel::store::sqlite::{Options, SqliteStore};
use duet_channel::store::{Store, StoreError};
use duet_channel::transport::jetstream::Nats;
use duet_channel::transport::{Batch, Features, Feedback, Limits, Publish, PublishError};
use duet_protocol::accept::{Row, Rows, Write};
use duet_protocol::event::{Data, EventId, Key, TraceContext};
use duet_protocol::rules::Rules;
use duet_protocol::sender::{Backlog, BrokerPlace, HelloId, MessageId, Timing};
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::{
    AsyncSettings, BatchSettings, Generation, Mode, Settings, SyncSettings, TracesAsync,
    TransportSettings,
};
use duet_protocol::time::Timestamp;
use duet_testkit::{NatsServer, until};
use futures::stream::BoxStream;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::jetstream::conformance::{receivers, settings};
use crate::keeping::{KEPT, Keeping, kept};
use crate::observer;

/// Says of each message that it is stored and done with. What is in it gets through only when it was forgotten twice.
struct Forgetful {
    wire: Arc<dyn Publish>,
    forgot: Arc<Forgot>,
}

#[derive(Default)]
struct Forgot {
    times: Mutex<BTreeMap<EventId, u32>>,
    place: AtomicU64,
}

impl Forgot {
    /// Whether this is forgotten.
    fn forgets(&self, batch: &Batch) -> bool {
        const TWICE: u32 = 2;
        let mut times = self.times.lock().unwrap();
        let mut forgets = false;
        for outgoing in &batch.events {
            let times = times.entry(outgoing.event.id()).or_default();
            forgets |= *times < TWICE;
            *times += 1;
        }
        forgets
    }

    fn place(&self) -> BrokerPlace {
        BrokerPlace(self.place.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Publish for Forgetful {
    fn limits(&self) -> Limits {
        self.wire.limits()
    }

    fn features(&self) -> Features {
        self.wire.features()
    }

    async fn publish(
        &self,
        id: MessageId,
        batch: &Batch,
    ) -> Result<Option<BrokerPlace>, PublishError> {
        if !self.forgot.forgets(batch) {
            self.wire.publish(id, batch).await?;
        }
        Ok(Some(BrokerPlace(
            1 + self.forgot.place.fetch_add(1, Ordering::Relaxed),
        )))
    }

    async fn hello(&self, id: HelloId, store: StoreId) -> Result<(), PublishError> {
        self.wire.hello(id, store).await
    }

    async fn feedback(&self, store: StoreId) -> BoxStream<'static, Feedback> {
        self.wire.feedback(store).await
    }

    async fn backlog(&self) -> Backlog {
        let last = self.forgot.place();
        Backlog::Known {
            created: 1,
            last,
            ack_floor: last,
            outstanding: 0,
        }
    }
}

/// The sending service: its rows are of no interest here.
struct Announcing;

struct NoRows;

impl SendingService<Connection> for Announcing {
    type Value = u64;
    type Refusal = ();
    type Rows<'t> = NoRows;

    fn admit(
        &self,
        _: &Connection,
        _: &Key,
        _: Option<&u64>,
    ) -> Result<Result<(), ()>, StoreError> {
        Ok(Ok(()))
    }

    fn rows(&self, _: &Connection) -> NoRows {
        NoRows
    }
}

impl Rows for NoRows {
    type Value = u64;
    type Error = StoreError;

    fn row(&mut self, _: &Key) -> Result<Option<Row<u64>>, StoreError> {
        Ok(None)
    }

    fn write(&mut self, key: &Key, write: Write<'_, u64>) -> Result<Data, StoreError> {
        let json = serde_json::to_vec(&write.value).unwrap();
        Ok(Data {
            kind: "dev.duet.test.set".into(),
            key: key.clone(),
            json: Bytes::from(json),
        })
    }
}

fn channel() -> Settings {
    Settings {
        channel: "reactions".to_owned(),
        generation: Generation::FIRST,
        from: "reaction".to_owned(),
        to: "notification".to_owned(),
        mode: Mode::Async,
        sync: SyncSettings::default(),
        r#async: Some(AsyncSettings {
            transport: TransportSettings::NatsJetStream(settings()),
            batch: BatchSettings::default(),
        }),
        traces: TracesAsync::default(),
    }
}

/// Patience as tests have it.
fn impatient() -> Timing {
    let short = Duration::from_millis(300);
    Timing {
        order_slack: short,
        place_patience: short,
        backlog_every: Duration::from_millis(50),
        scan_every: Duration::from_millis(50),
        ..Timing::default()
    }
}

fn store_options(table: &'static [&'static str], clock: Clock) -> Options {
    Options::new(table, clock, rand::random())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrives_once_over_a_wire_that_acknowledges_and_forgets() {
    const EVENTS: u64 = 500;
    let server = NatsServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (clock, channel) = (Clock::start(), channel());
    let (_settings, followed) = watch::channel(SettingsState {
        current: Some(Arc::new(channel.clone())),
        problem: None,
        observed_at: Timestamp::default(),
    });
    let brokers = Brokers {
        nats: Some(Nats::connect(&server.url(), "test").await.unwrap()),
        receivers: receivers(),
        observer: observer(),
        provision: true,
    };
    let stop = CancellationToken::new();

    let (store, _) = SqliteStore::open(
        &dir.path().join("notification/store.db"),
        store_options(&[KEPT], clock),
    )
    .unwrap();
    let receiver = Receiver::new(
        store.clone(),
        Arc::new(Keeping),
        receivers().remove(0),
        Arc::new(Rules::default()),
        clock,
        Duration::from_secs(5),
    );
    until(Duration::from_secs(30), || brokers.provision(&channel)).await;
    let consumer = ConsumerTask::new(ConsumerParts {
        receiver,
        broker: Arc::new(brokers.clone()),
        settings: followed.clone(),
        observer: observer(),
    });

    let options = store_options(&[], clock).sending(receivers(), Generation::FIRST);
    let (outbox, committed) =
        SqliteStore::open(&dir.path().join("reaction/store.db"), options).unwrap();
    let forgot = Arc::new(Forgot::default());
    let (publishing, shared) = (brokers.publishing(), forgot.clone());
    let (sender, sending) = SenderTask::new(Parts {
        store: outbox.clone(),
        committed,
        service: Arc::new(Announcing),
        settings: followed,
        calls: BTreeMap::new(),
        broker: Box::new(move |settings| {
            Some(Arc::new(Forgetful {
                wire: publishing(settings)?,
                forgot: shared.clone(),
            }))
        }),
        observer: observer(),
        timing: impatient(),
        rules: Arc::new(Rules::default()),
        clock,
    })
    .await
    .unwrap();
    let tasks = [
        tokio::spawn(consumer.run(stop.clone())),
        tokio::spawn(sending.run(stop.clone())),
    ];

    let requests = (0..EVENTS).map(|n| {
        sender.request(
            Key::new(format!("post-1/user-{n}")).unwrap(),
            Some(n),
            TraceContext::default(),
        )
    });
    for reply in futures::future::join_all(requests).await {
        assert_eq!(reply.unwrap().delivery, Delivery::Accepted);
    }
    until(Duration::from_secs(60), || async {
        match sender.standing().await.unwrap() {
            standing if standing.unacknowledged == 0 => Ok(()),
            standing => Err(format!("{standing:?}")),
        }
    })
    .await;
    let keys: BTreeSet<Key> = store
        .read(|connection| Ok(kept(connection)))
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.data().unwrap().key.clone())
        .collect();
    assert_eq!(keys.len() as u64, EVENTS);
    assert_eq!(
        outbox.counts().await.unwrap().unacknowledged,
        [(receivers().remove(0), 0)]
    );
    assert!(
        forgot
            .times
            .lock()
            .unwrap()
            .values()
            .all(|times| *times > 2),
        "each was forgotten twice"
    );

    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    for store in [outbox, store] {
        store.close().await;
    }
}
