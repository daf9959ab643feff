//! Hands what is told to a collector; says once that it is away, and once that it is back.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

use crate::{
    names::{attribute, metric},
    otlp::Signal,
};

/// An exporter whose failures are told once, not with each export. Spans and log lines that can't be exported are lost, and counted;
/// metrics are sums, so that the next export makes up for one that failed.
pub(crate) struct Quiet<E> {
    inner: E,
    signal: Signal,
    away: AtomicBool,
    /// Lost since the collector was there last.
    lost: AtomicU64,
    /// The conventions' count of what was exported, or failed to be. Of metrics there is none: it would change by being exported.
    exported: Option<Counter<u64>>,
}

impl<E> Quiet<E> {
    pub(crate) fn new(inner: E, signal: Signal, meter: &Meter) -> Self {
        let counter = match signal {
            Signal::Traces => Some((metric::SPANS_EXPORTED, "{span}")),
            Signal::Logs => Some((metric::LOG_RECORDS_EXPORTED, "{log_record}")),
            Signal::Metrics => None,
        };
        let exported = counter.map(|(name, unit)| {
            meter
                .u64_counter(name)
                .with_unit(unit)
                .with_description(
                    "Given to the collector; with an error.type: lost on the way to it",
                )
                .build()
        });
        Self {
            inner,
            signal,
            away: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            exported,
        }
    }

    /// Tells of an export of so many.
    fn told(&self, many: usize, result: OTelSdkResult) {
        let Self { signal, .. } = self;
        let count = |attributes: &[KeyValue]| {
            if let Some(exported) = &self.exported {
                exported.add(many as u64, attributes);
            }
        };
        match result {
            Ok(()) => {
                count(&[]);
                if self.away.swap(false, Ordering::Relaxed) {
                    let lost = self.lost.swap(0, Ordering::Relaxed);
                    tracing::info!(lost, "the collector takes {signal} again");
                }
            }
            Err(error) => {
                count(&[KeyValue::new(attribute::ERROR_TYPE, "export")]);
                self.lost.fetch_add(many as u64, Ordering::Relaxed);
                if !self.away.swap(true, Ordering::Relaxed) {
                    let meanwhile = match signal {
                        Signal::Traces | Signal::Logs => "and are lost",
                        Signal::Metrics => "and wait",
                    };
                    tracing::warn!(%error, "{signal} can't be exported {meanwhile} until the collector answers");
                }
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Quiet<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, signal, .. } = self;
        f.debug_tuple("Quiet").field(signal).field(inner).finish()
    }
}

impl<E: SpanExporter> SpanExporter for Quiet<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.told(spans, self.inner.export(batch).await);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Quiet<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let lines = batch.iter().count();
        self.told(lines, self.inner.export(batch).await);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Quiet<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.told(0, self.inner.export(metrics).await);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
