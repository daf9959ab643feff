//! Notification put together: its rows, routes and streams over what each receiving service starts from.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use duet_channel::store::{Store, Transaction};
use duet_web::drain::Stop;
use duet_web::health::Version;
use duet_web::process::StartError;
use duet_web::service::Error;
use duet_web::service::receiving::Receiving;

use crate::config::Config;
use crate::service::Notifications;
use crate::store::{self, Memory};
use crate::stream::{Listeners, Streams};
use crate::{housekeeping, routes};

const VERSION: Version = Version {
    service: "notification",
    version: env!("CARGO_PKG_VERSION"),
};

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
    let args = &config.args;
    let audit = Some(&store::audit::Notifications as _);
    let mut receiving = Receiving::begin(VERSION, store::MIGRATIONS, audit, args, stop).await?;
    let incarnation = receiving.store.identity().incarnation;
    let open = receiving.store.write(move |tx| {
        let memory = Memory::open(tx.connection(), incarnation)?;
        tx.write_behind(memory.behind());
        Ok(memory)
    });
    let memory = Arc::new(open.await?);
    let streams = Streams {
        listeners: Listeners::new(config.max_streams),
        incarnation,
        closing: receiving.service.process.stop.closing.clone(),
    };
    let listeners = streams.listeners.clone();
    let instruments = &receiving.service.observer.instruments;
    instruments.observe_streams(move || listeners.open() as u64);
    let end = receiving.service.process.stop.end.clone();
    let forget = housekeeping::forget_changes(receiving.store.clone(), end);
    receiving.tasks.spawn("housekeeping", forget);

    let own = Notifications {
        memory: memory.clone(),
        listeners: streams.listeners.clone(),
    };
    let (memory, streams) = (Data::new(memory), Data::new(streams));
    let routes = move |config: &mut ServiceConfig| {
        config.app_data(memory.clone()).app_data(streams.clone());
        routes::configure(config);
    };
    receiving.serve(own, routes).await
}
