//! The receiving side: checks the inbox and applies each event in one transaction, tells the sources what it holds, and tries what is
//! parked again.
//!
//! [`Receiver`] is what the intake's handlers and the consumer's task share; [`ConsumerTask`] takes from a broker and tells over it;
//! [`ParkedTask`] works through the parked table, [`SweepTask`] through what a resync leaves over.

mod arrivals;
mod consumer;
mod faults;
mod jobs;
mod letters;
mod parked;
mod receive;
mod sweep;
mod told;

pub use arrivals::Arrivals;
pub use consumer::{BrokerSide, ConsumerParts, ConsumerStanding, ConsumerTask};
pub use faults::AllowedFaults;
pub use parked::ParkedTask;
pub use receive::Received;
pub use sweep::SweepTask;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use duet_protocol::event::{Event, Key};
use duet_protocol::inbox::Inbox;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receipts::Receipts;
use duet_protocol::receive::{Apply, Failure, Outcome, Receiving};
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Lane, StoreId};
use duet_protocol::settings::{DeliverySettings, Faults};
use duet_protocol::sweep::Sweeping;
use duet_protocol::time::Moment;
use duet_telemetry::Observer;
use opentelemetry::KeyValue;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::faults::{Faulty, Struck};
use crate::clock::Clock;
use crate::dead_letters::DeadLetters;
use crate::life::Applied;
use crate::settings::SettingsState;
use crate::store::{Store, StoreError};
use crate::waiters::Waiters;

/// What a receiving service brings: its rows.
pub trait ReceivingService<C>: Send + Sync + 'static {
    /// Its rows, inside a transaction.
    type Rows<'t>: Apply<Error = StoreError>
    where
        C: 't;

    /// Its rows, inside a transaction.
    fn rows<'t>(&self, connection: &'t C) -> Self::Rows<'t>;

    /// How many rows stand, for each sender's store whose events wrote them; of epochs below this one, if one is given. For a person
    /// who asks, not for every request.
    ///
    /// # Errors
    /// Those of the store.
    fn count(
        &self,
        connection: &C,
        below: Option<Epoch>,
    ) -> Result<Vec<(StoreId, u64)>, StoreError>;

    /// Events were received, durably, with these outcomes. Not called where who delivered them hung up first: it is for waking those
    /// who wait, who must look by themselves now and then. Must be quick.
    fn received(&self, events: &[Event], outcomes: &[Outcome]) {
        let _ = (events, outcomes);
    }

    /// Does a job's work: what it returns is applied in place of the event's data ([`Apply::is_job`] says which events are jobs).
    ///
    /// It runs outside any transaction, for as long as it takes, one at a time for a key and several in all; of those of a key that are due,
    /// the oldest first. It runs at least once: where the process dies before what it returned is committed, it runs again, so what it
    /// does elsewhere must bear that. [`Event::id`] is the same each time, as no other's: the key for idempotence where one is asked for.
    /// `examples/job.rs` shows it. Its span is the current one meanwhile. Once something newer of its key is applied, it is not run any more, and what it returns is dropped.
    /// A failure is an attempt as any other: it is run again after its backoff, or is a dead letter. Once `stop` is cancelled, what
    /// has not ended within [`JOBS_GRACE`] is dropped, and runs again after the next start.
    fn run(
        &self,
        event: Event,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<Bytes, Failure>> + Send {
        let _ = (event, stop);
        async { Err(Failure::new("the service has no jobs")) }
    }

    /// What the key's row tells of the event that wrote it, for whoever asks; none where there is no row.
    ///
    /// # Errors
    /// Those of the store.
    fn applied(&self, connection: &C, key: &Key) -> Result<Option<Applied>, StoreError> {
        let _ = (connection, key);
        Ok(None)
    }

    /// What an event's spans tell of it, asked of recorded events only.
    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        let _ = event;
        Vec::new()
    }
}

/// How many jobs run at once.
pub const JOBS_AT_ONCE: usize = 16;

/// How long jobs that run may go on once the process is to stop.
pub const JOBS_GRACE: Duration = Duration::from_secs(5);

/// Where a receiver has it from what becomes of what it can't apply.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Always so.
    Fixed(DeliverySettings),
    /// As `spec.delivery` of the Channel says, from document to document; until there is one, by default.
    Followed(watch::Receiver<SettingsState>),
}

impl Delivery {
    fn now(&self) -> DeliverySettings {
        match self {
            Delivery::Fixed(settings) => *settings,
            Delivery::Followed(states) => {
                let state = states.borrow();
                state.settings().map(|it| it.delivery).unwrap_or_default()
            }
        }
    }

