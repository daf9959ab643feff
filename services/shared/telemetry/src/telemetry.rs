//! Start and shutdown.

use std::{sync::Arc, time::Duration};

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};

use crate::{
    config::Config,
    exporter::Quiet,
    ids,
    instruments::Instruments,
    metrics::{Metrics, MetricsError},
    should_sample::{Clocked, SdkSampler},
    tracer::{MAX_LINKS, Tracer},
};

/// What keeps telemetry from starting or ending well.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address is no URL, or its headers no headers.
    #[error("the exporter for {endpoint:?} can't be built")]
    Exporter {
        /// What was taken for the address.
        endpoint: String,
        /// Why.
        source: ExporterBuildError,
    },
    /// There is a collector, and no tokio runtime to reach it by.
    #[error("traces are exported from within a tokio runtime, and there is none")]
    NoRuntime,
    /// The metrics can't be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What was recorded couldn't be flushed.
    #[error("what was recorded last couldn't be flushed")]
    Flush(#[source] OTelSdkError),
}

/// A process' traces and metrics: one provider of each, one resource. Logs are apart, see [`logs::init`](crate::logs::init).
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    tracer: Tracer,
    metrics: Metrics,
    instruments: Instruments,
}

/// What those who tell what they do are given. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Starts spans.
    pub tracer: Tracer,
    /// Counts and measures.
    pub instruments: Instruments,
}

impl From<&Telemetry> for Observer {
    fn from(telemetry: &Telemetry) -> Self {
        Self {
            tracer: telemetry.tracer(),
            instruments: telemetry.instruments(),
        }
    }
}

impl Telemetry {
    /// Starts exporting in the background, from a thread of its own over a connection of the tokio runtime this is called in. A
    /// collector that is away is no error: it is looked for again with each export.
    ///
    /// # Errors
    /// If the collector's address can't be one, or there is a collector and no tokio runtime.
    pub fn start(config: Config) -> Result<Self, TelemetryError> {
        let resource = config.resource();
        let metrics = Metrics::new(resource.clone())?;
        let instruments = Instruments::new(&metrics);
        let (traces, tracer) = match config.endpoint.clone() {
            Some(endpoint) => {
                let (provider, tracer) = record(&config, endpoint, resource)?;
                (Some(provider), tracer)
            }
            None => (None, Tracer::default()),
        };
        Ok(Self {
            traces,
            tracer,
            metrics,
            instruments,
        })
    }

    /// Starts spans.
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// For `/metrics`, and for instruments of a service's own.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// The instruments that all services share.
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    /// Exports what has been recorded, and ends. Spans that end afterwards are lost.
    ///
    /// # Errors
    /// If that takes longer than `timeout`.
    pub async fn shutdown(self, timeout: Duration) -> Result<(), TelemetryError> {
        let Some(traces) = self.traces else {
            return Ok(());
        };
        // The SDK blocks, and what it waits for may need this very thread.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(timeout));
        match flushed.await {
            Ok(result) => result.map_err(TelemetryError::Flush),
            Err(panicked) => Err(TelemetryError::Flush(OTelSdkError::InternalFailure(
                panicked.to_string(),
            ))),
        }
    }
}

fn record(
    config: &Config,
    endpoint: String,
    resource: Resource,
) -> Result<(SdkTracerProvider, Tracer), TelemetryError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.clone())
        .with_timeout(config.export_timeout)
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint, source })?;
    let batches = BatchConfigBuilder::default()
        .with_scheduled_delay(config.export_every)
        .with_max_queue_size(config.queue)
        .build();
    let sampler = Arc::new(Clocked::new(config.sampling));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(SdkSampler(sampler.clone()))
        .with_id_generator(ids::Generator)
        .with_max_links_per_span(MAX_LINKS)
        .with_span_processor(
            BatchSpanProcessor::builder(Quiet::new(exporter))
                .with_batch_config(batches)
                .build(),
        )
        .build();
    let tracer = Tracer::recording(&provider, sampler);
    Ok((provider, tracer))
}
