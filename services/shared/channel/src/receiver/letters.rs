//! What is done with the letters of the parked table, inside a transaction: previewed, redriven, discarded.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duet_protocol::event::Event;
use duet_protocol::receive::{Apply, InboxTables, Outcome, Redriven};
use duet_telemetry::instruments::Letters;

use super::receive::done;
use super::{DecidesBy, Receiver, ReceivingService};
use crate::dead_letters::{AT_ONCE, Letter, Redrive, Redriving, Would};
use crate::store::{Store, StoreError, Transaction};
use crate::transport::spans::later::Attempt;

/// How a redrive is paced: so often a second at most a share of its rate is tried.
const STEPS: u32 = 10;

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    pub(crate) fn redrive_begun(&self) {
        self.0.redriven.notify_one();
    }

    /// What a redrive would do with a letter. The caller takes back what it wrote.
    pub(crate) fn would(
        &self,
        tx: &mut S::Tx<'_>,
        letter: &Letter,
        named: bool,
        decides_by: &DecidesBy,
    ) -> Result<Would, StoreError> {
        let event = letter.event();
        let parked = tx.parked(letter.id)?;
        if !named && parked.is_some_and(|parked| parked.is_futile(&self.0.rules)) {
            return Ok(Would::BePassedOver);
        }
        let mut rows = self.rows_again(tx.connection(), decides_by);
        if rows.is_job(&event) {
            return Ok(Would::Run);
        }
        let mut receiving = self.receiving(tx, &mut rows, decides_by);
        let Some(data) = event.data() else {
            return Ok(Would::Apply);
        };
        receiving.preview(&event, data).map(Would::after)
    }

    /// Takes a letter out of the table for ever.
    pub(crate) fn discard(
        &self,
        tx: &mut S::Tx<'_>,
        letter: &Letter,
        decides_by: &DecidesBy,
    ) -> Result<bool, StoreError> {
        let mut rows = self.0.service.rows(tx.connection());
        let mut receiving = self.receiving(tx, &mut rows, decides_by);
        receiving.discard(&letter.event())
    }

    /// Goes a step on with the redrive under way, and says when the next is due; none once there is nothing to do.
    pub(super) async fn redrive_step(&self) -> Result<Option<Duration>, StoreError> {
        let (this, decides_by) = (self.clone(), self.decides_by());
        let job = move |tx: &mut S::Tx<'_>| this.redrive_some(tx, &decides_by);
        let Some(step) = self.0.store.write(job).await? else {
            return Ok(None);
        };
        let Step {
            events,
            outcomes,
            queued,
            began,
            wait,
        } = step;
        let span = (began, SystemTime::now());
        self.told(Letters::Redriven, events.len() + queued);
        self.told_tried(Attempt::Redrive, &events, &outcomes, span);
        self.applied_later(&events.into(), &outcomes);
        self.has_parked();
        Ok(wait)
    }

    fn redrive_some(
        &self,
        tx: &mut S::Tx<'_>,
        decides_by: &DecidesBy,
    ) -> Result<Option<Step>, StoreError> {
        let running = |redrive: &Redrive| redrive.progress.state == Redriving::Running;
        let Some(mut redrive) = tx.redrive()?.filter(running) else {
            return Ok(None);
        };
        let rate = redrive.progress.rate.map(|rate| rate.get());
        let share = rate.map_or(AT_ONCE, |rate| (rate / STEPS).max(1) as usize);
        let limit = share.min(AT_ONCE);
        let named = !redrive.progress.filter.ids.is_empty();
        let page = tx.letters(
            &redrive.progress.filter,
            redrive.at,
            Some(redrive.up_to),
            limit,
        )?;
        let mut step = Step {
            events: Vec::new(),
            outcomes: Vec::new(),
            queued: 0,
            began: SystemTime::now(),
            wait: None,
        };
        for letter in &page.letters {
            let event = letter.event();
            let mut rows = self.rows_again(tx.connection(), decides_by);
            let mut receiving = self.receiving(tx, &mut rows, decides_by);
            let what = receiving.redrive(&event, named)?;
            redrive.progress.count(&what);
            match what {
                Redriven::Tried(outcome) => {
                    step.events.push(event);
                    step.outcomes.push(outcome);
                }
                Redriven::Queued => step.queued += 1,
                Redriven::PassedOver | Redriven::Gone => {}
            }
        }
        match page.next {
            Some(next) => {
                redrive.at = next;
                let tried = u32::try_from(page.letters.len()).unwrap_or(u32::MAX);
                let wait = |rate| Duration::from_secs(1) * tried / rate;
                step.wait = Some(rate.map_or(Duration::ZERO, wait));
            }
            None => {
                redrive.at = redrive.up_to;
                redrive.progress.state = Redriving::Finished;
                redrive.progress.ended = Some(self.0.clock.wall().micros());
            }
        }
        tx.put_redrive(&redrive)?;
        Ok(Some(step))
    }

    /// Wakes those who wait for what came of the parked table.
    pub(super) fn applied_later(&self, events: &Arc<[Event]>, outcomes: &[Outcome]) {
        self.0.waiters.wake(done(events.iter().zip(outcomes)));
        self.0.service.received(events, outcomes);
    }
}

/// What one step of a redrive did.
struct Step {
    /// What it tried, and what came of each.
    events: Vec<Event>,
    outcomes: Vec<Outcome>,
    /// How many jobs it had run again.
    queued: usize,
    began: SystemTime,
    /// Until the next step; none after the last.
    wait: Option<Duration>,
}
