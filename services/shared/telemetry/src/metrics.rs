//! Metrics, and their Prometheus text.

use std::sync::Arc;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::{Resource, error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    provider: SdkMeterProvider,
    registry: Registry,
    meter: Meter,
}

impl Metrics {
    /// An empty set; `resource` becomes the metric `target_info`.
    ///
    /// # Errors
    /// If they can't be registered.
    pub(crate) fn new(resource: Resource) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(MetricsError::Register)?;
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader)
            .build();
        let meter = provider.meter(env!("CARGO_PKG_NAME"));
        Ok(Self(Arc::new(Inner {
            provider,
            registry,
            meter,
        })))
    }

    /// Makes instruments. Those that several services have are in [`Instruments`](crate::Instruments).
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// All of them now, in Prometheus' text format, of the type [`CONTENT_TYPE`]. Callbacks of gauges run meanwhile.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn render(&self) -> Result<String, MetricsError> {
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .map_err(MetricsError::Render)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nothing is pushed, so nothing can be lost.
        let _ = self.provider.shutdown();
    }
}
