//! Start and shutdown.

use std::{sync::Arc, thread, time::Duration};

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLoggerProvider},
    trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor, SdkTracerProvider},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    config::Config,
    exporter::Quiet,
    ids,
    instruments::Instruments,
    logs,
    metrics::{Metrics, MetricsError, Push},
    otlp::{Otlp, Signal},
    should_sample::{Clocked, SdkSampler},
    tracer::{MAX_LINKS, Tracer},
};

/// What keeps telemetry from starting or ending well.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A collector can't be exported to: its address is no URL, or the certificates of this machine can't be read.
    #[error("{signal} can't be exported to {endpoint:?}")]
    Exporter {
        /// What was to be exported.
        signal: Signal,
        /// Where to.
        endpoint: String,
        /// Why.
        source: ExporterBuildError,
    },
    /// There is a collector, and no tokio runtime to reach it by.
    #[error("telemetry is exported from within a tokio runtime, and there is none")]
    NoRuntime,
    /// The metrics can't be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What was told last couldn't be flushed.
    #[error("the last {signal} couldn't be flushed")]
    Flush {
        /// What is lost.
        signal: Signal,
        /// Why.
        source: OTelSdkError,
    },
}

/// A process' telemetry: one provider of each signal, one resource.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
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
    /// Starts exporting in the background, from threads of its own over connections of the tokio runtime this is called in. A
    /// collector that is away is no error: it is looked for again with each export.
    ///
    /// From now on, if [`Config::logs`] says so, the lines of [`logs::init`] go to a collector too. They are the whole process': of two
    /// that ask for it, the second gets them.
    ///
    /// # Errors
    /// If a collector's address can't be one, or there is a collector and no tokio runtime.
    pub fn start(config: Config) -> Result<Self, TelemetryError> {
        let collectors = [&config.traces, &config.metrics, &config.logs];
        if collectors.iter().any(|it| it.is_some())
            && tokio::runtime::Handle::try_current().is_err()
        {
            return Err(TelemetryError::NoRuntime);
        }
        let resource = config.resource();
        let push = match &config.metrics {
            Some(otlp) => Some(Push {
                exporter: built(Signal::Metrics, otlp, Otlp::metrics)?,
                every: config.metrics_every,
            }),
            None => None,
        };
        let metrics = Metrics::new(resource.clone(), config.prometheus, push)?;
        let (traces, tracer) = match &config.traces {
            Some(otlp) => {
                let (provider, tracer) = record(&config, otlp, resource.clone(), &metrics)?;
                (Some(provider), tracer)
            }
            None => (None, Tracer::default()),
        };
        let logs = match &config.logs {
            Some(otlp) => Some(log(&config, otlp, resource, &metrics)?),
            None => None,
        };
        Ok(Self {
            traces,
            logs,
            tracer,
            instruments: Instruments::new(&metrics),
            metrics,
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

    /// Exports what has been told, and ends. Spans that end afterwards are lost; later lines go to standard error only.
    ///
    /// # Errors
    /// If that takes longer than `timeout`. Of several signals, the first that was lost.
    pub async fn shutdown(self, timeout: Duration) -> Result<(), TelemetryError> {
        let Self {
            traces,
            logs,
            metrics,
            ..
        } = self;
        if logs.is_some() {
            logs::collector::end();
        }
        let until = Instant::now() + timeout;
        let spans = traces.map(|traces| apart(move || traces.shutdown_with_timeout(timeout)));
        let lines = logs.map(|logs| apart(move || logs.shutdown_with_timeout(timeout)));
        let counts = apart(move || metrics.shutdown());
        let all = [
            (Signal::Traces, spans),
            (Signal::Metrics, Some(counts)),
            (Signal::Logs, lines),
        ];
        let mut flushed = Ok(());
        for (signal, ended) in all {
            let Some(ended) = ended else { continue };
            let result = match tokio::time::timeout_at(until, ended).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(OTelSdkError::InternalFailure("its thread has died".into())),
                Err(_) => Err(OTelSdkError::Timeout(timeout)),
            };
            flushed =
                flushed.and(result.map_err(|source| TelemetryError::Flush { signal, source }));
        }
        flushed
    }
}

/// Runs what blocks, and may need this very runtime to go on meanwhile. A thread of its own, and not one of the runtime's: what the SDK
/// doesn't give up in time must not keep the process from ending.
fn apart(
    shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static,
) -> oneshot::Receiver<OTelSdkResult> {
    let (told, ended) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits any longer: nobody needs to know.
        let _ = told.send(shutdown());
    });
    ended
}

fn built<E>(
    signal: Signal,
    otlp: &Otlp,
    build: impl FnOnce(&Otlp) -> Result<E, ExporterBuildError>,
) -> Result<E, TelemetryError> {
    build(otlp).map_err(|source| TelemetryError::Exporter {
        signal,
        endpoint: otlp.endpoint.clone(),
        source,
    })
}

fn record(
    config: &Config,
    otlp: &Otlp,
    resource: Resource,
    metrics: &Metrics,
) -> Result<(SdkTracerProvider, Tracer), TelemetryError> {
    let exporter = built(Signal::Traces, otlp, Otlp::spans)?;
    let exporter = Quiet::new(exporter, Signal::Traces, metrics.meter());
    let batches = SpanBatches::default()
        .with_scheduled_delay(config.spans.every)
        .with_max_queue_size(config.spans.queue)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches);
    let sampler = Arc::new(Clocked::new(config.sampling));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(SdkSampler(sampler.clone()))
        .with_id_generator(ids::Generator)
        .with_max_links_per_span(MAX_LINKS)
        .with_span_processor(processor.build())
        .build();
    let tracer = Tracer::recording(&provider, sampler);
    Ok((provider, tracer))
}

fn log(
    config: &Config,
    otlp: &Otlp,
    resource: Resource,
    metrics: &Metrics,
) -> Result<SdkLoggerProvider, TelemetryError> {
    let exporter = built(Signal::Logs, otlp, Otlp::log_records)?;
    let exporter = Quiet::new(exporter, Signal::Logs, metrics.meter());
    let batches = LogBatches::default()
        .with_scheduled_delay(config.log_records.every)
        .with_max_queue_size(config.log_records.queue)
        .build();
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(batches);
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(processor.build())
        .build();
    logs::collector::begin(&provider);
    Ok(provider)
}
