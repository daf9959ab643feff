//! A wire that acknowledges and forgets: a broker's word that it stored a message is worth nothing, and all still arrives, because
//! only a receipt makes the sender forget.
//!
//! The wire is the only double in Duet's tests. All else is what a user runs: Reaction's rows, store and sender, here in the test's
//! process so that the wire can be put between; a real nats-server behind it; Notification as a process of its own.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use async_trait::async_trait;
use duet_channel::{
    clock::Clock,
    sender::{Parts, SenderTask},
    settings::{InForce, SettingsState},
    store::{
        Store, Transaction,
        sqlite::{Options, SqliteStore},
    },
    transport::{
        Batch, Call, Features, Feedback, Limits, Publish, PublishError,
        http::HttpCall,
        jetstream::{JetStreamPublish, Nats},
        spans::Observer,
    },
};
use duet_crd::Channel;
use duet_protocol::{
    event::TraceContext,
    receipt::ReceiverName,
    sender::{Backlog, BrokerPlace, HelloId, MessageId, Timing},
    sequence::StoreId,
    settings::{Settings, TransportSettings},
    time::Timestamp,
};
use duet_reaction::{
    domain::{Kind, Pair as Key, Post, Put, Stand},
    service::{Reactions, Sending},
    store,
};
use duet_telemetry::Telemetry;
use duet_testkit::{Mode, Pair, until};
use futures::stream::BoxStream;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const REACTIONS: u64 = 300;
/// No stream of these tests has so many messages.
const BEYOND: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
const MS: Duration = Duration::from_millis(1);

/// So that loss is found in moments: the rules are the same.
fn timing() -> Timing {
    Timing {
        order_slack: 50 * MS,
        place_patience: 300 * MS,
        age_patience: 300 * MS,
        backlog_every: 100 * MS,
        scan_every: 50 * MS,
        resend_max: 1000 * MS,
        ..Timing::default()
    }
}

/// What the wire says of a message that it forgets.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// That it is stored.
    Stored,
    /// That it is stored, and where: at places that the stream never reaches.
    StoredAt,
    /// That it is stored, where, and that its consumer is done with it.
    DoneWith,
}

/// See the module.
struct Forgetful {
    wire: JetStreamPublish,
    says: Says,
    memory: Arc<Memory>,
}

/// How much the wire remembers: of so many messages one, and what came of them.
#[derive(Debug, Default)]
struct Memory {
    one_in: AtomicU64,
    asked: AtomicU64,
    forgotten: AtomicU64,
}

impl Memory {
    const ALL: u64 = 1;
    const NOTHING: u64 = u64::MAX;

    fn remembers(&self, one_in: u64) {
        self.one_in.store(one_in, Ordering::Relaxed);
    }

    fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
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
        let asked = self.memory.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if asked.is_multiple_of(self.memory.one_in.load(Ordering::Relaxed)) {
            return self.wire.publish(id, batch).await;
        }
        let forgotten = self.memory.forgotten.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(match self.says {
            Says::Stored => None,
            Says::StoredAt | Says::DoneWith => Some(BrokerPlace(BEYOND + forgotten)),
        })
    }

    async fn hello(&self, id: HelloId, store: StoreId) -> Result<(), PublishError> {
        self.wire.hello(id, store).await
    }

    async fn feedback(&self, store: StoreId) -> BoxStream<'static, Feedback> {
        self.wire.feedback(store).await
    }

    async fn backlog(&self) -> Backlog {
        match self.says {
            Says::Stored | Says::StoredAt => self.wire.backlog().await,
            Says::DoneWith => {
                let last = BrokerPlace(BEYOND + self.memory.forgotten());
                Backlog::Known {
                    created: 1,
                    last,
                    ack_floor: last,
                    outstanding: 0,
                }
            }
        }
    }
}

/// Reaction's sender in this process, with the wire before the pair's broker, and the pair's Notification as its receiver.
struct Sender {
    sending: Sending,
    settings: watch::Sender<SettingsState>,
    memory: Arc<Memory>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn settings(mode: &str) -> Arc<Settings> {
    let document = duet_crd::EXAMPLE
        .replace("mode: Sync ", &format!("mode: {mode} "))
        .replace("ackWait: 30s", "ackWait: 1s");
    let channel = Channel::from_yaml(&document).unwrap();
    Arc::new(Settings::try_from(&channel).unwrap())
}

fn in_force(settings: Arc<Settings>) -> SettingsState {
    SettingsState {
        current: Some(InForce {
            document: Arc::new(Channel::from_yaml(duet_crd::EXAMPLE).unwrap()),
            settings,
            resource: None,
            since: Timestamp::default(),
        }),
        problem: None,
        observed_at: Timestamp::default(),
    }
}

impl Sender {
    async fn start(pair: &Pair, says: Says, one_in: u64) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("duet-forgets-")
            .tempdir()
            .unwrap();
        let receiver = ReceiverName::new("notification").unwrap();
        let clock = Clock::start();
        let random = u64::from(std::process::id());
        let options = Options::new(store::MIGRATIONS, clock, random);
        let settings = settings("Async");
        let options = options.sending(Some(vec![receiver]), settings.generation);
        let (store, committed) =
            SqliteStore::open(&dir.path().join("reaction.sqlite"), options).unwrap();

