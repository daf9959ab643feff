//! Log lines on their way to a collector.
//!
//! Logging begins before there is a runtime to export by, so the subscriber has a place for a collector that is found later.

use std::sync::{PoisonError, RwLock};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// Logs are the whole process', and so is where they go.
static BRIDGE: RwLock<Option<Bridge>> = RwLock::new(None);

/// From now on, lines go to `provider` too.
pub(crate) fn begin(provider: &SdkLoggerProvider) {
    *BRIDGE.write().unwrap_or_else(PoisonError::into_inner) = Some(Bridge::new(provider));
}

/// From now on, lines go nowhere else.
pub(crate) fn end() {
    *BRIDGE.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// What exporting itself logs, at the levels of someone who looks for an error in it: each line would be the cause of others.
const OF_EXPORTING: [&str; 8] = [
    "opentelemetry",
    "hyper",
    "h2",
    "tonic",
    "tower",
    "rustls",
    "tokio_util",
    "duet_telemetry::exporter",
];

/// A layer that hands lines on, once there is a collector.
pub(super) struct ToCollector;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ToCollector {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if is_of_exporting(event.metadata().target()) {
            return;
        }
        // Exporting has threads of its own: nothing waits here but for the copy of a line.
        if let Some(bridge) = &*BRIDGE.read().unwrap_or_else(PoisonError::into_inner) {
            bridge.on_event(event, context);
        }
    }
}

fn is_of_exporting(target: &str) -> bool {
    OF_EXPORTING.iter().any(|of| {
        let rest = target.strip_prefix(of);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-', ':']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exporting_logs_is_known_by_its_target() {
        for target in [
            "opentelemetry_sdk",
            "opentelemetry-otlp",
            "hyper_util::client",
            "h2::codec",
            "tonic",
        ] {
            assert!(is_of_exporting(target), "{target}");
        }
        for target in [
            "duet_telemetry::telemetry",
            "duet_channel::sender",
            "h2o",
            "towering",
        ] {
            assert!(!is_of_exporting(target), "{target}");
        }
    }
}
