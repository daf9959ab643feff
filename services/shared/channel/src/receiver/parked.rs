//! The task of the parked table: tries again what is due, carries out redrives, and runs jobs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duet_protocol::delivery::is_retry_due;
use duet_protocol::event::Event;
use duet_protocol::receive::Outcome;
use duet_protocol::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};
use crate::transport::spans::later::Attempt;

/// How many parked events are tried in one transaction.
const AT_ONCE: usize = 64;
/// How long the task rests when the store can't be read.
const REST: Duration = Duration::from_secs(1);
/// The longest that it sleeps: the wall clock may jump meanwhile.
const LONGEST: Duration = Duration::from_secs(60);

/// See the module.
pub struct ParkedTask<S: Store, A: ReceivingService<S::Connection>>(Receiver<S, A>);

impl<S: Store, A: ReceivingService<S::Connection>> ParkedTask<S, A> {
    /// The task for a receiver's parked table. One for each store.
    pub fn new(receiver: Receiver<S, A>) -> Self {
        ParkedTask(receiver)
    }

    /// Runs until it is told to stop; jobs that run then have [`JOBS_GRACE`](super::JOBS_GRACE) to end.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            self.try_again(&stop),
            self.carry_out_redrives(&stop),
            self.0.run_jobs(&stop),
        );
    }

    async fn try_again(&self, stop: &CancellationToken) {
        let mut delivery = self.0.0.delivery.clone();
        while !stop.is_cancelled() {
            let wait = match self.once().await {
                Ok(next) => next.map(|next| self.0.until(next)),
                Err(error) => {
                    tracing::warn!(%error, "parked events can't be tried");
                    Some(REST)
                }
            };
            tokio::select! {
                () = for_so_long(wait) => {}
                () = self.0.0.parked.notified() => {}
                () = delivery.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Tries what is due; when the next is.
    async fn once(&self) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let (now, longest) = (self.0.0.clock.wall(), self.0.0.delivery.now().backoff_max);
            let (due, next) = self.0.0.store.due(now, longest, AT_ONCE).await?;
            if due.is_empty() {
                return Ok(next);
            }
            let outcomes = self.retry(due).await?;
            let count = |which| outcomes.iter().filter(|outcome| **outcome == which).count();
            tracing::info!(
                tried = outcomes.len(),
                still_parked = count(Outcome::Parked),
                dead = count(Outcome::Dead),
                "tried parked events again"
            );
        }
    }

    async fn retry(&self, due: Vec<Event>) -> Result<Vec<Outcome>, StoreError> {
        let (receiver, decides_by) = (self.0.clone(), self.0.decides_by());
        let due = Arc::<[Event]>::from(due);
        let tried = due.clone();
        let job = move |tx: &mut S::Tx<'_>| {
            let began = SystemTime::now();
            let mut rows = receiver.rows_again(tx.connection(), &decides_by);
            let mut receiving = receiver.receiving(tx, &mut rows, &decides_by);
            let outcomes = due.iter().map(|event| receiving.retry_parked(event));
            Ok((outcomes.collect::<Result<Vec<_>, _>>()?, began))
        };
        let (outcomes, began) = self.0.0.store.write(job).await?;
        let span = (began, SystemTime::now());
        self.0.told_tried(Attempt::Again, &tried, &outcomes, span);
        self.0.applied_later(&tried, &outcomes);
        Ok(outcomes)
    }

    async fn carry_out_redrives(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.0.redrive_step().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a redrive can't go on");
                Some(REST)
            });
            tokio::select! {
                () = for_so_long(wait) => {}
                () = self.0.0.redriven.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// None is for ever.
pub(super) async fn for_so_long(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// How long to sleep until an attempt is due.
    pub(super) fn until(&self, next: Timestamp) -> Duration {
        let now = self.0.clock.wall();
        let longest = self.0.delivery.now().backoff_max;
        match is_retry_due(next, now, longest) {
            true => Duration::ZERO,
            false => next.since(now).min(LONGEST),
        }
    }
}
