//! The task that takes messages from a broker, and tells receipts over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use duet_protocol::event::Event;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::{Settings, TracesAsync, TransportSettings};
use duet_telemetry::instruments::Destination;
use opentelemetry::KeyValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::receive::{Received, Taken};
use super::{Receiver, ReceivingService};
use crate::failing::{Failing, Reason};
use crate::settings::SettingsState;
use crate::store::{Store, StoreError};
use crate::transport::cloudevents::outcome_word;
use crate::transport::spans::{Observer, Receiving as Spans, time_of};
use crate::transport::{
    Consume, ConsumeError, Consumed, Feedback, Incoming, ProvisionError, Steps, Urgency,
};

/// What the consumer's task needs of a broker.
#[async_trait]
pub trait BrokerSide: Send + Sync + 'static {
    /// Makes a receiver's consuming half from its settings; `None` where this process has no broker to go to.
    fn consumer(
        &self,
        settings: &TransportSettings,
        receiver: &ReceiverName,
    ) -> Option<Box<dyn Consume>>;
    /// Makes what the broker needs, if that is this process's to do. Takes nothing away.
    async fn provision(&self, settings: &Settings) -> Result<Steps, ProvisionError>;
    /// Takes away what the broker has for receivers that the Channel has no more, if that is this process's to do.
    async fn tidy(&self, settings: &Settings) -> Result<Steps, ProvisionError>;
}

/// What the task is made of.
pub struct ConsumerParts<S: Store, A: ReceivingService<S::Connection>> {
    /// The receiver.
    pub receiver: Receiver<S, A>,
    /// The broker.
    pub broker: Arc<dyn BrokerSide>,
    /// The settings in force, followed.
    pub settings: watch::Receiver<SettingsState>,
    /// Where it tells what it does.
    pub observer: Observer,
}

/// See the module.
pub struct ConsumerTask<S: Store, A: ReceivingService<S::Connection>>(
    ConsumerParts<S, A>,
    watch::Sender<Option<Failing>>,
);

/// The first wait after a failure; doubles up to [`REST_MAX`].
const REST: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(2);

/// How long settings stand before anything is taken away by them. [Receivers that share a laptop see a change at different moments: one
/// that is late would remove what another has just made, and the messages in it with it.]
const TIDY: Duration = Duration::from_secs(2);

