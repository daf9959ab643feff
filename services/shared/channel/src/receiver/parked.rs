//! The task that tries what is parked again.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::Event;
use duet_protocol::inbox::Inbox;
use duet_protocol::receive::{Outcome, Receiving};
use duet_protocol::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::receive::done;
use super::{Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};

/// How many parked events are tried in one transaction.
const AT_ONCE: usize = 64;
/// How long the task rests when the store can't be read.
const REST: Duration = Duration::from_secs(1);

/// See the module.
pub struct ParkedTask<S: Store, A: ReceivingService<S::Connection>>(Receiver<S, A>);

impl<S: Store, A: ReceivingService<S::Connection>> ParkedTask<S, A> {
    /// The task for a receiver's parked table. One for each store.
    pub fn new(receiver: Receiver<S, A>) -> Self {
        ParkedTask(receiver)
    }

    /// Runs until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.once().await {
                Ok(next) => next.map(|next| next.since(self.0.0.clock.wall())),
                Err(error) => {
                    tracing::warn!(%error, "parked events can't be tried");
                    Some(REST)
                }
            };
            let sleep = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.0.0.parked.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Tries what is due; when the next is.
    async fn once(&self) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let now = self.0.0.clock.wall();
            let (due, next) = self.0.0.store.due(now, self.0.0.retry, AT_ONCE).await?;
            if due.is_empty() {
                return Ok(next);
            }
            let outcomes = self.retry(due).await?;
            let parked = outcomes
                .iter()
                .filter(|outcome| **outcome == Outcome::Parked)
                .count();
            tracing::info!(
                tried = outcomes.len(),
                still_parked = parked,
                "tried parked events again"
            );
        }
    }

    async fn retry(&self, due: Vec<Event>) -> Result<Vec<Outcome>, StoreError> {
        let receiver = self.0.clone();
        let due = Arc::<[Event]>::from(due);
        let tried = due.clone();
        let job = move |tx: &mut S::Tx<'_>| {
            let inner = &receiver.0;
            let mut rows = inner.service.rows(tx.connection());
            let (now, rules) = (inner.clock.wall(), &inner.rules);
            let mut receiving = Receiving {
                inbox: tx,
                rows: &mut rows,
                receiver: &inner.name,
                max_runs: Inbox::MAX_RUNS,
                now,
                rules,
            };
            due.iter()
                .map(|event| receiving.retry_parked(event, inner.retry))
                .collect::<Result<Vec<_>, _>>()
        };
        let outcomes = self.0.0.store.write(job).await?;
        self.0.0.waiters.wake(done(tried.iter().zip(&outcomes)));
        self.0.0.service.received(&tried, &outcomes);
        Ok(outcomes)
    }
}
