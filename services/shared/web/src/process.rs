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
    /// Address of the public port, if it has one: a controller has none.
    pub listen: Option<SocketAddr>,
    /// Address of the internal port.
    pub internal_listen: SocketAddr,
    /// Where it keeps what is its own, if it does; made if it is missing.
    pub data_dir: Option<PathBuf>,
    /// How long stopping may take.
    pub patience: Patience,
    /// How long a client may take nothing of its answer.
    pub write_timeout: Duration,
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
    /// Told in the data directory.
    addresses: Option<Addresses>,
}

impl Process {
    /// Takes the ports, makes the data directory, starts telemetry. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is missing, in a sentence that says what to do.
    pub fn begin(start: Start, stop: Stop) -> Result<Self, StartError> {
        if let Some(path) = &start.data_dir {
            fs::create_dir_all(path).map_err(|source| StartError::DataDir {
                path: path.clone(),
                source,
            })?;
        }
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

    /// Serves its ports until told to stop, then stops in order. `public` is for the public port, if there is one; `internal` comes
    /// beside health and metrics, which are there anyway; `finish` is what the service does once no more requests come.
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
            write_timeout,
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
        let draining = || stop.draining.clone();
        let observer = Observer::from(&telemetry);
        let internal_listen = ports.internal.local_addr()?;
        let mut servers = vec![server::serve(
            ports.internal,
            grace,
            write_timeout,
            draining(),
            None,
            internal,
        )?];
        if let Some(listener) = ports.public {
            servers.push(server::serve(
                listener,
                grace,
                write_timeout,
                draining(),
                Some(observer),
                public,
            )?);
        }
        let told = addresses.zip(data_dir);
        if let Some((addresses, data_dir)) = &told {
            addresses.write(data_dir)?;
        }
        let listen = addresses.map(|addresses| tracing::field::display(addresses.listen));
        tracing::info!(listen, %internal_listen, version = version.version, "{} listens", version.service);
        let finish = async {
            finish.await;
            if let Err(error) = telemetry.shutdown(FLUSH).await {
                tracing::warn!(%error, "some telemetry is lost");
            }
        };
        let stopped = serve_until_stopped(&stop, &readiness, patience, servers, finish).await;
        if let Some((addresses, data_dir)) = told {
            addresses.remove(&data_dir);
        }
        stopped
    }
}

/// How long a client may take nothing of its answer, where nothing else is said.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Threads for a service's tasks; its ports have their own.
const WORKERS: usize = 2;

/// Runs a service in this process, which has nothing else to do: begins to log, has threads for its tasks, and may open as many files
/// as it is ever allowed to.
///
/// # Errors
/// If it can't log or have threads; what the service itself comes to is within.
pub fn block_on<T>(service: impl Future<Output = T>) -> io::Result<T> {
    duet_telemetry::logs::init().map_err(io::Error::other)?;
    raise_open_files();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    Ok(runtime.block_on(service))
}

/// Each connection is an open file, and what shells give by default is for programs of before.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};

        let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
            let enough = soft.max(hard.min(OPEN_FILES));
            setrlimit(Resource::RLIMIT_NOFILE, enough, hard)
        });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit of open files can't be raised");
        }
    }
}

/// More than both ports' connections. [Some systems call unlimited what they then refuse.]
#[cfg(unix)]
const OPEN_FILES: u64 = 65_536;

/// How long the last spans, metrics and log lines may take to be exported.
const FLUSH: Duration = Duration::from_secs(2);

/// Reads `5s`, `250ms`, `1m 30s`: a value parser for clap.
///
/// # Errors
/// What is wrong with the text, for whoever wrote it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(parsed).map_err(|_| "a duration can't be negative".to_owned())
}
