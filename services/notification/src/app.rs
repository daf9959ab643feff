//! Notification put together: store, receiver and routes over what each service starts from.

use std::sync::Arc;

use actix_web::web;
use duet_channel::receiver::{ConsumerParts, ConsumerTask, PARKED_RETRY, ParkedTask, Receiver};
use duet_channel::settings::Side;
use duet_channel::store::sqlite::Options;
use duet_protocol::rules::Rules;
use duet_web::drain::Stop;
use duet_web::health::Version;
use duet_web::process::StartError;
use duet_web::routes::at;
use duet_web::service::{Error, Service};
use duet_web::tasks::Tasks;

use crate::config::Config;
use crate::intake::{self, Intake};
use crate::service::Notifications;
use crate::{routes, status, store};

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
    let service = Service::begin(VERSION, Side::To, &config.args, stop).await?;
    let (clock, end) = (service.clock, service.process.stop.end.clone());
    let options = Options::new(store::MIGRATIONS, clock, rand::random());
    let (store, _) = service.open_store(&config.args, STORE, options).await?;

    let notifications = Arc::new(Notifications { clock });
    let name = config.receiver();
    let brokers = service.brokers(vec![name.clone()]);
    let receiver = Receiver::new(
        store.clone(),
        notifications.clone(),
        name,
        Arc::new(Rules::default()),
        clock,
        PARKED_RETRY,
    );
    let consumer = ConsumerTask::new(ConsumerParts {
        receiver: receiver.clone(),
        broker: Arc::new(brokers),
        settings: service.states.clone(),
        observer: service.observer.clone(),
    });
    let failing = consumer.failing();
    let mut tasks = Tasks::new(&service.process.stop);
    tasks.spawn("consumer", consumer.run(end.clone()));
    tasks.spawn("parked", ParkedTask::new(receiver.clone()).run(end.clone()));
    let instruments = service.observer.instruments.clone();
    tasks.spawn("measure", status::measure(store.clone(), instruments, end));

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
            service: notifications,
            observer: service.observer.clone(),
        });
        let states = web::Data::new(service.states.clone());
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
    service.serve(public, internal, tasks, store).await
}