/// Why the consumer stopped consuming.
enum Stopped {
    Stop,
    SettingsChanged,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store, A: ReceivingService<S::Connection>> ConsumerTask<S, A> {
    /// The task for a receiver and its broker.
    pub fn new(parts: ConsumerParts<S, A>) -> Self {
        ConsumerTask(parts, watch::Sender::default())
    }

    /// Why nothing is consumed, while that is so.
    pub fn failing(&self) -> watch::Receiver<Option<Failing>> {
        self.1.subscribe()
    }

    /// Runs until it is told to stop; then finishes what it took, gives the rest back, and tells its last receipts.
    ///
    /// It goes on consuming what the broker holds in either mode: a switch converts nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut rest = REST;
        loop {
            let current = self.0.settings.borrow_and_update().settings().cloned();
            let transport = current
                .as_ref()
                .and_then(|settings| settings.r#async.as_ref());
            let name = &self.0.receiver.0.name;
            let is_named = |settings: &&Arc<Settings>| settings.to.contains(name);
            let consumer = current.as_ref().filter(is_named).and(transport);
            let consumer =
                consumer.and_then(|settings| self.0.broker.consumer(&settings.transport, name));
            let (Some(settings), Some(mut consumer)) = (current.clone(), consumer) else {
                self.1.send_replace(None);
                let is_none = current.filter(|settings| !is_named(&settings));
                let takes_leave = takes_leave(self.0.broker.clone(), is_none);
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = self.0.settings.changed() => if changed.is_err() { return },
                    () = takes_leave => {}
                }
                continue;
            };
            match self
                .consume(&settings, &mut *consumer, &mut rest, &stop)
                .await
            {
                Ok(Stopped::Stop) => return,
                Ok(Stopped::SettingsChanged) => rest = REST,
                Err(error) => {
                    self.failed(&error);
                    // Else what was taken would come again only after the consumer's AckWait.
                    consumer.release().await;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(rest) => rest = (rest * 2).min(REST_MAX),
                    }
                }
            }
        }
    }

    /// Told until something is consumed again; logged once.
    fn failed(&self, error: &Failed) {
        let reason = match error {
            Failed::Provision(ProvisionError::Denied(_))
            | Failed::Consume(ConsumeError::Denied(_)) => Reason::BrokerDenies,
            Failed::Provision(_) => Reason::NotProvisioned,
            Failed::Consume(_) => Reason::NotConsumed,
            Failed::Store(StoreError::ParkedFull) => Reason::ParkedFull,
            Failed::Store(_) => Reason::StoreFails,
        };
        let wall = self.0.receiver.0.clock.wall();
        self.1.send_if_modified(|failing| {
            let what = (reason, error.to_string().into());
            let (now, is_news) = Failing::after(failing.as_ref(), wall, what);
            if is_news {
                tracing::warn!(%error, "nothing is consumed; trying until it is");
                *failing = Some(now);
            }
            is_news
        });
    }

    async fn consume(
        &mut self,
        settings: &Arc<Settings>,
        consumer: &mut dyn Consume,
        rest: &mut Duration,
        stop: &CancellationToken,
    ) -> Result<Stopped, Failed> {
        let steps = tokio::select! {
            () = stop.cancelled() => return Ok(Stopped::Stop),
            steps = self.0.broker.provision(settings) => steps?,
        };
        tell_steps(&steps);
        let position = self.0.receiver.0.store.position(&consumer.path()).await?;
        consumer.start(position).await?;
        *rest = REST;
        let receiver = self.0.receiver.clone();
        receiver.tell_all(consumer).await?;
        if self.1.send_replace(None).is_some() {
            tracing::info!("consuming again");
        }
        let watched = Watched::new(&self.0.observer, settings);
        let mut asked = SystemTime::now();
        let tidy = tokio::time::sleep(TIDY);
        tokio::pin!(tidy);
        let mut is_tidy = false;
        loop {
            tokio::select! {
                // What has changed comes before what is due: nothing is taken away by settings of before.
                biased;
                () = stop.cancelled() => {
                    consumer.release().await;
                    receiver.tell_all(consumer).await?;
                    return Ok(Stopped::Stop);
                }
                changed = self.0.settings.changed() => {
                    let now = self.0.settings.borrow().settings().cloned();
                    if changed.is_err() || now.is_some_and(|now| now.r#async != settings.r#async || now.to != settings.to) {
                        consumer.release().await;
                        return Ok(Stopped::SettingsChanged);
                    }
                }
                () = receiver.receipts_due() => receiver.tell_due(consumer).await?,
                () = receiver.0.advanced.notified() => {}
                () = &mut tidy, if !is_tidy => {
                    is_tidy = tidied(&*self.0.broker, settings).await;
                    tidy.as_mut().reset(tokio::time::Instant::now() + TIDY);
                }
                incoming = consumer.next() => match incoming? {
                    Incoming::Messages(consumed) => {
                        receiver.take(consumer, consumed, &watched, asked).await?;
                        asked = SystemTime::now();
                    }
                    Incoming::Hello(id, store) => {
                        let answer = receiver.hello(store).await?;
                        consumer.tell(store, &Feedback::Hello(id, answer)).await?;
                    }
                },
            }
        }
    }
}

/// It is no receiver of the Channel's, or not any more: what the broker has for it goes, if that is this process's to do. Waits for ever
/// then, or at once if there is nothing to leave.
async fn takes_leave(broker: Arc<dyn BrokerSide>, left: Option<Arc<Settings>>) {
    if let Some(settings) = left {
        tokio::time::sleep(TIDY).await;
        // Whoever is a receiver does the same.
        tidied(&*broker, &settings).await;
    }
    std::future::pending().await
}

/// Whether it is.
async fn tidied(broker: &dyn BrokerSide, settings: &Settings) -> bool {
    let tidied = broker.tidy(settings).await;
    match &tidied {
        Ok(steps) => tell_steps(steps),
        Err(error) => {
            tracing::debug!(%error, "what the broker has for others is not taken away yet")
        }
    }
    tidied.is_ok()
}

fn tell_steps(steps: &Steps) {
    for step in &steps.0 {
        tracing::info!(step, "provisioned");
    }
}

/// What the task tells of what it takes.
struct Watched {
    observer: Observer,
    destination: Destination,
    traces: TracesAsync,
}

impl Watched {
    fn new(observer: &Observer, settings: &Settings) -> Self {
        let transport = settings
            .r#async
            .as_ref()
            .map(|settings| &settings.transport);
        let (system, name) = transport.map_or(("", ""), |transport| {
            (transport.system(), transport.destination())
        });
        let destination = Destination {
            system,
            name: name.into(),
        };
        Watched {
            observer: observer.clone(),
            destination,
            traces: settings.traces,
        }
    }

