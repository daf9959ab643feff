//! What an operator is started with: flags, each with an environment variable beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use duet_web::process::duration;
use duet_web::service::NatsArgs;

/// Where the operator is. Every subcommand needs it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The namespace whose Channels are looked after; by default the one that the pod, or the kubeconfig's context, is in
    #[arg(long, value_name = "NAME", env = "DUET_NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

/// The settings of a running operator.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Config {
    /// The pod's name: who holds the lease, and who tells events
    #[arg(
        long,
        value_name = "NAME",
        env = "DUET_POD_NAME",
        default_value = "duet-operator"
    )]
    pub(crate) pod_name: String,

    /// Address of the internal port: health and metrics
    #[arg(
        long,
        value_name = "ADDR",
        env = "DUET_INTERNAL_LISTEN",
        default_value = "127.0.0.1:8081"
    )]
    pub(crate) internal_listen: SocketAddr,

    /// The broker; without it no Channel can be Async
    #[command(flatten)]
    pub(crate) nats: NatsArgs,

    /// The document of the first Channel, which is made once, if the namespace has none
    #[arg(
        long,
        value_name = "FILE",
        env = "DUET_FIRST_CHANNEL",
        requires = "first_channel_config_map"
    )]
    pub(crate) first_channel: Option<PathBuf>,

    /// The ConfigMap that the document is in: where it is noted that the Channel was made
    #[arg(long, value_name = "NAME", env = "DUET_FIRST_CHANNEL_CONFIG_MAP")]
    pub(crate) first_channel_config_map: Option<String>,

    /// Set the first Channel's spec to the document whenever it differs
    #[arg(long, env = "DUET_ENFORCE_CHANNEL")]
    pub(crate) enforce_channel: bool,

    /// Keep the cluster's definition of a Channel this version's
    #[arg(long, env = "DUET_MANAGE_CRD")]
    pub(crate) manage_crd: bool,

    /// The Lease that one of several operators holds while it acts; without it, this is the only one
    #[arg(long, value_name = "NAME", env = "DUET_LEASE")]
    pub(crate) lease: Option<String>,

    /// How long all of stopping may take after SIGTERM
    #[arg(long, value_name = "DURATION", env = "DUET_GRACE_PERIOD", default_value = "10s", value_parser = duration)]
    pub(crate) grace_period: Duration,
}
