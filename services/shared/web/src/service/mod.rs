//! A service on one side of a Channel: what its process starts from, and how it ends.

/// What an audit asks.
pub mod ledger;
/// A service that a Channel is `to`.
pub mod receiving;
/// A service that a Channel is `from`.
pub mod sending;

mod args;
/// Keeps which Channel is in force since when.
mod generations;

use std::time::Duration;

use actix_web::web::ServiceConfig;
use duet_channel::brokers::{Brokers, Watch};
use duet_channel::clock::Clock;
use duet_channel::settings::{
    FileSource, KubernetesError, KubernetesSource, SettingsSource, SettingsState, Side,
};
use duet_channel::store::sqlite::{OpenError, Options, SqliteStore};
use duet_channel::store::{CommittedGroup, Store, StoreError};
use duet_channel::transport::jetstream::{Nats, NatsError};
use duet_telemetry::Observer;
use tokio::sync::{mpsc, watch};

pub use args::{Args, NatsArgs, WatchArgs, with_default};

use crate::drain::{Stop, Unfinished};
use crate::health::Version;
use crate::process::{Process, Start, StartError};
use crate::tasks::Tasks;

/// Why a process of a service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Where its settings come from can't be told.
    #[error(transparent)]
    Settings(#[from] KubernetesError),
    /// The broker's address is none.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It did not stop in order.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

impl Error {
    /// Whether another process has one of its ports.
    pub fn is_port_taken(&self) -> bool {
        matches!(self, Error::Start(StartError::Port(_)))
    }
}

/// A process that has its ports, knows its Channel if one was ever seen, and serves nothing yet.
pub struct Service {
    /// Its ports, its telemetry, and what it is told to do.
    pub process: Process,
    /// Its clocks.
    pub clock: Clock,
    /// The settings in force, followed.
    pub states: watch::Receiver<SettingsState>,
    /// Where it tells what it does.
    pub observer: Observer,
    version: Version,
    settings: Box<dyn SettingsSource>,
    nats: Option<Nats>,
    provision: bool,
    watch: Watch,
}

impl Service {
    /// Takes the ports, makes the data directory, finds the Channel of before, begins to connect to the broker. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is missing, in a sentence that says what to do.
    pub async fn begin(
        version: Version,
        side: Side,
        args: &Args,
        stop: Stop,
    ) -> Result<Self, Error> {
        let start = Start {
            version,
            listen: Some(args.listen),
            internal_listen: args.internal_listen,
            data_dir: Some(args.data_dir.clone()),
            patience: args.patience(),
            write_timeout: args.write_timeout,
        };
        let process = Process::begin(start, stop)?;
        let clock = Clock::start();
        let settings = settings(args, side, clock).await?;
        let nats = args.nats.connect(version.service).await?;
        Ok(Service {
            version,
            clock,
            states: settings.states(),
            settings,
            observer: Observer::from(&process.telemetry),
            nats,
            // On a laptop nobody else makes what the broker needs, and who receives is there before who sends.
            provision: side == Side::To && args.service.is_none(),
            watch: args.watch.watch(),
            process,
        })
    }

    /// Opens its store, the file in the data directory that is named for the service. In Kubernetes the pod before may still have it:
    /// one that is deleted is replaced at once, and stops meanwhile. That one is waited for as long as stopping may take.
    ///
    /// # Errors
    /// If it can't be opened, or this process is told to stop before it can.
    pub fn open_store(
        &self,
        args: &Args,
        options: Options,
    ) -> impl Future<Output = Result<(SqliteStore, mpsc::UnboundedReceiver<CommittedGroup>), Error>>
    + use<> {
        let draining = self.process.stop.draining.clone();
        let path = args
            .data_dir
            .join(format!("{}.sqlite", self.version.service));
        let patience = match args.service {
            Some(_) => args.grace_period,
            None => Duration::ZERO,
        };
        async move {
            let opened = SqliteStore::open_when_free(&path, options.clone(), patience);
            Ok(tokio::select! {
                opened = opened => opened?,
                () = draining.cancelled() => SqliteStore::open(&path, options)?,
            })
        }
    }

    /// The brokers that it can reach.
    pub fn brokers(&self) -> Brokers {
        Brokers {
            nats: self.nats.clone(),
            observer: self.observer.clone(),
            provision: self.provision,
            watch: self.watch,
        }
    }

    /// Serves both ports beside these tasks until told to stop, then stops in order; the store last.
    ///
    /// # Errors
    /// If it ended other than by stopping in order.
    pub async fn serve(
        self,
        public: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        internal: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        mut tasks: Tasks,
        store: SqliteStore,
    ) -> Result<(), Error> {
        let not_ready = |state: &SettingsState| state.not_ready().map(str::to_owned);
        let readiness = &self.process.readiness;
        let readiness = readiness.follow("channel", self.states, not_ready);
        tasks.spawn("readiness", readiness);
        let keep = generations::keep(
            store.clone(),
            self.settings.states(),
            self.process.stop.end.clone(),
        );
        tasks.spawn("generations", keep);
        let settings = self.settings.run(self.process.stop.end.clone());
        tasks.spawn("settings", settings);
        let finish = async {
            tasks.ended().await;
            store.close().await;
        };
        Ok(self.process.serve(public, internal, finish).await?)
    }
}

async fn settings(
    args: &Args,
    side: Side,
    clock: Clock,
) -> Result<Box<dyn SettingsSource>, KubernetesError> {
    let data_dir = &args.data_dir;
    Ok(match &args.service {
        None => Box::new(FileSource::open(&args.channel, data_dir)),
        Some(service) => {
            let service = service.clone();
            Box::new(KubernetesSource::open(service, side, data_dir, clock).await?)
        }
    })
}
