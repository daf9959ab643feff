//! The operator: puts Channels into force, and tells what it observes.
//!
//! A look at a Channel is four steps: `observe` (every read) → `plan` (pure) → `apply` (every write) → `status` (pure, one patch). A
//! broker that is lost and a pod that is silent are observations, not errors.
//!
//! Its rights, all of them. In its namespace:
//!
//! | resources | verbs |
//! |---|---|
//! | channels.duet.dev | get, list, watch, create, patch; `remove-channels` needs list and delete alone |
//! | channels.duet.dev/status | patch |
//! | endpointslices.discovery.k8s.io | list, watch |
//! | events.events.k8s.io | create, patch |
//! | configmaps, the first Channel's by name | get, patch |
//! | leases.coordination.k8s.io, its own by name, which is there | get, patch |
//!
//! In the cluster, with `--manage-crd`: customresourcedefinitions, by the name `channels.duet.dev`: get, patch.

mod cluster; // the way to the Kubernetes API
mod config; // what it is started with
mod controller; // looks after all Channels
mod definition; // the cluster's definition of a Channel
mod first_channel; // the Channel that a release begins with
mod leader; // which of several operators acts
mod remove; // before the operator goes
mod run; // the operator put together

mod apply; // every write but the status
mod observe; // every read
mod plan; // what is to be done
mod reconcile; // one look at one Channel
mod status; // what is told of a Channel

mod broker; // what there is of a Channel's at the broker
mod conditions; // what is good and what is wrong
mod cut; // texts of a length that the API takes
mod events; // what is told once
mod guarantee; // what the settings promise
mod memory; // between two looks
mod metrics; // what is told at /metrics
mod participants; // the pods behind the Services
mod stored; // a Channel as the API server holds it
mod switch; // a change of the mode, and its report

#[cfg(test)]
mod fixtures; // what tests begin with

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use duet_web::process::duration;

use crate::cluster::{ANSWER, Cluster};
use crate::config::{Config, Place};

/// Threads for all that it does but HTTP.
const WORKERS: usize = 2;

/// Puts Channels into force, and tells what it observes
#[derive(Debug, Parser)]
#[command(
    name = "duet-operator",
    version,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Box<Config>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look after the namespace's Channels, until told to stop; this is what is done without a subcommand
    Run {
        #[command(flatten)]
        config: Box<Config>,
        #[command(flatten)]
        place: Place,
    },
    /// Delete the namespace's Channels, and wait until they are gone
    RemoveChannels {
        /// How long to wait
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
        timeout: Duration,
        #[command(flatten)]
        place: Place,
    },
}

fn main() -> ExitCode {
    let Cli {
        command,
        config,
        place,
    } = Cli::parse();
    let command = command.unwrap_or(Command::Run { config, place });
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duet-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    duet_telemetry::logs::init()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Run { config, place } => run::run(&place, *config).await?,
            Command::RemoveChannels { timeout, place } => {
                let cluster = Cluster::find(place.namespace).await?;
                let client = cluster.client(ANSWER)?;
                remove::channels(client, &cluster.namespace, timeout).await?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_unless_told_otherwise() {
        let parsed = |args: &[&str]| Cli::try_parse_from([&["duet-operator"], args].concat());
        assert!(parsed(&[]).unwrap().command.is_none());
        let run = parsed(&["run", "--lease", "duet-operator", "--manage-crd"]);
        assert!(matches!(run.unwrap().command, Some(Command::Run { .. })));
        let remove = parsed(&["remove-channels", "--timeout", "5s"])
            .unwrap()
            .command;
        assert!(
            matches!(remove, Some(Command::RemoveChannels { timeout, .. }) if timeout == Duration::from_secs(5))
        );
        for (args, named) in [
            (
                ["--first-channel", "channel.yaml"],
                "--first-channel-config-map",
            ),
            (["--nats-user", "operator"], "--nats-password-file"),
        ] {
            let error = parsed(&args).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
