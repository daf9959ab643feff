//! What the task takes from the broker, and tells over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use duet_protocol::event::Event;
use duet_protocol::receipt::Receipt;
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::{Settings, TracesAsync};
use duet_telemetry::instruments::Destination;
use opentelemetry::KeyValue;

use super::Failed;
use crate::receiver::receive::{self, Received, Taken};
use crate::receiver::{Receiver, ReceivingService};
use crate::store::Store;
use crate::transport::spans::{Observer, Receiving as Spans, count, time_of};
use crate::transport::{Consume, Consumed, Feedback, Urgency};

/// What the task tells of what it takes.
pub(super) struct Watched {
    observer: Observer,
    destination: Destination,
    traces: TracesAsync,
}

impl Watched {
    pub(super) fn new(observer: &Observer, settings: &Settings) -> Self {
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
        count(instruments, &received.outcomes);
        for (event, outcome) in events.iter().zip(&received.outcomes) {
            if matches!(outcome, Outcome::Applied(_)) {
                instruments.notified("async", time_of(event.time), durable);
            }
        }
    }
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// Settled only once it is committed: a crash between leaves it to be delivered again.
    pub(super) async fn take(
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
    pub(super) async fn receipts_due(&self) {
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

    pub(super) async fn tell_due(&self, consumer: &dyn Consume) -> Result<(), Failed> {
        let now = self.0.clock.now();
        let due: Vec<_> = std::iter::from_fn(|| self.receipts().poll(now)).collect();
        if !due.is_empty() {
            let receipts = self.held(due).await?;
            tell(consumer, receipts).await?;
        }
        Ok(())
    }

    /// Tells every source: at start, so that the senders know this incarnation, and at the end, so that the last word isn't lost.
    pub(super) async fn tell_all(&self, consumer: &dyn Consume) -> Result<(), Failed> {
        let (name, incarnation) = (self.0.name.clone(), self.0.store.identity().incarnation);
        let job = move |tx: &mut S::Tx<'_>| {
            let lanes = duet_protocol::receive::InboxTables::lanes(tx, None)?;
            let receipts = receive::receipts(tx, &lanes, &name, incarnation)?;
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
