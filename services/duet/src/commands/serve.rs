//! `duet serve reaction|notification`: one service in this process, as its own binary runs it.

use crate::failure::{Doing, Failure, Kind};
use clap::Subcommand;
use duet_web::process::StartError;

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
    duet_telemetry::logs::init().doing(|| "begin to log".to_owned())?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .doing(|| "start the async runtime".to_owned())?
        .block_on(async {
            match options.service {
                Service::Reaction(config) => {
                    use duet_reaction::Error::Start;
                    duet_reaction::run(config).await.map_err(|error| {
                        failure(matches!(error, Start(StartError::Port(_))), &error)
                    })
                }
                Service::Notification(config) => {
                    use duet_notification::Error::Start;
                    duet_notification::run(config).await.map_err(|error| {
                        failure(matches!(error, Start(StartError::Port(_))), &error)
                    })
                }
            }
        })
}

/// A service's own words: they say what is wrong and which flag changes it.
fn failure(taken: bool, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        if taken { Kind::Taken } else { Kind::Failed },
        error.to_string(),
    )
}
