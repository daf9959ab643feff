//! What each service's process is started with: flags, each with an environment variable beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use duet_channel::brokers::Watch;
use duet_channel::transport::jetstream::{Login, Nats, NatsError};
use duet_crd::names::{NotAName, ServiceName};
use duet_protocol::receipt::ReceiverName;

use crate::drain::Patience;
use crate::process::duration;

/// The settings of one process. Everything about *how events travel* is in the Channel instead, because that can change while the
/// process runs. Where a service has no other default, `listen`, `internal_listen` and `data_dir` are required.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of the public port; port 0 takes a free one (see `addresses.json` in the data directory)
    #[arg(long, value_name = "ADDR", env = "DUET_LISTEN")]
    pub listen: SocketAddr,

    /// Address of the internal port: health, metrics, the channel's state
    #[arg(long, value_name = "ADDR", env = "DUET_INTERNAL_LISTEN")]
    pub internal_listen: SocketAddr,

    /// Directory of this service's store; made if it is missing
    #[arg(long, value_name = "DIR", env = "DUET_DATA_DIR")]
    pub data_dir: PathBuf,

    /// The Channel document (YAML), watched while the process runs
    #[arg(
        long,
        value_name = "FILE",
        env = "DUET_CHANNEL",
        default_value = ".duet/channel.yaml"
    )]
    pub channel: PathBuf,

    /// In Kubernetes: the Service that this pod is behind. Its Channel is watched in the pod's namespace, in place of --channel, and what the broker needs is left to the operator
    #[arg(long, value_name = "NAME", env = "DUET_SERVICE", value_parser = service_name)]
    pub service: Option<ServiceName>,

    /// The broker.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// How often it is looked after.
    #[command(flatten)]
    pub watch: WatchArgs,

    /// Obey `spec.faults` of the Channel: where this service takes events, things go wrong on purpose. For demonstrations
    #[arg(long, env = "DUET_ALLOW_FAULTS", value_parser = clap::builder::BoolishValueParser::new())]
    pub allow_faults: bool,

    /// How many events a receiver keeps that it can't apply, dead letters and jobs among them: over it, more are left with their sender
    #[arg(long, value_name = "EVENTS", env = "DUET_PARKED_MAX", default_value = "100000", hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub parked_max: u64,

    /// How long to keep accepting after SIGTERM, so that load balancers notice
    #[arg(long, value_name = "DURATION", env = "DUET_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long all of stopping may take after SIGTERM
    #[arg(long, value_name = "DURATION", env = "DUET_GRACE_PERIOD", default_value = "10s", value_parser = duration)]
    pub grace_period: Duration,

    /// How long a client may take nothing of its answer; then its connection is ended
    #[arg(long, value_name = "DURATION", env = "DUET_WRITE_TIMEOUT", default_value = "30s", hide_short_help = true, value_parser = duration)]
    pub write_timeout: Duration,
}

/// How often a receiver looks whether the broker serves it: [`Watch`]'s, where nothing else is said.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WatchArgs {
    /// How often a receiver looks whether its consumer at the broker works; one that doesn't is begun anew [default: 30s]
    #[arg(long, value_name = "DURATION", env = "DUET_WATCHDOG_EVERY", hide_short_help = true, value_parser = duration)]
    pub watchdog_every: Option<Duration>,

    /// On a laptop: how often a receiver looks whether stream and consumers are as the Channel has them; what is not is put right [default: 5s]
    #[arg(long, value_name = "DURATION", env = "DUET_PROVISION_EVERY", hide_short_help = true, value_parser = duration)]
    pub provision_every: Option<Duration>,
}

impl WatchArgs {
    pub(super) fn watch(&self) -> Watch {
        let usual = Watch::default();
        Watch {
            consumer: self.watchdog_every.unwrap_or(usual.consumer),
            provision: self.provision_every.unwrap_or(usual.provision),
        }
    }
}

/// Where the broker is, and who logs in there.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NatsArgs {
    /// The NATS server, as nats://HOST:PORT; without it only `Sync` can deliver
    #[arg(long, value_name = "URL", env = "DUET_NATS_URL")]
    pub nats: Option<String>,

    /// The NATS server's user that this process is
    #[arg(
        long,
        value_name = "NAME",
        env = "DUET_NATS_USER",
        requires = "nats_password_file"
    )]
    pub nats_user: Option<String>,

    /// File that holds that user's password, and nothing else; read anew at each attempt to connect
    #[arg(
        long,
        value_name = "FILE",
        env = "DUET_NATS_PASSWORD_FILE",
        requires = "nats_user"
    )]
    pub nats_password_file: Option<PathBuf>,
}

impl NatsArgs {
    /// Begins to connect, as the program `name`; none if no server was named.
    ///
    /// # Errors
    /// If the server's address is none.
    pub async fn connect(&self, name: &str) -> Result<Option<Nats>, NatsError> {
        let Some(url) = &self.nats else {
            return Ok(None);
        };
        let user = self.nats_user.clone().zip(self.nats_password_file.clone());
        let login = user.map(|(user, password_file)| Login {
            user,
            password_file,
        });
        Nats::connect(url, name, login).await.map(Some)
    }
}

impl Args {
    /// The name under which a Channel has this service: its Service's, or on a laptop its own.
    pub(super) fn name_or(&self, own: &str) -> ReceiverName {
        let name = self.service.as_ref().map_or(own, ServiceName::as_str);
        ReceiverName::new(name).unwrap_or_else(|| unreachable!("a Service's name is short enough"))
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            drain_delay: self.drain_delay,
            grace_period: self.grace_period,
        }
    }
}

fn service_name(text: &str) -> Result<ServiceName, NotAName> {
    ServiceName::try_from(text.to_owned())
}

/// Gives a service's configuration, into which [`Args`] are flattened, its own defaults.
///
/// ```
/// # use duet_web::service::{Args, with_default};
/// #[derive(clap::Args)]
/// #[command(mut_arg("listen", with_default("127.0.0.1:8080")))]
/// struct Config {
///     #[command(flatten)]
///     args: Args,
/// }
/// ```
pub fn with_default(value: &'static str) -> impl FnOnce(clap::Arg) -> clap::Arg {
    move |arg| arg.required(false).default_value(value)
}
