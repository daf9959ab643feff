//! Reaction put together: store, settings, sender and ports, started and stopped in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web;
use duet_channel::brokers::Brokers;
use duet_channel::clock::Clock;
use duet_channel::sender::{Parts, SenderTask};
use duet_channel::settings::{FileSource, SettingsSource, SettingsState};
use duet_channel::store::sqlite::{OpenError, Options, SqliteStore};
use duet_channel::store::{Store, StoreError};
use duet_channel::transport::Call;
use duet_channel::transport::http::{HttpCall, HttpCallError};
use duet_channel::transport::jetstream::{Nats, NatsError};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_telemetry::Observer;
use duet_web::drain::{Patience, Stop, Unfinished};
use duet_web::health::Version;
use duet_web::process::{Process, Start, StartError};
use duet_web::routes::at;
use duet_web::tasks::Tasks;

use crate::config::{self, Config};
use crate::service::Reactions;
use crate::{housekeeping, routes, status, store};

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
    let brokers = Brokers {
        nats,
        receivers: receivers.clone(),
        observer: observer.clone(),
        provision: false,
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
        broker: brokers.publishing(),
        observer,
        timing: config.loss.timing(),
        rules: Arc::new(Rules::default()),
        clock,
    };
    let (sending, sender) = SenderTask::new(parts).await?;

    let mut tasks = Tasks::new(&stop);
    let readiness = process.readiness.follow("channel", states, not_ready);
    tasks.spawn("readiness", readiness);
    tasks.spawn("settings", Box::new(settings).run(stop.end.clone()));
    tasks.spawn("sender", sender.run(stop.end.clone()));
    tasks.spawn(
        "housekeeping",
        housekeeping::run(store.clone(), stop.end.clone()),
    );
    let instruments = process.telemetry.instruments();
    let measure = status::measure(sending.clone(), receivers, instruments, clock, stop.end);
    tasks.spawn("measure", measure);

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
            config.service(at("/v1/channel").get(status::channel));
        }
    };
    let finish = async {
        tasks.ended().await;
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

fn start(config: &Config) -> Start {
    Start {
        version: VERSION,
        listen: Some(config.listen),
        internal_listen: config.internal_listen,
        data_dir: Some(config.data_dir.clone()),
        patience: Patience {
            drain_delay: config.drain_delay,
            grace_period: config.grace_period,
        },
    }
}

fn not_ready(state: &SettingsState) -> Option<String> {
    state.not_ready().map(str::to_owned)
}
