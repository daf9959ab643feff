//! `duet serve reaction|notification|trending`: one service in this process, as its own binary runs it.

use crate::failure::{Doing, Failure, Kind};
use clap::Subcommand;
use duet_web::process;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Posts and reactions: accepts, stores, and sends an event for each
    Reaction(duet_reaction::Config),
    /// The inboxes of post owners: applies each event once
    Notification(duet_notification::Config),
    /// The posts with most reactions in the last hour: a second receiver of the same events
    Trending(duet_trending::Config),
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    process::block_on(async {
        match options.service {
            Service::Reaction(config) => duet_reaction::run(config)
                .await
                .map_err(|error| failure(error.is_port_taken(), &error)),
            Service::Notification(config) => duet_notification::run(config)
                .await
                .map_err(|error| failure(error.is_port_taken(), &error)),
            Service::Trending(config) => duet_trending::run(config)
                .await
                .map_err(|error| failure(error.is_port_taken(), &error)),
        }
    })
    .doing(|| "begin to serve".to_owned())?
}

/// A service's own words: they say what is wrong and which flag changes it.
fn failure(taken: bool, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        if taken { Kind::Taken } else { Kind::Failed },
        error.to_string(),
    )
}
