//! A collector that keeps what it is sent, for tests to read.

mod log;
mod metric;
mod server;
mod span;
mod value;

use std::{net::SocketAddr, time::Duration};

use tokio_util::task::AbortOnDropHandle;

use crate::eventually::until;
use server::Received;

pub use log::LogLine;
pub use metric::Point;
pub use server::Export;
pub use span::{Event, Kind, Link, Span, Status, drawn};

/// An OTLP endpoint in the test's own process, for gRPC and HTTP alike; services that export to it run in theirs.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    received: Received,
    _server: AbortOnDropHandle<()>,
}

impl OtlpReceiver {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If it can't.
    pub async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Listens at `address`: where another did before.
    ///
    /// # Panics
    /// If it can't.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("the address can be bound");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let received = Received::default();
        let server = axum::serve(listener, server::app(&received));
        let server = tokio::spawn(async move {
            server
                .await
                .expect("the OTLP receiver serves until it is dropped");
        });
        Self {
            address,
            received,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span received so far, in order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.received.kept().spans.clone()
    }

    /// Every point of a metric received so far, in order of arrival.
    pub fn points(&self) -> Vec<Point> {
        self.received.kept().points.clone()
    }

    /// Every log line received so far, in order of arrival.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.received.kept().log_lines.clone()
    }

    /// Every export received so far, in order of arrival.
    pub fn exports(&self) -> Vec<Export> {
        self.received.kept().exports.clone()
    }

    /// What was received of one trace (32 hex digits), by start.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| (span.start, span.end));
        spans
    }

    /// Waits until the trace has a span of each name in `names`, and returns it.
    ///
    /// # Panics
    /// If it hasn't within `timeout`.
    pub async fn trace_with(&self, trace_id: &str, names: &[&str], timeout: Duration) -> Vec<Span> {
        until(timeout, || async {
            let spans = self.trace(trace_id);
            let missing: Vec<_> = names
                .iter()
                .filter(|name| !spans.iter().any(|span| span.name == **name))
                .collect();
            if missing.is_empty() {
                Ok(spans)
            } else {
                Err(format!(
                    "no {missing:?} in trace {trace_id}:\n{}",
                    drawn(&spans)
                ))
            }
        })
        .await
    }
}
