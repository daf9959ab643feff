//! Metrics, and their Prometheus text.

use std::{sync::Arc, time::Duration};

use opentelemetry::metrics::{Meter, MeterProvider as _, noop::NoopMeterProvider};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    metrics::{PeriodicReader, SdkMeterProvider},
};
use prometheus::{Registry, TextEncoder};

use crate::{exporter::Quiet, otlp::Signal};

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is shown where [`Config::prometheus`](crate::Config::prometheus) is off.
const NOT_HERE: &str =
    "# OTEL_METRICS_EXPORTER has no prometheus, so that nothing is shown here.\n";

/// What keeps metrics from being registered or rendered.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// They can't be registered.
    #[error("metrics can't be registered")]
    Register(#[source] OTelSdkError),
    /// They can't be written as text.
    #[error("metrics can't be rendered")]
    Render(#[source] prometheus::Error),
}

/// A process' metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None where nobody reads them.
    provider: Option<SdkMeterProvider>,
    /// What Prometheus is shown.
    registry: Option<Registry>,
    meter: Meter,
}

/// Where metrics are pushed to, and how often.
pub(crate) struct Push {
    pub(crate) exporter: opentelemetry_otlp::MetricExporter,
    pub(crate) every: Duration,
}

impl Metrics {
    /// An empty set; for Prometheus, `resource` becomes the metric `target_info`.
    ///
    /// # Errors
    /// If they can't be registered.
    pub(crate) fn new(
        resource: Resource,
        prometheus: bool,
        push: Option<Push>,
    ) -> Result<Self, MetricsError> {
        let mut provider = SdkMeterProvider::builder().with_resource(resource);
        let read = prometheus || push.is_some();
        let registry = prometheus.then(Registry::new);
        if let Some(registry) = &registry {
            let reader = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                .scope_info_enabled(false)
                .build()
                .map_err(MetricsError::Register)?;
            provider = provider.with_reader(reader);
        }
        if let Some(Push { exporter, every }) = push {
            let nothing = NoopMeterProvider::new().meter("");
            let reader = PeriodicReader::builder(Quiet::new(exporter, Signal::Metrics, &nothing));
            provider = provider.with_reader(reader.with_interval(every).build());
        }
        let provider = read.then(|| provider.build());
        let scope = env!("CARGO_PKG_NAME");
        Ok(Self(Arc::new(Inner {
            meter: match &provider {
                Some(provider) => provider.meter(scope),
                None => NoopMeterProvider::new().meter(scope),
            },
            provider,
            registry,
        })))
    }

    /// Makes instruments. Those that several services have are in [`Instruments`](crate::Instruments).
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// All of them now, in Prometheus' text format, of the type [`CONTENT_TYPE`]. Callbacks of gauges run meanwhile. Where they are
    /// not for Prometheus, a comment that says so.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn render(&self) -> Result<String, MetricsError> {
        let Some(registry) = &self.0.registry else {
            return Ok(NOT_HERE.to_owned());
        };
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .map_err(MetricsError::Render)
    }

    /// Pushes what was counted last, and ends. Blocks; the SDK heeds no other time than 5 s.
    pub(crate) fn shutdown(&self) -> OTelSdkResult {
        self.0
            .provider
            .as_ref()
            .map_or(Ok(()), SdkMeterProvider::shutdown)
    }
}
