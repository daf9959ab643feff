//! One end of a channel put together from defaults: a directory for its store, a Channel document, and the broker's address.
//!
//! ```no_run
//! # async fn example() -> Result<(), duet_channel::open::Error> {
//! use duet_channel::open::{Documents, Open};
//!
//! let shop = Open::new("shop", "data/shop", "channel.yaml")
//!     .nats("nats://127.0.0.1:4222")
//!     .send(&[("stock", "http://127.0.0.1:8091")], Documents::<String>::new("com.example.order"))
//!     .await?;
//! # shop.close().await;
//! # Ok(()) }
//! ```
//!
//! `examples/pair.rs` is a whole pair, `examples/job.rs` one whose receiver has long work to do. What has more to say (its own metrics,
//! settings from Kubernetes) is put together from the parts: [`SenderTask`](crate::sender::SenderTask), [`Receiver`], [`ConsumerTask`](crate::receiver::ConsumerTask).

mod receiving; // a receiver
mod sending; // a sender

use std::path::PathBuf;
use std::sync::Arc;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_telemetry::{Config, Observer, Telemetry, TelemetryError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use receiving::ReceivingEnd;
pub use sending::SendingEnd;

// What a service that is opened so names, in one place.
pub use duet_protocol::event::{Data, Event, Key};
pub use duet_protocol::receive::Failure;
pub use duet_protocol::settings::Mode;
pub use rusqlite::Connection;

pub use crate::receiver::Receiver;
pub use crate::sender::Delivery;
pub use crate::store::Store;
pub use crate::store::sqlite::SqliteStore;
pub use crate::store::sqlite::documents::{self, Documents};
pub use crate::store::sqlite::versions::{Changed, Changes, Kept, Versioned};
pub use crate::transport::http::intake;

use crate::brokers::{Brokers, Watch};
use crate::clock::Clock;
use crate::settings::{FileSource, SettingsSource, SettingsState};
pub use crate::store::StoreError;
use crate::store::sqlite::{OpenError, Options};

use crate::store::CommittedGroup;
use crate::transport::http::HttpCallError;
use crate::transport::jetstream::{Nats, NatsError};

/// What an end of a channel is opened with.
#[derive(Debug)]
pub struct Open {
    name: Box<str>,
    dir: PathBuf,
    channel: PathBuf,
    nats: Option<String>,
    tables: &'static [&'static str],
    observer: Option<Observer>,
}

/// Why an end can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is empty or too long.
    #[error("{0:?} can't be a receiver's name")]
    Name(Box<str>),
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker's address is none.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// A receiver's address is none.
    #[error(transparent)]
    Receiver(#[from] HttpCallError),
    /// Telemetry can't start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl Open {
    /// The end of this name, as a Channel document has it under `from` or `to`; its store is in `dir`, which is made if it is
    /// missing, and `channel` is the document (YAML), which is followed.
    pub fn new(name: &str, dir: impl Into<PathBuf>, channel: impl Into<PathBuf>) -> Self {
        Open {
            name: name.into(),
            dir: dir.into(),
            channel: channel.into(),
            nats: None,
            tables: &[],
            observer: None,
        }
    }

    /// The NATS server, as `nats://HOST:PORT`. Without one only `Sync` can deliver.
    #[must_use]
    pub fn nats(self, url: impl Into<String>) -> Self {
        let nats = Some(url.into());
        Open { nats, ..self }
    }

    /// The migrations of the service's own tables, oldest first. One that was released is never changed.
    #[must_use]
    pub fn tables(self, tables: &'static [&'static str]) -> Self {
        Open { tables, ..self }
    }

    /// Where it tells what it does; else nobody is told.
    #[must_use]
    pub fn observer(self, observer: Observer) -> Self {
        let observer = Some(observer);
        Open { observer, ..self }
    }

    /// Opens what both ends have.
    async fn open(
        self,
        side: Side,
    ) -> Result<(End, Parts, mpsc::UnboundedReceiver<CommittedGroup>), Error> {
        let clock = Clock::start();
        let observer = match self.observer {
            Some(observer) => observer,
            None => Observer::from(&Telemetry::start(Config::new(&*self.name, ""))?),
        };
        let nats = match &self.nats {
            Some(url) => Some(Nats::connect(url, &self.name, None).await?),
            None => None,
        };
        let settings = FileSource::open(self.channel, &self.dir);
        let states = settings.states();
        let mut options = Options::new(self.tables, clock, rand::random());
        if side == Side::Sends {
            let current = states.borrow().settings().cloned();
            let receivers = current.as_ref().map(|settings| settings.to.clone());
            let generation = current.map(|settings| settings.generation);
            options = options.sending(receivers, generation.unwrap_or_default());
        }
        let path = self.dir.join(format!("{}.sqlite", self.name));
        let (store, committed) = SqliteStore::open(&path, options)?;
        let mut end = End {
            store: store.clone(),
            states: states.clone(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let stop = end.stop.clone();
        end.tasks.spawn(Box::new(settings).run(stop));
        let brokers = Brokers {
            nats,
            observer: observer.clone(),
            // Who receives is there before who sends, and makes what the broker needs.
            provision: side == Side::Receives,
            watch: Watch::default(),
        };
        let parts = Parts {
            store,
            states,
            brokers,
            observer,
            clock,
            rules: Arc::new(Rules::default()),
        };
        Ok((end, parts, committed))
    }
}

/// Which end of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sends,
    Receives,
}

/// What both ends are made of.
struct Parts {
    store: SqliteStore,
    states: watch::Receiver<SettingsState>,
    brokers: Brokers,
    observer: Observer,
    clock: Clock,
    rules: Arc<Rules>,
}

/// What runs for an end, until it is closed; dropped, it is ended at once, as by a crash.
struct End {
    store: SqliteStore,
    states: watch::Receiver<SettingsState>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl End {
    /// Waits until it follows a Channel that is in this mode.
    async fn follows(&self, mode: Mode) {
        let mut states = self.states.clone();
        let is_followed =
            |state: &SettingsState| state.settings().is_some_and(|it| it.mode == mode);
        // An error says that nothing follows any more: it is being closed.
        let _ = states.wait_for(is_followed).await;
    }

    /// Finishes what is under way, and closes the store.
    async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.store.close().await;
    }
}

fn receiver_name(name: &str) -> Result<ReceiverName, Error> {
    ReceiverName::new(name).ok_or_else(|| Error::Name(name.into()))
}
