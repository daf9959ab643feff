//! The receiving side: checks the inbox and applies each event in one transaction, tells the sources what it holds, and tries what is
//! parked again.
//!
//! [`Receiver`] is what the intake's handlers and the consumer's task share; [`ConsumerTask`] takes from a broker and tells over it;
//! [`ParkedTask`] works through the parked table.

mod arrivals;
mod consumer;
mod faults;
mod parked;
mod receive;

pub use arrivals::Arrivals;
pub use consumer::{BrokerSide, ConsumerParts, ConsumerTask};
pub use faults::AllowedFaults;
pub use parked::ParkedTask;
pub use receive::Received;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use duet_protocol::event::Event;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receipts::Receipts;
use duet_protocol::receive::{Apply, Outcome};
use duet_protocol::rules::Rules;
use duet_protocol::sequence::Lane;
use duet_protocol::time::Moment;
use opentelemetry::KeyValue;
use tokio::sync::Notify;

use self::faults::Struck;
use crate::clock::Clock;
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

    /// Events were received, durably, with these outcomes. Not called where who delivered them hung up first: it is for waking those
    /// who wait, who must look by themselves now and then. Must be quick.
    fn received(&self, events: &[Event], outcomes: &[Outcome]) {
        let _ = (events, outcomes);
    }

    /// What an event's spans tell of it, asked of recorded events only.
    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        let _ = event;
        Vec::new()
    }
}

/// How long an event that could not be applied waits for its next attempt.
pub const PARKED_RETRY: Duration = Duration::from_secs(5);

/// What the intake's handlers and the tasks share. Cheap to clone.
pub struct Receiver<S: Store, A: ReceivingService<S::Connection>>(Arc<Inner<S, A>>);

struct Inner<S, A> {
    store: S,
    service: Arc<A>,
    name: ReceiverName,
    rules: Arc<Rules>,
    clock: Clock,
    retry: Duration,
    receipts: Mutex<Receipts>,
    /// Receipts may be due sooner than the teller thought.
    advanced: Notify,
    /// Something was parked.
    parked: Notify,
    waiters: Waiters,
    faults: OnceLock<AllowedFaults>,
}

impl<S: Store, A: ReceivingService<S::Connection>> Clone for Receiver<S, A> {
    fn clone(&self) -> Self {
        Receiver(self.0.clone())
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// A receiver under the name that the Channel's `to` gives it. What can't be applied is tried again after `retry`.
    pub fn new(
        store: S,
        service: Arc<A>,
        name: ReceiverName,
        rules: Arc<Rules>,
        clock: Clock,
        retry: Duration,
    ) -> Self {
        Receiver(Arc::new(Inner {
            store,
            service,
            name,
            rules,
            clock,
            retry,
            receipts: Mutex::default(),
            advanced: Notify::new(),
            parked: Notify::new(),
            waiters: Waiters::default(),
            faults: OnceLock::new(),
        }))
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

    /// What is held of some lanes, in a transaction of its own: so it is durable when it is told.
    async fn held(&self, lanes: Vec<Lane>) -> Result<Vec<Receipt>, StoreError> {
        let (name, incarnation) = (self.0.name.clone(), self.0.store.identity().incarnation);
        let job = move |tx: &mut S::Tx<'_>| receive::receipts(tx, &lanes, &name, incarnation);
        self.0.store.write(job).await
    }
}
