//! Reaction put together: store, settings, sender and ports, started and stopped in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web;
use duet_channel::clock::Clock;
use duet_channel::sender::{MakeBroker, Parts, SenderTask};
use duet_channel::settings::{FileSource, SettingsSource, SettingsState};
use duet_channel::store::sqlite::{OpenError, Options, SqliteStore};
use duet_channel::store::{Store, StoreError};
use duet_channel::transport::http::{HttpCall, HttpCallError};
use duet_channel::transport::jetstream::{JetStreamPublish, Nats, NatsError};
use duet_channel::transport::{Call, Publish};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_protocol::sender::Timing;
use duet_protocol::settings::TransportSettings;
use duet_telemetry::Observer;
use duet_web::channel::{Condition, Observed};
use duet_web::drain::{Patience, Stop, Unfinished};
use duet_web::health::Version;
use duet_web::process::{Process, Start, StartError};
use duet_web::routes::at;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{self, Config};
use crate::service::{Reactions, Sending};
use crate::{housekeeping, routes, store};

/// Why a process of the service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A receiver's name is too long to be one.
    #[error(
        "{name:?} is no receiver's name: a name has 1 to {} characters",
        ReceiverName::MAX
    )]
    ReceiverName {
        /// What was given.
        name: String,
    },
    /// A receiver's address is none.
    #[error(transparent)]
    Receiver(#[from] HttpCallError),
    /// The broker's address is none.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// It did not stop in order.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

const VERSION: Version = Version {
    service: "reaction",
    version: env!("CARGO_PKG_VERSION"),
};

/// The store's file in the data directory.
const STORE: &str = "reaction.sqlite";

/// Runs one process of the service until it is told to stop (SIGTERM or SIGINT; a second one aborts).
///
/// # Errors
/// If it can't start, or did not stop in order.
pub async fn run(config: Config) -> Result<(), Error> {
    let (stop, _hearing) = Stop::by_signals().map_err(StartError::Io)?;
    run_until(config, stop).await
}

/// Runs one process of the service until `stop` says so.
///
/// # Errors
/// If it can't start, or did not stop in order.
pub async fn run_until(config: Config, stop: Stop) -> Result<(), Error> {
    let process = Process::begin(start(&config), stop.clone())?;
    let settings = FileSource::open(&config.channel, &config.data_dir);
    let states = settings.states();
    let generation = states
        .borrow()
        .current
        .as_ref()
        .map(|current| current.generation);

    let observer = Observer::from(&process.telemetry);
    let calls = calls(&config.receivers, &observer)?;
    let receivers: Vec<_> = calls.keys().cloned().collect();
    let nats = match &config.nats {
        Some(url) => Some(Nats::connect(url, VERSION.service).await?),
        None => None,
    };
    let clock = Clock::start();
    let options = Options::new(store::MIGRATIONS, clock, rand::random());
    let options = options.sending(
        calls.keys().cloned().collect(),
        generation.unwrap_or_default(),
    );
    let (store, committed) = SqliteStore::open(&config.data_dir.join(STORE), options)?;

    let parts = Parts {
        store: store.clone(),
        committed,
        service: Arc::new(Reactions),
        settings: states.clone(),
        calls,
        broker: broker(nats, receivers, observer.clone()),
        observer,
        timing: Timing::default(),
        rules: Arc::new(Rules::default()),
        clock,
    };
    let (sending, sender) = SenderTask::new(parts).await?;

    // The settings are followed until the sender, which goes by them, has ended.
    let settings = own(Box::new(settings).run(stop.end.clone()));
    let sender = own(sender.run(stop.end.clone()));
    let housekeeping = own(housekeeping::run(store.clone(), stop.end.clone()));
    let readiness = process.readiness.clone();
    let ready = own(async move { readiness.follow("channel", states, not_ready).await });

    let public = {
        let sending = web::Data::new(sending.clone());
        move |config: &mut web::ServiceConfig| {
            config.app_data(sending.clone());
            routes::configure(config);
        }
    };
    let internal = {
        let sending = web::Data::new(sending);
        move |config: &mut web::ServiceConfig| {
            config.app_data(sending.clone());
            config.service(at("/v1/channel").get(channel));
        }
    };
    let finish = async {
        for task in [sender, housekeeping, settings, ready] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task failed");
            }
        }
        store.close().await;
    };
    Ok(process.serve(public, internal, finish).await?)
}

/// How to call each receiver.
fn calls(
    receivers: &[config::Receiver],
    observer: &Observer,
) -> Result<BTreeMap<ReceiverName, Arc<dyn Call>>, Error> {
    let mut calls = BTreeMap::<_, Arc<dyn Call>>::new();
    for config::Receiver { name, url } in receivers {
        let name =
            ReceiverName::new(name).ok_or_else(|| Error::ReceiverName { name: name.clone() })?;
        calls.insert(name, Arc::new(HttpCall::new(url, observer.clone())?));
    }
    Ok(calls)
}

/// How to reach the broker, if there is one.
fn broker(nats: Option<Nats>, receivers: Vec<ReceiverName>, observer: Observer) -> MakeBroker {
    Box::new(move |TransportSettings::NatsJetStream(settings)| {
        let nats = nats.clone()?;
        let publish = JetStreamPublish::new(nats, settings, receivers.clone(), observer.clone());
        Some(Arc::new(publish) as Arc<dyn Publish>)
    })
}

fn start(config: &Config) -> Start {
    Start {
        version: VERSION,
        listen: config.listen,
        internal_listen: config.internal_listen,
        data_dir: config.data_dir.clone(),
        patience: Patience {
            drain_delay: config.drain_delay,
            grace_period: config.grace_period,
        },
    }
}

/// A task of this function's: it awaits it, or takes it along when it ends early.
fn own(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

fn not_ready(state: &SettingsState) -> Option<String> {
    state.not_ready().map(str::to_owned)
}

/// What this process observes of the channel.
async fn channel(sending: web::Data<Sending>) -> web::Json<Observed> {
    let state = sending.settings();
    let standing = sending.standing().await;
    let current = state.current.as_ref();
    web::Json(Observed {
        mode: current.map(|current| current.mode.as_str()),
        observed_generation: current.map(|current| current.generation.0),
        unacknowledged: standing.map(|standing| standing.unacknowledged),
        parked: None,
        conditions: vec![Condition::accepted(state.problem.as_deref())],
    })
}
