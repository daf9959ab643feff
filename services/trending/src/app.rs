//! Trending put together: its tables and routes over what each receiving service starts from.

use duet_channel::store::sqlite::versions::Versioned;
use duet_web::drain::Stop;
use duet_web::health::Version;
use duet_web::process::StartError;
use duet_web::service::Error;
use duet_web::service::receiving::Receiving;

use crate::config::Config;
use crate::service::{Trending, forget};
use crate::{routes, tally};

const VERSION: Version = Version {
    service: "trending",
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
    let end = stop.end.clone();
    let (tables, audit) = (tally::MIGRATIONS, Some(&crate::service::AUDIT as _));
    let mut receiving = Receiving::begin(VERSION, tables, audit, &config.args, stop).await?;
    let clock = receiving.service.clock;
    let forgetting = forget(receiving.store.clone(), clock, end);
    receiving.tasks.spawn("forget", forgetting);
    let trending = Versioned::new(Trending { clock });
    receiving.serve(trending, routes::configure).await
}