        let telemetry = Telemetry::start(duet_telemetry::Config::new("test", "0.0.0")).unwrap();
        let observer = Observer::from(&telemetry);
        let nats = Nats::connect(&pair.nats.url(), "test", None).await.unwrap();
        let call = HttpCall::new(&pair.notification.internal(), observer.clone()).unwrap();
        let call: Arc<dyn Call> = Arc::new(call);
        let memory = Arc::new(Memory::default());
        memory.remembers(one_in);
        let broker = {
            let (memory, observer) = (memory.clone(), observer.clone());
            move |TransportSettings::NatsJetStream(settings): &TransportSettings,
                  receiver: &ReceiverName| {
                let (nats, observer) = (nats.clone(), observer.clone());
                let wire = JetStreamPublish::new(nats, settings, receiver.clone(), observer);
                let memory = memory.clone();
                Some(Arc::new(Forgetful { wire, says, memory }) as Arc<dyn Publish>)
            }
        };
        let (settings, states) = watch::channel(in_force(settings));
        let own = Reactions::over(&store).await.unwrap();
        let kept = own.kept.clone();
        let parts = Parts {
            store,
            committed,
            service: Arc::new(own),
            settings: states,
            calls: Box::new(move |_| Some(call.clone())),
            broker: Box::new(broker),
            observer,
            timing: timing(),
            rules: Arc::default(),
            clock,
        };
        let (sending, task) = SenderTask::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(task.run(stop.clone()));
        let post = Post {
            id: "walk".parse().unwrap(),
            owner: "bob".parse().unwrap(),
            title: "A walk".parse().unwrap(),
        };
        let put = sending.store().write(move |tx| {
            store::posts::put(tx.connection(), &kept, &post, Put::Create)?;
            Ok(())
        });
        put.await.unwrap();
        Self {
            sending,
            settings,
            memory,
            stop,
            task,
            _dir: dir,
        }
    }

    /// Reacts, as many users one after another, and a few of them take it back.
    async fn react(&self) {
        for number in 0..REACTIONS {
            let user = format!("user-{number}").parse().unwrap();
            let post = "walk".parse().unwrap();
            let key = Key { post, user }.key().unwrap();
            let stand = Stand {
                kind: Kind::Like,
                since: Timestamp::default(),
            };
            let wanted = [Some(stand), None];
            for value in &wanted[..if number % 10 == 0 { 2 } else { 1 }] {
                let sent = self
                    .sending
                    .request(key.clone(), *value, TraceContext::default());
                sent.await.unwrap();
            }
        }
    }

    async fn unacknowledged(&self) -> u64 {
        self.sending.standing().await.unwrap().unacknowledged
    }

    /// Waits until the outbox is empty, and compares the inbox.
    async fn all_arrives(self, pair: &Pair) {
        until(PATIENCE, || async {
            let standing = self.sending.standing().await.unwrap();
            (standing.unacknowledged == 0)
                .then_some(())
                .ok_or_else(|| format!("{standing:?}, {:?}", self.memory))
        })
        .await;
        let inbox = pair.inbox("bob").await;
        assert_eq!(inbox[0]["count"], REACTIONS - REACTIONS / 10, "{inbox:?}");
        assert_eq!(inbox.len(), 1);
        println!("{:?}", self.memory);
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// All that the wire acknowledged is still the sender's, and none of it is at the owner's.
async fn all_is_kept(sender: &Sender, pair: &Pair) {
    until(PATIENCE, || async {
        // It was all sent once, and some of it again.
        let forgotten = sender.memory.forgotten();
        (forgotten > 20).then_some(()).ok_or(forgotten)
    })
    .await;
    assert_eq!(
        sender.unacknowledged().await,
        1 + REACTIONS + REACTIONS / 10
    );
    assert!(pair.inbox("bob").await.is_empty());
}

async fn pair() -> Pair {
    Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Async)
        .channel("ackWait: 30s", "ackWait: 1s")
        .start()
        .await
}

/// It forgets everything, and later nothing.
async fn remembers_in_the_end(says: Says) {
    let pair = pair().await;
    let sender = Sender::start(&pair, says, Memory::NOTHING).await;
    sender.react().await;
    all_is_kept(&sender, &pair).await;
    sender.memory.remembers(Memory::ALL);
    sender.all_arrives(&pair).await;
}

/// It forgets three messages of four, for ever.
async fn never_gets_better(says: Says) {
    let pair = pair().await;
    let sender = Sender::start(&pair, says, 4).await;
    sender.react().await;
    assert!(sender.memory.forgotten() > 0);
    sender.all_arrives(&pair).await;
}

macro_rules! all_arrives {
    ($($name:ident: $wire:ident, $says:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $wire(Says::$says).await;
            }
        )+
    };
}

all_arrives! {
    all_arrives_once_a_wire_remembers_that_said_stored: remembers_in_the_end, Stored;
    all_arrives_once_a_wire_remembers_that_said_where: remembers_in_the_end, StoredAt;
    all_arrives_once_a_wire_remembers_that_said_done_with: remembers_in_the_end, DoneWith;
    all_arrives_though_a_wire_never_gets_better_that_says_stored: never_gets_better, Stored;
    all_arrives_though_a_wire_never_gets_better_that_says_where: never_gets_better, StoredAt;
    all_arrives_though_a_wire_never_gets_better_that_says_done_with: never_gets_better, DoneWith;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_wire_forgot_goes_the_other_way_once_the_mode_is_sync() {
    let pair = pair().await;
    let sender = Sender::start(&pair, Says::Stored, Memory::NOTHING).await;
    sender.react().await;
    all_is_kept(&sender, &pair).await;
    sender.settings.send_replace(in_force(settings("Sync")));
    sender.all_arrives(&pair).await;
}