    /// Returns once it may be another than before.
    async fn changed(&mut self) {
        if let Delivery::Followed(states) = self
            && states.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl From<DeliverySettings> for Delivery {
    fn from(settings: DeliverySettings) -> Self {
        Delivery::Fixed(settings)
    }
}

impl From<watch::Receiver<SettingsState>> for Delivery {
    fn from(states: watch::Receiver<SettingsState>) -> Self {
        Delivery::Followed(states)
    }
}

/// What a transaction decides by.
#[derive(Clone, Debug)]
pub(crate) struct DecidesBy {
    delivery: DeliverySettings,
    /// Where its chance comes from.
    seed: u64,
    /// What goes wrong on purpose with what was parked.
    faults: Option<Faults>,
}

/// What the intake's handlers and the tasks share. Cheap to clone.
pub struct Receiver<S: Store, A: ReceivingService<S::Connection>>(Arc<Inner<S, A>>);

struct Inner<S, A> {
    store: S,
    service: Arc<A>,
    name: ReceiverName,
    rules: Arc<Rules>,
    clock: Clock,
    delivery: Delivery,
    observer: Observer,
    receipts: Mutex<Receipts>,
    /// Receipts may be due sooner than the teller thought.
    advanced: Notify,
    /// Something was parked.
    parked: Notify,
    /// The same, for the jobs among it.
    jobs: Notify,
    /// A redrive was begun.
    redriven: Notify,
    /// A sweep may have begun.
    sweeps: Notify,
    waiters: Waiters,
    faults: OnceLock<AllowedFaults>,
}

impl<S: Store, A: ReceivingService<S::Connection>> Clone for Receiver<S, A> {
    fn clone(&self) -> Self {
        Receiver(self.0.clone())
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// A receiver under the name that the Channel's `to` gives it.
    pub fn new(
        store: S,
        service: Arc<A>,
        name: ReceiverName,
        rules: Arc<Rules>,
        clock: Clock,
        delivery: impl Into<Delivery>,
        observer: Observer,
    ) -> Self {
        Receiver(Arc::new(Inner {
            store,
            service,
            name,
            rules,
            clock,
            delivery: delivery.into(),
            observer,
            receipts: Mutex::default(),
            advanced: Notify::new(),
            parked: Notify::new(),
            jobs: Notify::new(),
            redriven: Notify::new(),
            sweeps: Notify::new(),
            waiters: Waiters::default(),
            faults: OnceLock::new(),
        }))
    }

    /// Its name in the Channel's `to`.
    pub fn name(&self) -> &ReceiverName {
        &self.0.name
    }

    /// The process's clock.
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// From now on `spec.faults` of the Channel is obeyed: things go wrong on purpose. Once for a receiver.
    pub fn allow_faults(&self, faults: AllowedFaults) {
        // A second time changes nothing.
        let _ = self.0.faults.set(faults);
    }

    fn struck(&self, events: &[Event], deadline: Option<Moment>) -> Option<Struck<'_>> {
        let faults = self.0.faults.get()?;
        faults.strike(&self.0.name, events, deadline, self.0.clock)
    }

    /// The store, for the service's own reads.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// How to wait for what comes.
    pub fn arrivals(&self) -> Arrivals<S> {
        Arrivals {
            store: self.0.store.clone(),
            waiters: self.0.waiters.clone(),
        }
    }

    /// What could not be applied.
    pub fn dead_letters(&self) -> DeadLetters<S, A> {
        DeadLetters(self.clone())
    }

    /// What sweeps have left to do here: none but for a while after a resync.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweeping(&self) -> Result<Vec<Sweeping>, StoreError> {
        self.0.store.sweeping().await
    }

    /// How often each rule of the protocol decided something.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// A panic while they were locked leaves them as they were: each change is one operation.
    fn receipts(&self) -> MutexGuard<'_, Receipts> {
        self.0
            .receipts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What this transaction does with events. Its chance comes from `seed`.
    fn receiving<'a, T, R>(
        &'a self,
        tx: &'a mut T,
        rows: &'a mut R,
        by: &'a DecidesBy,
    ) -> Receiving<'a, T, R> {
        Receiving {
            inbox: tx,
            rows,
            receiver: &self.0.name,
            max_runs: Inbox::MAX_RUNS,
            now: self.0.clock.wall(),
            delivery: &by.delivery,
            seed: by.seed,
            rules: &self.0.rules,
        }
    }

    /// What a transaction decides by: read before it, since it may run more than once.
    pub(crate) fn decides_by(&self) -> DecidesBy {
        let allowed = self.0.faults.get();
        DecidesBy {
            delivery: self.0.delivery.now(),
            seed: rand::random(),
            faults: allowed.and_then(|it| it.again(&self.0.name, self.0.clock)),
        }
    }

    /// The service's rows, for what was parked and is tried once more.
    fn rows_again<'t>(
        &self,
        connection: &'t S::Connection,
        by: &DecidesBy,
    ) -> Faulty<A::Rows<'t>, impl FnMut(&Event) -> bool + use<S, A>> {
        let (faults, seed) = (by.faults.clone(), by.seed);
        Faulty {
            rows: self.0.service.rows(connection),
            fails: move |event: &Event| {
                let faults = faults.as_ref();
                faults.is_some_and(|faults| faults.fail_again(event, seed))
            },
            tried: 0,
        }
    }

    /// Something was parked: its tasks look again.
    fn has_parked(&self) {
        self.0.parked.notify_one();
        self.0.jobs.notify_one();
    }

    /// What is held of some lanes, in a transaction of its own: so it is durable when it is told.
    async fn held(&self, lanes: Vec<Lane>) -> Result<Vec<Receipt>, StoreError> {
        let (name, incarnation) = (self.0.name.clone(), self.0.store.identity().incarnation);
        let job = move |tx: &mut S::Tx<'_>| receive::receipts(tx, &lanes, &name, incarnation);
        self.0.store.write(job).await
    }
}
