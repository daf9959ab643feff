//! The sending side: accepts a change with its event in one transaction, and brings the event to every receiver.
//!
//! [`Sender`] is what request handlers hold; [`run`](SenderTask::run) drives the machine that owns every call once it is committed, so a
//! handler that is dropped leaves nothing half done.

mod broker;
mod counted;
mod due;
mod observe;
mod record;
mod request;
mod resync;
mod service;
mod task;
mod transmit;

pub use broker::MakeBroker;
pub use counted::{AcceptedByMode, Achieved};
pub use request::{Delivery, Reply, SendError};
pub use resync::{BeginResyncError, ResyncPreview, ResyncState};
pub use service::SendingService;
pub use task::{MakeCall, Parts, SenderTask};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duet_protocol::accept::Failed;
use duet_protocol::calls::Calls;
use duet_protocol::event::EventId;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_protocol::sender::{Answer, Standing};
use duet_protocol::settings::{Canary, Settings};
use tokio::sync::{mpsc, oneshot, watch};

use self::counted::Counted;
use crate::clock::Clock;
use crate::failing::Failing;
use crate::mended::Mended;
use crate::settings::SettingsState;
use crate::store::{Store, StoreError};
use crate::told::Told;
use crate::waiters::{TooMany, Waiters};

/// What the shell keeps of a call under way: who waits, and what its failure would restore.
#[derive(Debug)]
pub(crate) struct Pending<V> {
    answer: Told<Answer>,
    undo: Option<Failed<V>>,
}

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Pending {
            answer: Told::default(),
            undo: None,
        }
    }
}

type SharedCalls<V> = Arc<Mutex<Calls<Pending<V>>>>;

/// A panic while the calls were locked leaves them as they were: each change is one operation.
fn lock<V>(calls: &SharedCalls<V>) -> MutexGuard<'_, Calls<Pending<V>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What request handlers hold. Cheap to clone.
pub struct Sender<S: Store, V: SendingService<S::Connection>> {
    store: S,
    service: Arc<V>,
    settings: watch::Receiver<SettingsState>,
    calls: SharedCalls<V::Value>,
    rules: Arc<Rules>,
    clock: Clock,
    questions: mpsc::Sender<oneshot::Sender<Standing>>,
    failing: watch::Receiver<BTreeMap<ReceiverName, Failing>>,
    counted: Arc<Counted>,
    waiters: Waiters,
}

impl<S: Store, V: SendingService<S::Connection>> Clone for Sender<S, V> {
    fn clone(&self) -> Self {
        Sender {
            store: self.store.clone(),
            service: self.service.clone(),
            settings: self.settings.clone(),
            calls: self.calls.clone(),
            rules: self.rules.clone(),
            clock: self.clock,
            questions: self.questions.clone(),
            failing: self.failing.clone(),
            counted: self.counted.clone(),
            waiters: self.waiters.clone(),
        }
    }
}

impl<S: Store, V: SendingService<S::Connection>> Sender<S, V> {
    /// The store, for the service's own reads and writes.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The service.
    pub fn service(&self) -> &V {
        &self.service
    }

    /// The settings in force, and what is wrong with newer ones.
    pub fn settings(&self) -> SettingsState {
        self.settings.borrow().clone()
    }

    /// The settings in force alone.
    pub fn in_force(&self) -> Option<Arc<Settings>> {
        self.settings.borrow().settings().cloned()
    }

    /// How often each rule of the protocol decided something.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The receivers to which nothing gets through now, and why.
    pub fn failing(&self) -> BTreeMap<ReceiverName, Failing> {
        self.failing.borrow().clone()
    }

    /// How many events were sent again since the process began, whatever became of them before.
    pub fn retransmissions(&self) -> u64 {
        self.counted.retransmissions()
    }

    /// Events that had been lost on their way, were sent again and are received: how many since the process began, when last, and by
    /// what they had been taken for lost.
    pub fn repaired(&self) -> Option<Mended> {
        self.counted.all_repaired()
    }

    /// How many changes were accepted since the process began, by the mode that they took.
    pub fn accepted_by_mode(&self) -> AcceptedByMode {
        self.counted.by_mode()
    }

    /// The canary in force, and what it achieved since it is; `None` where there is none.
    pub fn canary(&self) -> Option<(Canary, Achieved)> {
        let state = self.settings.borrow();
        let settings = state.settings()?;
        Some((settings.canary?, self.counted.achieved(settings.generation)))
    }

    /// The longest that a caller waited for its answer since the settings in force began; `None` before the first.
    pub fn slowest_caller(&self) -> Option<Duration> {
        let generation = self.settings.borrow().settings()?.generation;
        self.counted.slowest(generation)
    }

    /// Whether each receiver is known to hold an event; `None` if it never was accepted here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn receivers_of(
        &self,
        event: EventId,
    ) -> Result<Option<Vec<(ReceiverName, bool)>>, StoreError> {
        self.store.receivers_of(event).await
    }

    /// Waits until every receiver is known to hold an event, at most so long; whether they are. Also of one that was accepted before a
    /// restart; one that never was is waited for in vain.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Overloaded`] also if too many wait.
    pub async fn delivered(&self, event: EventId, within: Duration) -> Result<bool, StoreError> {
        let waiter = self.waiters.begin(event);
        let waiter = waiter.map_err(|TooMany| StoreError::Overloaded)?;
        let receivers = self.store.receivers_of(event).await?;
        let all = receivers.is_some_and(|all| all.iter().all(|(_, received)| *received));
        Ok(all || waiter.woken(within).await)
    }

    /// How the sender stands; `None` once it has stopped.
    pub async fn standing(&self) -> Option<Standing> {
        let (answer, standing) = oneshot::channel();
        self.questions.send(answer).await.ok()?;
        standing.await.ok()
    }
}
