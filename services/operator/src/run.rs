//! The operator put together: connections, the election, what the leader does; started and stopped in order.

use std::time::Duration;

use duet_channel::transport::jetstream::NatsError;
use duet_web::drain::{Patience, Stop, Unfinished};
use duet_web::health::{Readiness, Version};
use duet_web::process::{Process, Start, StartError, WRITE_TIMEOUT};
use duet_web::tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::cluster::{ANSWER, Cluster, said};
use crate::config::{Config, Place};
use crate::controller::{self, Parts};
use crate::definition;
use crate::events::Teller;
use crate::first_channel::{self, FirstChannel};
use crate::leader::Election;
use crate::metrics::Meters;
use crate::observe;

/// Why an operator ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("no way to the Kubernetes API is known: {0}")]
    NoCluster(#[from] kube::config::InferConfigError),
    #[error("the Kubernetes API can't be asked: {}", said(.0))]
    Client(#[from] kube::Error),
    #[error("no client for asking pods can be made: {0}")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

const VERSION: Version = Version {
    service: "operator",
    version: env!("CARGO_PKG_VERSION"),
};

/// How long a connection to the broker is waited for at start.
const CONNECT: Duration = Duration::from_secs(2);
/// Between two attempts to make the cluster's definition of a Channel this version's.
const DEFINE_AGAIN: Duration = Duration::from_secs(10);

/// Runs until it is told to stop (SIGTERM or SIGINT; a second one aborts).
///
/// # Errors
/// If it can't start, or did not stop in order.
pub(crate) async fn run(place: &Place, config: Config) -> Result<(), Error> {
    let (stop, _hearing) = Stop::by_signals().map_err(StartError::Io)?;
    let process = Process::begin(start(&config), stop.clone())?;
    let cluster = Cluster::find(place.namespace.clone()).await?;
    let client = cluster.client(ANSWER)?;
    let parts = Parts {
        teller: Teller::new(client.clone(), &config.pod_name),
        nats: config.nats.connect(VERSION.service).await?,
        http: observe::http()?,
        meters: Meters::new(&process.telemetry.metrics()),
        tracer: process.telemetry.tracer(),
        readiness: process.readiness.clone(),
        namespace: cluster.namespace.clone(),
        watching: cluster.watching()?,
        client,
    };
    let election = config.lease.clone().map(|lease| Election {
        lease,
        identity: config.pod_name.clone(),
        cluster,
        readiness: process.readiness.clone(),
    });
    let mut tasks = Tasks::new(&stop);
    tasks.spawn("operator", operate(parts, election, config, stop.draining));
    let finish = tasks.ended();
    Ok(process.serve(|_| (), |_| (), finish).await?)
}

/// Acts whenever it may, until `stop`.
async fn operate(
    parts: Parts,
    election: Option<Election>,
    config: Config,
    stop: CancellationToken,
) {
    let act = || {
        // Before anything is awaited: who waits for the operator to be ready may then wait for the Channel.
        let leading = Leading::begin(&parts.meters, &parts.readiness, &config);
        lead(leading, &parts, &config, &stop)
    };
    match &election {
        Some(election) => election.run(&stop, act).await,
        None => act().await,
    }
}

/// What the one that acts does, until `stop`.
async fn lead(_leading: Leading<'_>, parts: &Parts, config: &Config, stop: &CancellationToken) {
    if let Some(nats) = &parts.nats {
        // At start the connection is a moment away: that the broker is silent then would be no news.
        nats.connected_within(CONNECT).await;
    }
    // Before a first Channel is made, which may say what only this version's definition knows.
    let is_current = !config.manage_crd || definition::make_current(&parts.client).await;
    let define = async {
        if !is_current {
            definition::make_current_later(&parts.client, DEFINE_AGAIN, stop).await;
        }
    };
    let first = config
        .first_channel
        .clone()
        .zip(config.first_channel_config_map.clone());
    let first = first.map(|(file, config_map)| FirstChannel {
        file,
        config_map,
        enforce: config.enforce_channel,
    });
    let keep = async {
        if let Some(first) = first {
            let Parts {
                client,
                namespace,
                teller,
                readiness,
                ..
            } = parts;
            first.keep(client, namespace, teller, readiness, stop).await;
        }
    };
    tokio::join!(define, keep, controller::run(parts, stop.clone()));
}

/// Shown while this process acts; what it could not do is no reason not to be ready once it does not.
struct Leading<'a> {
    meters: &'a Meters,
    readiness: &'a Readiness,
}

impl<'a> Leading<'a> {
    fn begin(meters: &'a Meters, readiness: &'a Readiness, config: &Config) -> Leading<'a> {
        meters.leads(true);
        if config.first_channel.is_some() {
            readiness.not_ready(first_channel::PART, "it is not made yet");
        }
        Leading { meters, readiness }
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.meters.leads(false);
        for part in [controller::PART, first_channel::PART] {
            self.readiness.ready(part);
        }
    }
}

fn start(config: &Config) -> Start {
    Start {
        version: VERSION,
        listen: None,
        internal_listen: config.internal_listen,
        data_dir: None,
        patience: Patience {
            drain_delay: Duration::ZERO,
            grace_period: config.grace_period,
        },
        write_timeout: WRITE_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use duet_telemetry::{Config as Telemetry, Telemetry as Started};

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        config: Config,
    }

    #[tokio::test]
    async fn one_that_acts_is_not_ready_before_the_first_channel_is_made() {
        let telemetry = Started::start(Telemetry::new("operator", "0.0.0")).unwrap();
        let meters = Meters::new(&telemetry.metrics());
        let readiness = Readiness::default();
        let with = |flags: &[&str]| {
            let flags = [&["duet-operator"], flags].concat();
            Flags::try_parse_from(flags).unwrap().config
        };
        let first = ["--first-channel", "f", "--first-channel-config-map", "m"];
        for (flags, is_ready) in [(&first[..], false), (&[], true)] {
            let leading = Leading::begin(&meters, &readiness, &with(flags));
            assert_eq!(readiness.is_ready(), is_ready, "{flags:?}");
            drop(leading);
            assert!(readiness.is_ready(), "one that acts no more is ready");
        }
    }
}
