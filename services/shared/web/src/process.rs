//! One service's process: what it needs before its own parts start, and serving until it has stopped in order.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use duet_telemetry::{Config, ConfigError, Observer, Telemetry, TelemetryError};

use crate::drain::{Patience, Stop, Unfinished, serve_until_stopped};
use crate::health::{Health, Readiness, Version};
use crate::ports::{Addresses, PortError, Ports};
use crate::server;

/// What every service's process is told.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which service it is.
    pub version: Version,
    /// Address of the public port.
    pub listen: SocketAddr,
    /// Address of the internal port.
    pub internal_listen: SocketAddr,
    /// Where it keeps what is its own; made if it is missing.
    pub data_dir: PathBuf,
    /// How long stopping may take.
    pub patience: Patience,
}

/// Why a process can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port can't be taken.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The data directory can't be made or written.
    #[error("can't write the data directory {}: {source}; choose another with --data-dir", path.display())]
    DataDir {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An environment variable about telemetry says what can't be.
    #[error(transparent)]
    Environment(#[from] ConfigError),
    /// Telemetry can't start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A process that has its ports, its data directory and its telemetry, and serves nothing yet.
#[derive(Debug)]
pub struct Process {
    /// Traces and metrics.
    pub telemetry: Telemetry,
    /// Why it can't serve yet.
    pub readiness: Readiness,
    /// What it is told to do.
    pub stop: Stop,
    start: Start,
    ports: Ports,
    addresses: Addresses,
}

impl Process {
    /// Takes the ports, makes the data directory, starts telemetry. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is missing, in a sentence that says what to do.
    pub fn begin(start: Start, stop: Stop) -> Result<Self, StartError> {
        let data_dir = |source| StartError::DataDir {
            path: start.data_dir.clone(),
            source,
        };
        fs::create_dir_all(&start.data_dir).map_err(data_dir)?;
        let ports = Ports::bind(start.listen, start.internal_listen)?;
        let addresses = ports.addresses()?;
        let Version { service, version } = start.version;
        let telemetry = Telemetry::start(Config::from_env(service, version)?)?;
        Ok(Self {
            telemetry,
            readiness: Readiness::default(),
            stop,
            start,
            ports,
            addresses,
        })
    }

    /// Serves both ports until told to stop, then stops in order. `internal` comes beside health and metrics, which are there
    /// anyway; `finish` is what the service does once no more requests come.
    ///
    /// # Errors
    /// If it ended other than by stopping in order.
    pub async fn serve(
        self,
        public: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        internal: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        finish: impl Future<Output = ()>,
    ) -> Result<(), Unfinished> {
        let Self {
            telemetry,
            readiness,
            stop,
            start,
            ports,
            addresses,
        } = self;
        let Start {
            version,
            data_dir,
            patience,
            ..
        } = start;
        let health = Health {
            readiness: readiness.clone(),
            version,
            metrics: telemetry.metrics(),
        };
        let internal = move |config: &mut ServiceConfig| {
            health.configure(config);
            internal(config);
        };
        let grace = patience.for_requests();
        let observer = Observer::from(&telemetry);
        let public = server::serve(ports.public, grace, Some(observer), public)?;
        let internal = server::serve(ports.internal, grace, None, internal)?;
        addresses.write(&data_dir)?;
        let Addresses {
            listen,
            internal_listen,
            ..
        } = addresses;
        tracing::info!(%listen, %internal_listen, version = version.version, "{} listens", version.service);
        let finish = async {
            finish.await;
            if let Err(error) = telemetry.shutdown(FLUSH).await {
                tracing::warn!(%error, "the last spans are lost");
            }
        };
        let stopped =
            serve_until_stopped(&stop, &readiness, patience, (public, internal), finish).await;
        addresses.remove(&data_dir);
        stopped
    }
}

/// How long the last spans may take to be exported.
const FLUSH: Duration = Duration::from_secs(2);

/// Reads `5s`, `250ms`, `1m 30s`: a value parser for clap.
///
/// # Errors
/// What is wrong with the text, for whoever wrote it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(parsed).map_err(|_| "a duration can't be negative".to_owned())
}
