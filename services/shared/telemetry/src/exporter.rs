//! Hands spans to a collector; says once that it is away, and once that it is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// An exporter whose failures are told once, not every half second. Spans that can't be exported are lost, and counted.
#[derive(Debug)]
pub(crate) struct Quiet<E> {
    inner: E,
    /// Spans lost since the last export that succeeded.
    losing: Arc<AtomicU64>,
}

impl<E> Quiet<E> {
    pub(crate) fn new(inner: E) -> Self {
        Self {
            inner,
            losing: Arc::default(),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Quiet<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        match self.inner.export(batch).await {
            Ok(()) => {
                let lost = self.losing.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(lost, "the trace collector is back");
                }
            }
            Err(error) => {
                if self.losing.fetch_add(spans, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "traces can't be exported and are lost until the collector answers");
                }
            }
        }
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
