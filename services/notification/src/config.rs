//! What one Notification process is started with: flags, each with an environment variable beside it.

use duet_web::process::duration;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The settings of one Notification process. Everything about *how events travel* is in the Channel document instead,
/// because that can change while the process runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Address of the public port; port 0 takes a free one (see `addresses.json` in the data directory)
    #[arg(
        long,
        value_name = "ADDR",
        env = "DUET_LISTEN",
        default_value = "127.0.0.1:8090"
    )]
    pub listen: SocketAddr,

    /// Address of the internal port: health, metrics, the channel's state
    #[arg(
        long,
        value_name = "ADDR",
        env = "DUET_INTERNAL_LISTEN",
        default_value = "127.0.0.1:8091"
    )]
    pub internal_listen: SocketAddr,

    /// Directory of this service's store; made if it is missing
    #[arg(
        long,
        value_name = "DIR",
        env = "DUET_DATA_DIR",
        default_value = ".duet/notification"
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

    /// How long to keep accepting after SIGTERM, so that load balancers notice
    #[arg(long, value_name = "DURATION", env = "DUET_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long all of stopping may take after SIGTERM
    #[arg(long, value_name = "DURATION", env = "DUET_GRACE_PERIOD", default_value = "10s", value_parser = duration)]
    pub grace_period: Duration,
}
