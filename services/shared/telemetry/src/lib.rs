//! Traces, metrics and logs: set-up, sampling, propagation, and every name once.
//!
//! A service starts it once, inside its tokio runtime, and hands out a [`Tracer`] and the [`Instruments`]:
//!
//! ```
//! use duet_telemetry::{Config, Telemetry, names::{attribute, span}, propagation};
//! use opentelemetry::KeyValue;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let headers = std::collections::HashMap::from([("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]);
//! let config = Config::from_env("reaction", env!("CARGO_PKG_VERSION"))?;
//! let telemetry = Telemetry::start(config)?;
//! let tracer = telemetry.tracer();
//!
//! // A request comes in: its caller's trace goes on, or a new one begins.
//! let caller = propagation::extract(|name| headers.get(name).copied());
//! let mut request = tracer.entry(span::server("PUT", "/v1/posts/{post}"), caller.as_ref()).start();
//! let _logs_name_the_trace = request.context().attach();
//!
//! // What happens inside. Nothing is computed for a span that isn't recorded.
//! let commit = tracer.child(span::COMMIT_REACTION, request.span_context()).start();
//! commit.attributes(|| [KeyValue::new(attribute::BATCH_SIZE, 17)]);
//! commit.end();
//!
//! // A failure is recorded even where the request wasn't sampled, within a budget.
//! let name = span::server("PUT", "/v1/posts/{post}");
//! request.record_anyway(&tracer, &name);
//! request.fail("503", || "the channel refused it".into());
//! request.end();
//!
//! telemetry.shutdown(std::time::Duration::from_secs(2)).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Around it: [`logs::init`] once in `main`, before anything else; [`Metrics::render`](metrics::Metrics::render) for `/metrics`.

/// What a process' telemetry is told.
mod config;
/// OpenTelemetry's environment variables.
mod environment;
/// Hands what is told to a collector; says once that it is away, and once that it is back.
mod exporter;
/// The HTTP client of OTLP/HTTP.
mod http_client;
/// Ids of new spans, and of those recorded later than they began.
mod ids;
/// The instruments the services hold.
pub mod instruments;
/// Log lines: coloured on a terminal, JSON elsewhere, to a collector too; with the ids of the trace they belong to.
pub mod logs;
/// Metrics, and their Prometheus text.
pub mod metrics;
/// The name of every span, attribute, event and metric, once.
pub mod names;
/// One signal's way to a collector.
mod otlp;
/// W3C Trace Context: between processes, and stored with an event.
pub mod propagation;
/// A budget a second, shared by all threads.
mod rate_limit;
/// Which traces are recorded.
pub mod sampler;
/// The SDK's view of the sampler.
mod should_sample;
/// One span.
mod span;
/// Start and shutdown.
mod telemetry;
/// Starts spans.
mod tracer;

pub use config::{Batches, Config};
pub use environment::ConfigError;
pub use instruments::Instruments;
pub use otlp::{Headers, Otlp, Protocol, Signal};
pub use span::{Span, current, describe};
pub use telemetry::{Observer, Telemetry, TelemetryError};
pub use tracer::{MAX_LINKS, SpanStart, Tracer};
