//! Running jobs: outside the transaction, several at once, one at a time for a key.
//!
//! One process has the store, so who runs what need not be durable. That a run began is: it is counted before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use duet_protocol::event::{Data, Event, Key};
use duet_protocol::receive::{Failure, JobTurn, Outcome};
use duet_telemetry::Observer;
use duet_telemetry::instruments::Letters;
use futures::FutureExt;
use opentelemetry::trace::FutureExt as _;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::parked::for_so_long;
use super::{JOBS_AT_ONCE, JOBS_GRACE, Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};
use crate::transport::cloudevents::outcome_word;
use crate::transport::spans::later::{self, Attempt};

/// How long it rests when the store fails.
const REST: Duration = Duration::from_secs(1);

/// The jobs that run.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    of: BTreeMap<Id, Event>,
    keys: BTreeSet<Key>,
}

impl Running {
    fn ended(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let key = self
            .of
            .remove(&id)
            .and_then(|event| Some(event.data()?.key.clone()));
        if let Some(key) = key {
            self.keys.remove(&key);
        }
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// Runs until it is told to stop; then what runs has a while to end, and what has not is given back.
    pub(super) async fn run_jobs(&self, stop: &CancellationToken) {
        let (mut running, mut delivery) = (Running::default(), self.0.delivery.clone());
        while !stop.is_cancelled() {
            let wait = self
                .begin_jobs(&mut running, stop)
                .await
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "jobs can't be begun");
                    Some(REST)
                });
            tokio::select! {
                () = for_so_long(wait) => {}
                Some(ended) = running.tasks.join_next_with_id() => running.ended(&ended),
                () = self.0.jobs.notified() => {}
                () = delivery.changed() => {}
                () = stop.cancelled() => {}
            }
        }
        let grace = tokio::time::sleep(JOBS_GRACE);
        tokio::pin!(grace);
        loop {
            tokio::select! {
                ended = running.tasks.join_next_with_id() => match ended {
                    Some(ended) => running.ended(&ended),
                    None => return,
                },
                () = &mut grace => break,
            }
        }
        running.tasks.shutdown().await;
        let cut_short: Vec<Event> = running.of.into_values().collect();
        if let Err(error) = self.give_back(cut_short).await {
            tracing::warn!(%error, "jobs that were stopped count as tried");
        }
    }

    /// Begins what is due, as far as there is room; how long until the next may be due.
    async fn begin_jobs(
        &self,
        running: &mut Running,
        stop: &CancellationToken,
    ) -> Result<Option<Duration>, StoreError> {
        let room = JOBS_AT_ONCE.saturating_sub(running.of.len());
        if room == 0 {
            return Ok(None);
        }
        let (now, longest) = (self.0.clock.wall(), self.0.delivery.now().backoff_max);
        // Those that run may be due, too.
        let (due, next) = self
            .0
            .store
            .due_jobs(now, longest, JOBS_AT_ONCE + room)
            .await?;
        for event in due {
            let key = event.data().map(|data| data.key.clone());
            let Some(key) = key.filter(|key| !running.keys.contains(key)) else {
                continue;
            };
            if running.of.len() == JOBS_AT_ONCE {
                break;
            }
            if let JobTurn::Run { redriven } = self.begin_job(&event).await? {
                let (this, stop) = (self.clone(), stop.clone());
                let (work, why) = (event.clone(), Attempt::Job { redriven });
                let run = async move { this.run_job(work, why, stop).await };
                let task = running.tasks.spawn(run);
                running.keys.insert(key);
                running.of.insert(task.id(), event);
            }
        }
        Ok(next.map(|next| self.until(next)))
    }

    async fn begin_job(&self, event: &Event) -> Result<JobTurn, StoreError> {
        let (this, decides_by, begun) = (self.clone(), self.decides_by(), event.clone());
        let job = move |tx: &mut S::Tx<'_>| {
            let mut rows = this.0.service.rows(tx.connection());
            this.receiving(tx, &mut rows, &decides_by).begin_job(&begun)
        };
        let turn = self.0.store.write(job).await?;
        match turn {
            JobTurn::Superseded => {
                self.applied_later(&Arc::from([event.clone()]), &[Outcome::Superseded]);
            }
            JobTurn::Dead => self.told(Letters::Dead, 1),
            JobTurn::Run { .. } | JobTurn::None => {}
        }
        Ok(turn)
    }

    /// Runs a job to its end, which is durable once this returns.
    ///
    /// Its span is current while it runs.
    async fn run_job(&self, event: Event, why: Attempt, stop: CancellationToken) {
        let Observer {
            tracer,
            instruments,
        } = &self.0.observer;
        let (now, began) = (self.0.clock.wall(), SystemTime::now());
        let span = later::begin(tracer, why, &event, now, began);
        let work = AssertUnwindSafe(self.0.service.run(event.clone(), stop));
        let done = work.catch_unwind().with_context(span.context()).await;
        let ended = SystemTime::now();
        let done = done.unwrap_or_else(|_| Err(Failure::new("it panicked")));
        loop {
            match self.end_job(&event, &done).await {
                Ok(outcome) => {
                    let took = ended.duration_since(began).unwrap_or_default();
                    instruments.job_ran(outcome_word(&outcome), took);
                    self.told(Letters::Dead, usize::from(outcome == Outcome::Dead));
                    let describe = |event: &Event| self.0.service.describe(event);
                    later::end(span, tracer, why, (&event, &outcome), describe, ended);
                    return self.applied_later(&Arc::from([event]), &[outcome]);
                }
                // Its work is done: rather than doing it again, wait until that can be stored.
                Err(error) => {
                    tracing::warn!(%error, "a job's end can't be stored; trying until it is");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    async fn end_job(
        &self,
        event: &Event,
        done: &Result<Bytes, Failure>,
    ) -> Result<Outcome, StoreError> {
        let (this, decides_by, event) = (self.clone(), self.decides_by(), event.clone());
        let done = done.clone().map(|json| {
            let data = event.data().cloned();
            data.map(|data| Data { json, ..data })
        });
        let done = done.and_then(|data| data.ok_or_else(|| Failure::new("it has no data")));
        let job = move |tx: &mut S::Tx<'_>| {
            let mut rows = this.0.service.rows(tx.connection());
            this.receiving(tx, &mut rows, &decides_by)
                .end_job(&event, &done)
        };
        self.0.store.write(job).await
    }

    async fn give_back(&self, events: Vec<Event>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let (this, decides_by) = (self.clone(), self.decides_by());
        let job = move |tx: &mut S::Tx<'_>| {
            let mut rows = this.0.service.rows(tx.connection());
            let mut receiving = this.receiving(tx, &mut rows, &decides_by);
            events
                .iter()
                .try_for_each(|event| receiving.give_back_job(event))
        };
        self.0.store.write(job).await
    }
}
