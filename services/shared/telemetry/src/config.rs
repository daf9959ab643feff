//! What a process' telemetry is told.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use crate::{names::attribute, otlp::Otlp, sampler::Sampling};

/// What a process' telemetry is told: by its `main`, and by [OpenTelemetry's environment variables](Self::from_env).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// `service.name`: `reaction`, `notification` or `duet`.
    pub service: String,
    /// `service.version`.
    pub version: String,
    /// `service.instance.id`: this process among those of the service; random unless it is told.
    pub instance: String,
    /// Further attributes of the resource; they win over the three above.
    pub resource: Vec<(String, String)>,
    /// Where spans go. Without, they are not recorded.
    pub traces: Option<Otlp>,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// How spans are gathered.
    pub spans: Batches,
    /// Whether [`Metrics::render`](crate::metrics::Metrics::render) shows metrics, for Prometheus.
    pub prometheus: bool,
    /// Where metrics go besides.
    pub metrics: Option<Otlp>,
    /// How often.
    pub metrics_every: Duration,
    /// Where log lines go besides standard error.
    pub logs: Option<Otlp>,
    /// How log lines are gathered.
    pub log_records: Batches,
}

/// How spans or log lines are gathered on their way to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// How long one waits to be exported.
    pub every: Duration,
    /// How many may wait; those above are dropped.
    pub queue: usize,
}

impl Config {
    /// A process without a collector, with the default sampling and with metrics for Prometheus.
    pub fn new(service: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            version: version.into(),
            instance: format!("{:016x}", rand::random::<u64>()),
            resource: Vec::new(),
            traces: None,
            sampling: Sampling::default(),
            spans: Batches {
                every: Duration::from_millis(500),
                queue: 4 * 1024,
            },
            prometheus: true,
            metrics: None,
            metrics_every: Duration::from_secs(60),
            logs: None,
            log_records: Batches {
                every: Duration::from_secs(1),
                queue: 2 * 1024,
            },
        }
    }

    /// The one resource of all that this process tells.
    pub(crate) fn resource(&self) -> Resource {
        let own = [
            (attribute::SERVICE_NAME, &self.service),
            (attribute::SERVICE_VERSION, &self.version),
            (attribute::SERVICE_INSTANCE_ID, &self.instance),
        ];
        let own = own.map(|(key, value)| KeyValue::new(key, value.clone()));
        let told = self.resource.iter().cloned();
        Resource::builder()
            .with_attributes(own)
            .with_attributes(told.map(|(key, value)| KeyValue::new(key, value)))
            .build()
    }
}
