//! Notification put together: store, settings, receiver and ports, started and stopped in order.

use std::sync::Arc;

use actix_web::web;
use duet_channel::brokers::Brokers;
use duet_channel::clock::Clock;
use duet_channel::receiver::{ConsumerParts, ConsumerTask, PARKED_RETRY, ParkedTask, Receiver};
use duet_channel::settings::{FileSource, SettingsSource, SettingsState};
use duet_channel::store::sqlite::{OpenError, Options, SqliteStore};
use duet_channel::store::{Store, StoreError};
use duet_channel::transport::jetstream::{Nats, NatsError};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_telemetry::Observer;
use duet_web::drain::{Patience, Stop, Unfinished};
use duet_web::health::Version;
use duet_web::process::{Process, Start, StartError};
use duet_web::routes::at;
use duet_web::tasks::Tasks;

use crate::config::Config;
use crate::intake::{self, Intake};
use crate::service::Notifications;
use crate::{routes, status, store};

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
    /// The broker's address is none.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// It did not stop in order.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

const VERSION: Version = Version {
    service: "notification",
    version: env!("CARGO_PKG_VERSION"),
};

/// The store's file in the data directory.
const STORE: &str = "notification.sqlite";

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
    let clock = Clock::start();
    let options = Options::new(store::MIGRATIONS, clock, rand::random());
    let (store, _) = SqliteStore::open(&config.data_dir.join(STORE), options)?;

    let observer = Observer::from(&process.telemetry);
    let service = Arc::new(Notifications { clock });
    let name = name();
    // On a laptop nobody else makes what the broker needs.
    let brokers = Brokers {
        nats: match &config.nats {
            Some(url) => Some(Nats::connect(url, VERSION.service).await?),
            None => None,
        },
        receivers: vec![name.clone()],
        observer: observer.clone(),
        provision: true,
    };
    let receiver = Receiver::new(
        store.clone(),
        service.clone(),
        name,
        Arc::new(Rules::default()),
        clock,
        PARKED_RETRY,
    );
    let consumer = ConsumerTask::new(ConsumerParts {
        receiver: receiver.clone(),
        broker: Arc::new(brokers),
        settings: states.clone(),
        observer: observer.clone(),
    });
    let failing = consumer.failing();
    let mut tasks = Tasks::new(&stop);
    let readiness = process
        .readiness
        .follow("channel", states.clone(), not_ready);
    tasks.spawn("readiness", readiness);
    tasks.spawn("settings", Box::new(settings).run(stop.end.clone()));
    tasks.spawn("consumer", consumer.run(stop.end.clone()));
    tasks.spawn(
        "parked",
        ParkedTask::new(receiver.clone()).run(stop.end.clone()),
    );
    let measure = status::measure(store.clone(), observer.instruments.clone(), stop.end);
    tasks.spawn("measure", measure);

    let public = {
        let store = web::Data::new(store.clone());
        move |config: &mut web::ServiceConfig| {
            config.app_data(store.clone());
            routes::configure(config);
        }
    };
    let internal = {
        let intake = web::Data::new(Intake {
            receiver,
            clock,
            service,
            observer,
        });
        let states = web::Data::new(states);
        let failing = web::Data::new(failing);
        let store = web::Data::new(store.clone());
        move |config: &mut web::ServiceConfig| {
            config
                .app_data(intake.clone())
                .app_data(states.clone())
                .app_data(failing.clone())
                .app_data(store.clone())
                .service(at("/v1/channel").get(status::channel));
            intake::configure(config);
        }
    };
    let finish = async {
        tasks.ended().await;
        store.close().await;
    };
    Ok(process.serve(public, internal, finish).await?)
}

/// The name under which a Channel's `to` has this service.
fn name() -> ReceiverName {
    ReceiverName::new("notification").unwrap_or_else(|| unreachable!("it is short enough"))
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
