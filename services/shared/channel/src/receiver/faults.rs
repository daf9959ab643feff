//! Faults where events are taken, for demonstrations: what [`duet_protocol::faults`] decides, waited for and done. Only where the
//! process allows it; what is told of what is held, and the answers to hellos, are never touched.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, EventId, Key, RollingHash};
use duet_protocol::faults::{Strike, Striker, Turns};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Lane, Source, Version};
use duet_protocol::settings::Faults;
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::{Moment, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::settings::SettingsState;

/// The most requests that hang at once; others are taken as if they did not hang.
const MAX_HANGING: usize = 1_024;
/// A request that hangs is held for this long after whoever sent it gave up.
const PAST_DEADLINE: Duration = Duration::from_secs(1);

/// What a process that allows faults injects them with.
#[derive(Debug)]
pub struct AllowedFaults {
    settings: watch::Receiver<SettingsState>,
    stop: CancellationToken,
    striker: Mutex<Striker>,
    hanging: Semaphore,
}

impl AllowedFaults {
    /// Follows the settings; from `stop` on nothing is injected, and what waits goes on at once. Chance follows from the seed.
    pub fn new(
        settings: watch::Receiver<SettingsState>,
        stop: CancellationToken,
        seed: u64,
    ) -> Self {
        AllowedFaults {
            settings,
            stop,
            striker: Mutex::new(Striker::new(seed)),
            hanging: Semaphore::new(MAX_HANGING),
        }
    }

    /// A panic while it was locked leaves it as it was: each change is one operation.
    fn striker(&self) -> MutexGuard<'_, Striker> {
        self.striker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to this batch; `None` while no faults act here.
    pub(super) fn strike(
        &self,
        receiver: &ReceiverName,
        events: &[Event],
        deadline: Option<Moment>,
        clock: Clock,
    ) -> Option<Struck<'_>> {
        let state = self.settings.borrow();
        let faults = state.settings()?.faults.as_ref()?;
        if events.is_empty() || self.stop.is_cancelled() || !faults.act_at(receiver, clock.wall()) {
            return None;
        }
        let faults = faults.clone();
        drop(state);
        let now = clock.now();
        let strike = self.striker().strike(&faults, events.len(), deadline, now);
        let fails = strike.fails.iter();
        let fails = fails.filter_map(|at| events.get(*at).map(Event::id));
        Some(Struck {
            fails: fails.collect(),
            strike,
            faults,
            injects: self,
            clock,
        })
    }

    /// What happens to what was parked and is tried once more: some of it fails. `None` while no faults act here.
    pub(super) fn again(&self, receiver: &ReceiverName, clock: Clock) -> Option<Faults> {
        let state = self.settings.borrow();
        let faults = state.settings()?.faults.as_ref()?;
        let act = !self.stop.is_cancelled() && faults.act_at(receiver, clock.wall());
        act.then(|| faults.clone())
    }

    /// Lets this time pass, unless these faults end before.
    async fn hold(&self, faults: &Faults, time: Duration, clock: Clock) {
        let time = faults
            .end_in(clock.wall())
            .map_or(time, |end| time.min(end));
        let mut settings = self.settings.clone();
        let over = settings.wait_for(|state| {
            let now = state
                .settings()
                .and_then(|settings| settings.faults.as_ref());
            now != Some(faults)
        });
        tokio::select! {
            () = sleep(time) => {}
            () = self.stop.cancelled() => {}
            _ = over => {}
        }
    }
}

/// What happens to one batch.
#[derive(Debug)]
pub(super) struct Struck<'a> {
    pub(super) fails: BTreeSet<EventId>,
    strike: Strike,
    faults: Faults,
    injects: &'a AllowedFaults,
    clock: Clock,
}

impl Struck<'_> {
    pub(super) fn hangs(&self) -> bool {
        self.strike.hangs
    }

    /// Waits before it is applied.
    pub(super) async fn waits(&self) {
        if !self.strike.wait.is_zero() {
            let time = self.strike.wait;
            self.injects.hold(&self.faults, time, self.clock).await;
        }
    }

    /// Waits, or hangs until after a deadline: nothing is applied then, and nobody hears of it. Too many at once don't hang.
    pub(super) async fn waits_or_hangs(&self, deadline: Moment) {
        let permit: Option<SemaphorePermit<'_>> = match self.hangs() {
            true => self.injects.hanging.try_acquire().ok(),
            false => None,
        };
        if permit.is_some() {
            let time = deadline.since(self.clock.now()) + PAST_DEADLINE;
            self.injects.hold(&self.faults, time, self.clock).await;
        } else {
            self.waits().await;
        }
    }

    /// So many of its events were tried.
    pub(super) fn tried(&self, events: usize) {
        let turns: Option<Turns> = self.strike.turns;
        if let Some(turns) = turns {
            self.injects.striker().tried(turns, events);
        }
    }
}

/// A service's rows, where some events can't be applied. Counts those that are tried.
pub(super) struct Faulty<R, F> {
    pub(super) rows: R,
    /// Whether an event can't be applied.
    pub(super) fails: F,
    pub(super) tried: usize,
}

impl<R: Apply, F: FnMut(&Event) -> bool> Apply for Faulty<R, F> {
    type Error = R::Error;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, Self::Error> {
        self.rows.held(key)
    }

    fn applies_at(&mut self, now: Timestamp) {
        self.rows.applies_at(now);
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Self::Error> {
        self.tried += 1;
        if (self.fails)(event) {
            let cause = "spec.faults of the Channel says that it can't be applied";
            return Ok(Err(Failure::new(cause)));
        }
        self.rows.apply(event, data)
    }

    fn is_job(&mut self, event: &Event) -> bool {
        self.rows.is_job(event)
    }

    fn decided(&mut self, key: &Key) -> Result<Option<Decision>, Self::Error> {
        self.rows.decided(key)
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, Self::Error> {
        self.rows.tombstones(lane, up_to, limit)
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), Self::Error> {
        self.rows.drop_tombstone(key)
    }

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, Self::Error> {
        self.rows.sweep(sweep, after, limit)
    }

    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        self.rows.state_changes()
    }
}
