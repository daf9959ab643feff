//! The instruments the services hold.

mod told; // what they are told of

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::{
    metrics::Metrics,
    names::{attribute, metric},
};

pub use told::{Destination, Held, Imbalances, Letters, Outbox};

/// Bounds in seconds, as the conventions have them for HTTP.
const REQUEST_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Bounds in seconds for the way of an event: from a round trip on loopback to a broker that is down for a while.
const EVENT_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0,
];
/// Bounds for the size of a batch or a group.
const SIZES: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// The instruments of all services, with their attributes as arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instruments(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    http_server: Histogram<f64>,
    http_client: Histogram<f64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
    operation: Histogram<f64>,
    process: Histogram<f64>,
    receipt: Histogram<f64>,
    notify: Histogram<f64>,
    commit: Histogram<f64>,
    events: Counter<u64>,
    letters: Counter<u64>,
    job: Histogram<f64>,
    strikes: Counter<u64>,
    rebuilds: Counter<u64>,
    repaired: Counter<u64>,
}

impl Instruments {
    /// All instruments of `metrics`. Once for each process: [`Telemetry`](crate::Telemetry) does it.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let meter = metrics.meter();
        let seconds = |name, bounds: [f64; 14], description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_boundaries(bounds.to_vec())
                .with_description(description)
                .build()
        };
        let count = |name, unit, description| {
            meter
                .u64_counter(name)
                .with_unit(unit)
                .with_description(description)
                .build()
        };
        Self(Arc::new(Inner {
            http_server: seconds(
                metric::HTTP_SERVER_REQUEST_DURATION,
                REQUEST_SECONDS,
                "Duration of requests to this service",
            ),
            http_client: seconds(
                metric::HTTP_CLIENT_REQUEST_DURATION,
                REQUEST_SECONDS,
                "Duration of requests to other services",
            ),
            sent: count(
                metric::MESSAGING_CLIENT_SENT_MESSAGES,
                "{message}",
                "Messages given to the broker, each with one event or a batch",
            ),
            consumed: count(
                metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
                "{message}",
                "Messages got from the broker, each with one event or a batch",
            ),
            operation: seconds(
                metric::MESSAGING_CLIENT_OPERATION_DURATION,
                EVENT_SECONDS,
                "Duration of a broker's operation, its acknowledgement included",
            ),
            process: seconds(
                metric::MESSAGING_PROCESS_DURATION,
                EVENT_SECONDS,
                "Duration of a message's processing, its commit included",
            ),
            receipt: seconds(
                metric::RECEIPT_DURATION,
                EVENT_SECONDS,
                "From an event's accept to its receipt, by the sender's clock",
            ),
            notify: seconds(
                metric::NOTIFY_DURATION,
                EVENT_SECONDS,
                "From an event's accept to its stored notification, by two clocks",
            ),
            commit: meter
                .f64_histogram(metric::COMMIT_SIZE)
                .with_unit("{transaction}")
                .with_boundaries(SIZES.to_vec())
                .with_description("Transactions that one commit holds")
                .build(),
            events: count(
                metric::EVENTS,
                "{event}",
                "What became of the events that were received",
            ),
            letters: count(
                metric::LETTERS,
                "{event}",
                "What was done with events that could not be applied at once",
            ),
            job: seconds(
                metric::JOB_DURATION,
                EVENT_SECONDS,
                "Duration of a job's work, by what became of it",
            ),
            strikes: count(
                metric::RULE_STRIKES,
                "{strike}",
                "How often each rule of the protocol struck",
            ),
            rebuilds: count(
                metric::CONSUMER_REBUILDS,
                "{rebuild}",
                "Consumers that the watchdog rebuilt",
            ),
            repaired: count(
                metric::REPAIRED_EVENTS,
                "{event}",
                "Events that had been lost on their way, were sent again and are received",
            ),
            metrics: metrics.clone(),
        }))
    }

    /// A request to this service was answered. `method` is one that HTTP knows, or `_OTHER`; `route` is the pattern of the
    /// path, never the path.
    pub fn http_served(
        &self,
        method: &'static str,
        route: Option<&'static str>,
        status: u16,
        took: Duration,
    ) {
        let attributes = [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, method),
            KeyValue::new(attribute::URL_SCHEME, "http"),
            KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)),
            KeyValue::new(attribute::HTTP_ROUTE, route.unwrap_or_default()),
        ];
        let known = if route.is_some() { 4 } else { 3 };
        self.0
            .http_server
            .record(took.as_secs_f64(), &attributes[..known]);
    }

    /// A request to another service was answered, with a status, or failed, with the conventions' `error.type`.
    pub fn http_called(
        &self,
        method: &'static str,
        (host, port): (&Arc<str>, u16),
        result: Result<u16, &'static str>,
        took: Duration,
    ) {
        let result = match result {
            Ok(status) => KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)),
            Err(error) => KeyValue::new(attribute::ERROR_TYPE, error),
        };
        self.0.http_client.record(
            took.as_secs_f64(),
            &[
                KeyValue::new(attribute::HTTP_REQUEST_METHOD, method),
                KeyValue::new(attribute::SERVER_ADDRESS, host.clone()),
                KeyValue::new(attribute::SERVER_PORT, i64::from(port)),
                result,
            ],
        );
    }

    /// A message was given to a broker: acknowledged, or failed with an `error.type`.
    pub fn sent(&self, to: &Destination, result: Result<(), &'static str>, took: Duration) {
        let mut attributes = to.operation("send").to_vec();
        attributes.extend(
            result
                .err()
                .map(|error| KeyValue::new(attribute::ERROR_TYPE, error)),
        );
        self.0.sent.add(1, &attributes);
        self.0.operation.record(took.as_secs_f64(), &attributes);
    }

    /// Messages were got from a broker.
    pub fn consumed(&self, from: &Destination, messages: u64) {
        self.0.consumed.add(messages, &from.operation("receive"));
    }

    /// A message, or what was got of them at once, was processed and committed.
    pub fn processed(&self, from: &Destination, took: Duration) {
        self.0
            .process
            .record(took.as_secs_f64(), &from.operation("process"));
    }

    /// A receipt covered an event.
    pub fn receipt(&self, receiver: &Arc<str>, since_accept: Duration) {
        let receiver = KeyValue::new(attribute::RECEIVER, receiver.clone());
        self.0
            .receipt
            .record(since_accept.as_secs_f64(), &[receiver]);
    }

    /// An event that was accepted at `accepted`, by its sender's clock, has its notification stored. Clocks that disagree count
    /// as no time.
    pub fn notified(&self, mode: &'static str, accepted: SystemTime, now: SystemTime) {
        let took = now.duration_since(accepted).unwrap_or_default();
        self.0
            .notify
            .record(took.as_secs_f64(), &[KeyValue::new(attribute::MODE, mode)]);
    }

    /// A commit was durable.
    pub fn committed(&self, transactions: usize) {
        self.0.commit.record(transactions as f64, &[]);
    }

    /// Events were received, and this became of them.
    pub fn received(&self, outcome: &'static str, events: u64) {
        self.0
            .events
            .add(events, &[KeyValue::new(attribute::OUTCOME, outcome)]);
    }

    /// This was done with so many events that could not be applied at once.
    pub fn letters(&self, done: Letters, events: u64) {
        if events > 0 {
            self.0
                .letters
                .add(events, &[KeyValue::new(attribute::OUTCOME, done.word())]);
        }
    }

    /// A job's work ended, and this became of its event.
    pub fn job_ran(&self, outcome: &'static str, took: Duration) {
        self.0.job.record(
            took.as_secs_f64(),
            &[KeyValue::new(attribute::OUTCOME, outcome)],
        );
    }

    /// Rules of the protocol struck.
    pub fn rule_struck(&self, rule: &'static str, times: u64) {
        self.0
            .strikes
            .add(times, &[KeyValue::new(attribute::RULE, rule)]);
    }

    /// A consumer was rebuilt.
    pub fn consumer_rebuilt(&self, reason: &'static str) {
        self.0
            .rebuilds
            .add(1, &[KeyValue::new(attribute::REASON, reason)]);
    }

    /// So many events that had been lost are received; `reason` is by what they were taken for lost.
    pub fn repaired(&self, reason: &'static str, events: u64) {
        self.0
            .repaired
            .add(events, &[KeyValue::new(attribute::REASON, reason)]);
    }

    /// From now on, `/metrics` asks `accepted` how many changes were accepted by each mode.
    pub fn observe_requests(
        &self,
        accepted: impl Fn() -> [(&'static str, u64); 2] + Send + Sync + 'static,
    ) {
        let meter = self.0.metrics.meter();
        meter
            .u64_observable_counter(metric::REQUESTS)
            .with_unit("{request}")
            .with_description("Changes that were accepted, by the mode that each took")
            .with_callback(move |counter| {
                for (mode, requests) in accepted() {
                    counter.observe(requests, &[KeyValue::new(attribute::MODE, mode)]);
                }
            })
            .build();
    }

    /// From now on, `/metrics` asks `outbox` what each receiver has not acknowledged.
    pub fn observe_outbox(&self, outbox: impl Fn() -> Vec<Outbox> + Send + Sync + 'static) {
        let outbox = Arc::new(outbox);
        let again = outbox.clone();
        let meter = self.0.metrics.meter();
        meter
            .u64_observable_gauge(metric::OUTBOX_UNACKNOWLEDGED)
            .with_unit("{event}")
            .with_description("Events that the receiver has not acknowledged")
            .with_callback(move |gauge| {
                for it in outbox() {
                    let receiver = KeyValue::new(attribute::RECEIVER, it.receiver);
                    gauge.observe(it.unacknowledged, &[receiver]);
                }
            })
            .build();
        meter
            .f64_observable_gauge(metric::OUTBOX_OLDEST_AGE)
            .with_unit("s")
            .with_description("Age of the oldest event that the receiver has not acknowledged; 0 if there is none")
            .with_callback(move |gauge| {
                for Outbox { receiver, oldest_age, .. } in again() {
                    let receiver = KeyValue::new(attribute::RECEIVER, receiver);
                    gauge.observe(oldest_age.as_secs_f64(), &[receiver]);
                }
            })
            .build();
    }

    /// From now on, `/metrics` asks `imbalance` by how many events the ledger of each receiver does not balance.
    pub fn observe_imbalance(&self, imbalance: impl Fn() -> Imbalances + Send + Sync + 'static) {
        let meter = self.0.metrics.meter();
        let gauge = meter.u64_observable_gauge(metric::LEDGER_IMBALANCE);
        gauge
            .with_unit("{event}")
            .with_description("Events that are unaccounted for, or accounted for twice")
            .with_callback(move |gauge| {
                for (receiver, events) in imbalance() {
                    gauge.observe(events, &[KeyValue::new(attribute::RECEIVER, receiver)]);
                }
            })
            .build();
    }

    /// From now on, `/metrics` asks `open` how many event streams are open.
    pub fn observe_streams(&self, open: impl Fn() -> u64 + Send + Sync + 'static) {
        self.0
            .metrics
            .meter()
            .u64_observable_gauge(metric::STREAMS)
            .with_unit("{stream}")
            .with_description("Event streams that are open")
            .with_callback(move |gauge| gauge.observe(open(), &[]))
            .build();
    }

    /// From now on, `/metrics` asks `held` what the receiver keeps apart.
    pub fn observe_held(&self, held: impl Fn() -> Held + Send + Sync + 'static) {
        let held = Arc::new(held);
        let again = held.clone();
        let meter = self.0.metrics.meter();
        meter
            .u64_observable_gauge(metric::PARKED)
            .with_unit("{event}")
            .with_description("Events that wait for another attempt to apply them")
            .with_callback(move |gauge| gauge.observe(held().parked, &[]))
            .build();
        meter
            .u64_observable_gauge(metric::DEAD_LETTERS)
            .with_unit("{event}")
            .with_description("Events whose attempts are used up")
            .with_callback(move |gauge| gauge.observe(again().dead, &[]))
            .build();
    }
}