    fn taken(&self, events: &[Event], asked: SystemTime) -> Spans {
        Spans::messages(
            &self.observer.tracer,
            &self.destination,
            self.traces,
            events,
            (asked, SystemTime::now()),
        )
    }

    fn received(
        &self,
        spans: &mut Spans,
        events: &[Event],
        received: &Received,
        describe: impl Fn(&Event) -> Vec<KeyValue>,
    ) {
        let (begun, durable) = received.span;
        let Observer {
            tracer,
            instruments,
        } = &self.observer;
        spans.applied(tracer, events, &received.outcomes, received.span, describe);
        instruments.processed(
            &self.destination,
            durable.duration_since(begun).unwrap_or_default(),
        );
        for (event, outcome) in events.iter().zip(&received.outcomes) {
            instruments.received(outcome_word(outcome), 1);
            if matches!(outcome, Outcome::Applied(_)) {
                instruments.notified("async", time_of(event.time), durable);
            }
        }
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// Settled only once it is committed: a crash between leaves it to be delivered again.
    async fn take(
        &self,
        consumer: &mut dyn Consume,
        consumed: Consumed,
        watched: &Watched,
        asked: SystemTime,
    ) -> Result<(), Failed> {
        let Consumed {
            events,
            position,
            undecodable,
            ..
        } = consumed;
        for bad in &undecodable {
            tracing::error!(
                place = bad.place.0,
                cause = bad.cause,
                "a message could not be decoded; it is kept"
            );
        }
        let events: Arc<[Event]> = events.into();
        let struck = self.struck(&events, None);
        if let Some(struck) = &struck {
            if struck.hangs() && consumer.leave(&position).await? {
                tracing::debug!(
                    events = events.len(),
                    "left without an answer, as spec.faults says"
                );
                return Ok(());
            }
            self.tell_meanwhile(consumer, struck.waits()).await?;
        }
        let mut spans = watched.taken(&events, asked);
        let taken = Taken {
            path: consumer.path(),
            position: position.clone(),
            undecodable,
        };
        let received = self
            .receive_batch(
                events.clone(),
                Urgency::Background,
                None,
                Some(taken),
                struck.as_ref(),
            )
            .await?;
        let describe = |event: &Event| self.0.service.describe(event);
        watched.received(&mut spans, &events, &received, describe);
        let settling = spans.settle(&watched.observer.tracer);
        consumer.settle(&position).await?;
        drop(settling);
        Ok(())
    }

    /// Returns when receipts are due.
    async fn receipts_due(&self) {
        let due = self.receipts().wake_at();
        match due {
            Some(at) => tokio::time::sleep_until(self.0.clock.instant(at).into()).await,
            None => std::future::pending().await,
        }
    }

    /// Tells what is due until something is over.
    async fn tell_meanwhile(
        &self,
        consumer: &dyn Consume,
        wait: impl Future<Output = ()>,
    ) -> Result<(), Failed> {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return Ok(()),
                () = self.receipts_due() => self.tell_due(consumer).await?,
                () = self.0.advanced.notified() => {}
            }
        }
    }

    async fn tell_due(&self, consumer: &dyn Consume) -> Result<(), Failed> {
        let now = self.0.clock.now();
        let due: Vec<_> = std::iter::from_fn(|| self.receipts().poll(now)).collect();
        if !due.is_empty() {
            let receipts = self.held(due).await?;
            tell(consumer, receipts).await?;
        }
        Ok(())
    }

    /// Tells every source: at start, so that the senders know this incarnation, and at the end, so that the last word isn't lost.
    async fn tell_all(&self, consumer: &dyn Consume) -> Result<(), Failed> {
        let (name, incarnation) = (self.0.name.clone(), self.0.store.identity().incarnation);
        let job = move |tx: &mut S::Tx<'_>| {
            let lanes = duet_protocol::receive::InboxTables::lanes(tx, None)?;
            let receipts = super::receive::receipts(tx, &lanes, &name, incarnation)?;
            Ok((lanes, receipts))
        };
        let (lanes, receipts) = self.0.store.write(job).await?;
        let now = self.0.clock.now();
        for lane in lanes {
            self.receipts().told(lane, now);
        }
        tell(consumer, receipts).await
    }
}

async fn tell(consumer: &dyn Consume, receipts: Vec<Receipt>) -> Result<(), Failed> {
    let mut by_store: BTreeMap<StoreId, Vec<Receipt>> = BTreeMap::new();
    for receipt in receipts {
        by_store
            .entry(receipt.source.lane.store)
            .or_default()
            .push(receipt);
    }
    for (store, receipts) in by_store {
        consumer.tell(store, &Feedback::Receipts(receipts)).await?;
    }
    Ok(())
}
