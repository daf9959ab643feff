//! What the operator tells at `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duet_telemetry::metrics::Metrics;
use duet_telemetry::names::{attribute, metric};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

/// Bounds in seconds: from a look at a healthy channel to a broker that hangs.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// The operator's instruments. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    reconciles: Histogram<f64>,
    switches: Counter<u64>,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug, Default)]
struct Shown {
    leads: bool,
    channels: BTreeMap<String, Seen>,
}

/// What was seen of a Channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its pods; none where they are not known.
    pub(crate) pods: Option<Pods>,
    /// Whether its broker is ready; none if it has none, or that is not known.
    pub(crate) broker_ready: Option<bool>,
}

/// The pods behind a Channel's Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Those that follow it.
    pub(crate) ready: u32,
    /// Those that do not.
    pub(crate) diverging: u32,
}

/// A gauge's value, with its attributes.
type Value = (u64, Vec<KeyValue>);

impl Meters {
    /// Registers them. Once for each process.
    pub(crate) fn new(metrics: &Metrics) -> Meters {
        let shown = Arc::new(Mutex::new(Shown::default()));
        let meter = metrics.meter();
        let gauge = |name, unit, description, values: fn(&Shown) -> Vec<Value>| {
            let shown = Arc::clone(&shown);
            meter
                .u64_observable_gauge(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |gauge| {
                    for (value, attributes) in values(&lock(&shown)) {
                        gauge.observe(value, &attributes);
                    }
                })
                .build();
        };
        gauge(
            metric::OPERATOR_LEADS,
            "",
            "Whether this process reconciles",
            |shown| vec![(shown.leads.into(), Vec::new())],
        );
        gauge(
            metric::OPERATOR_CHANNELS,
            "{channel}",
            "Channels that this process looks after",
            |shown| vec![(shown.channels.len() as u64, Vec::new())],
        );
        gauge(
            metric::OPERATOR_PARTICIPANTS,
            "{pod}",
            "Pods behind a Channel's Services; absent where they are not known",
            |shown| {
                let of = |(name, seen): (&String, &Seen)| {
                    let Some(Pods { ready, diverging }) = seen.pods else {
                        return Vec::new();
                    };
                    let value = |(state, pods): (&'static str, u32)| {
                        let channel = KeyValue::new(attribute::CHANNEL, name.clone());
                        (
                            pods.into(),
                            vec![channel, KeyValue::new(attribute::STATE, state)],
                        )
                    };
                    [("ready", ready), ("diverging", diverging)]
                        .map(value)
                        .into()
                };
                shown.channels.iter().flat_map(of).collect()
            },
        );
        gauge(
            metric::OPERATOR_BROKER_READY,
            "",
            "Whether a Channel's stream and consumers are as asked for; absent where that is not known",
            |shown| {
                let of = |(name, seen): (&String, &Seen)| {
                    let channel = KeyValue::new(attribute::CHANNEL, name.clone());
                    Some((seen.broker_ready?.into(), vec![channel]))
                };
                shown.channels.iter().filter_map(of).collect()
            },
        );
        let reconciles = meter
            .f64_histogram(metric::OPERATOR_RECONCILE_DURATION)
            .with_unit("s")
            .with_boundaries(SECONDS.to_vec())
            .with_description(
                "Duration of looking after a Channel once; with error.type if it failed",
            )
            .build();
        let switches = meter
            .u64_counter(metric::OPERATOR_SWITCHES)
            .with_unit("{switch}")
            .with_description("Switches of a Channel's mode that all pods followed")
            .build();
        Meters {
            reconciles,
            switches,
            shown,
        }
    }

    /// A Channel was looked after, or could not be.
    pub(crate) fn reconciled(&self, error: Option<&'static str>, took: Duration) {
        let error = error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error));
        self.reconciles.record(took.as_secs_f64(), error.as_slice());
    }

    /// All pods follow another mode.
    pub(crate) fn switched(&self, to: &'static str) {
        self.switches.add(1, &[KeyValue::new(attribute::MODE, to)]);
    }

    /// This was seen of a Channel, and nothing else.
    pub(crate) fn saw(&self, channel: &str, seen: Seen) {
        lock(&self.shown).channels.insert(channel.to_owned(), seen);
    }

    /// These Channels are there, and no other.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        lock(&self.shown).channels.retain(|name, _| is_there(name));
    }

    /// Whether this process reconciles. One that does not shows nothing.
    pub(crate) fn leads(&self, leads: bool) {
        *lock(&self.shown) = Shown {
            leads,
            channels: BTreeMap::new(),
        };
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
