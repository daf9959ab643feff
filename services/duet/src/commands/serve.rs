//! `duet serve reaction|notification`: one service in this process, as its own binary runs it.

use crate::failure::{Doing, Failure};
use clap::Subcommand;

/// Threads for the channel's tasks; the HTTP ports have their own.
const WORKERS: usize = 2;

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
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .doing(|| "start the async runtime".to_owned())?
        .block_on(async {
            match options.service {
                Service::Reaction(config) => duet_reaction::run(config)
                    .await
                    .doing(|| "run Reaction".to_owned()),
                Service::Notification(config) => duet_notification::run(config)
                    .await
                    .doing(|| "run Notification".to_owned()),
            }
        })
}
