//! What one Reaction process is started with: flags, each with an environment variable beside it.

use duet_protocol::sender::Timing;
use duet_web::process::duration;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The settings of one Reaction process. Everything about *how events travel* is in the Channel document instead,
/// because that can change while the process runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Address of the public port; port 0 takes a free one (see `addresses.json` in the data directory)
    #[arg(
        long,
        value_name = "ADDR",
        env = "DUET_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// Address of the internal port: health, metrics, the channel's state
    #[arg(
        long,
        value_name = "ADDR",
        env = "DUET_INTERNAL_LISTEN",
        default_value = "127.0.0.1:8081"
    )]
    pub internal_listen: SocketAddr,

    /// Directory of this service's store; made if it is missing
    #[arg(
        long,
        value_name = "DIR",
        env = "DUET_DATA_DIR",
        default_value = ".duet/reaction"
    )]
    pub data_dir: PathBuf,

    /// The Channel document (YAML), watched while the process runs
    #[arg(
        long,
        value_name = "FILE",
        env = "DUET_CHANNEL",
        default_value = ".duet/channel.yaml"
    )]
    pub channel: PathBuf,

    /// The NATS server, as nats://HOST:PORT; without it only `Sync` can deliver
    #[arg(long, value_name = "URL", env = "DUET_NATS_URL")]
    pub nats: Option<String>,

    /// Where a receiver takes events in `Sync`: NAME=URL of its internal port; repeat for each receiver
    #[arg(
        long = "receiver",
        value_name = "NAME=URL",
        env = "DUET_RECEIVERS",
        value_delimiter = ',',
        default_value = "notification=http://127.0.0.1:8091"
    )]
    pub receivers: Vec<Receiver>,

    /// How long to keep accepting after SIGTERM, so that load balancers notice
    #[arg(long, value_name = "DURATION", env = "DUET_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long all of stopping may take after SIGTERM
    #[arg(long, value_name = "DURATION", env = "DUET_GRACE_PERIOD", default_value = "10s", value_parser = duration)]
    pub grace_period: Duration,

    /// When something that was sent counts as lost.
    #[command(flatten)]
    pub loss: Loss,
}

/// When something that was sent counts as lost, and is sent again: [`Timing`]'s, where nothing else is said. What is delivered does
/// not depend on it; too short costs copies, which change nothing.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Loss {
    /// An event that was overtaken is sent again after the consumer's ackWait and this [default: 15s]
    #[arg(long, value_name = "DURATION", env = "DUET_ORDER_SLACK", hide_short_help = true, value_parser = duration)]
    pub order_slack: Option<Duration>,

    /// An event is sent again when the broker has been done with it for so long and no receipt came [default: 60s]
    #[arg(long, value_name = "DURATION", env = "DUET_PLACE_PATIENCE", hide_short_help = true, value_parser = duration)]
    pub place_patience: Option<Duration>,

    /// Where a broker can't say what it is done with, an event is sent again at this age [default: 60s]
    #[arg(long, value_name = "DURATION", env = "DUET_AGE_PATIENCE", hide_short_help = true, value_parser = duration)]
    pub age_patience: Option<Duration>,

    /// How often the broker is asked what it is done with, while receipts are missing [default: 10s]
    #[arg(long, value_name = "DURATION", env = "DUET_BACKLOG_EVERY", hide_short_help = true, value_parser = duration)]
    pub backlog_every: Option<Duration>,
}

impl Loss {
    /// The sender's times.
    pub fn timing(&self) -> Timing {
        let usual = Timing::default();
        Timing {
            order_slack: self.order_slack.unwrap_or(usual.order_slack),
            place_patience: self.place_patience.unwrap_or(usual.place_patience),
            age_patience: self.age_patience.unwrap_or(usual.age_patience),
            backlog_every: self.backlog_every.unwrap_or(usual.backlog_every),
            ..usual
        }
    }
}

/// A receiver by its name in the Channel document, and where it takes events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// The name under `spec.to`.
    pub name: String,
    /// The base URL of its internal port.
    pub url: String,
}

impl std::str::FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, url)) if !name.is_empty() && url.starts_with("http://") => Ok(Self {
                name: name.to_owned(),
                url: url.trim_end_matches('/').to_owned(),
            }),
            _ => Err("expected NAME=http://HOST:PORT".to_owned()),
        }
    }
}
