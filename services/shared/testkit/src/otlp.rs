//! A collector that keeps what it is sent, for tests to read.

use crate::eventually::until;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::{self as wire, span::SpanKind, status::StatusCode},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, transport::server::TcpIncoming};

/// Exporters send up to 512 spans at once, each with up to 512 links.
const LARGEST_EXPORT: usize = 32 << 20;

/// An OTLP/gRPC endpoint in the test's own process; services that export to it run in theirs.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    spans: Spans,
    _server: AbortOnDropHandle<()>,
}

type Spans = Arc<Mutex<Vec<Span>>>;

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
        let spans = Spans::default();
        let service = TraceServiceServer::new(Collector(spans.clone()))
            .max_decoding_message_size(LARGEST_EXPORT);
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move {
            server
                .await
                .expect("the OTLP receiver serves until it is dropped");
        });
        Self {
            address,
            spans,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received so far, in order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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

/// One span as it was exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The parent's id; none for a root.
    pub parent: Option<String>,
    /// W3C `tracestate`, as it was.
    pub trace_state: String,
    /// The span's name.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// `service.name` of the process that made it.
    pub service: String,
    /// How it ended.
    pub status: Status,
    /// Other spans it points at.
    pub links: Vec<Link>,
    /// What is said of it.
    pub attributes: BTreeMap<String, Value>,
    /// What is said of the process that made it.
    pub resource: BTreeMap<String, Value>,
    /// What happened within it.
    pub events: Vec<Event>,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
}

/// OpenTelemetry's span kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within one process.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Hands a message over.
    Producer,
    /// Takes a message.
    Consumer,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        })
    }
}

/// OpenTelemetry's span status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    Unset,
    /// Said to be well.
    Ok,
    /// Failed, with the reason given.
    Error(String),
}

/// A span that another points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub attributes: BTreeMap<String, Value>,
}

/// The tree of one trace, a line a span: two spaces a level, then service, name and kind; siblings by start.
/// A span whose parent is not among `spans` stands at the left.
pub fn drawn(spans: &[Span]) -> String {
    fn draw(spans: &[Span], parent: Option<&str>, depth: usize, into: &mut String) {
        let known = |id: &str| spans.iter().any(|span| span.span_id == id);
        let mut children: Vec<_> = spans
            .iter()
            .filter(|span| match parent {
                Some(_) => span.parent.as_deref() == parent,
                None => !span.parent.as_deref().is_some_and(known),
            })
            .collect();
        children.sort_by_key(|span| (span.start, span.end));
        for span in children {
            let (
                indent,
                Span {
                    service,
                    name,
                    kind,
                    ..
                },
            ) = ("  ".repeat(depth), span);
            // Writing to a String can't fail.
            let _ = writeln!(into, "{indent}{service}: {name} {kind}");
            draw(spans, Some(&span.span_id), depth + 1, into);
        }
    }
    let mut lines = String::new();
    draw(spans, None, 0, &mut lines);
    lines
}

#[derive(Debug)]
struct Collector(Spans);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, tonic::Status> {
        let received = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|resource| {
                let of = attributes(
                    resource
                        .resource
                        .map(|it| it.attributes)
                        .unwrap_or_default(),
                );
                resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans)
                    .map(move |span| read(span, &of))
            });
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(received);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(span: wire::Span, resource: &BTreeMap<String, Value>) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
        SpanKind::Internal | SpanKind::Unspecified => Kind::Internal,
    };
    let status = span.status.unwrap_or_default();
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        trace_state: span.trace_state,
        name: span.name,
        kind,
        service: resource
            .get("service.name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        status: match status.code() {
            StatusCode::Unset => Status::Unset,
            StatusCode::Ok => Status::Ok,
            StatusCode::Error => Status::Error(status.message),
        },
        links: span
            .links
            .iter()
            .map(|link| Link {
                trace_id: hex(&link.trace_id),
                span_id: hex(&link.span_id),
            })
            .collect(),
        attributes: attributes(span.attributes),
        resource: resource.clone(),
        events: span
            .events
            .into_iter()
            .map(|event| Event {
                name: event.name,
                attributes: attributes(event.attributes),
            })
            .collect(),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, Value> {
    list.into_iter()
        .map(|pair| (pair.key, pair.value.map_or(Value::Null, value)))
        .collect()
}

fn value(any: AnyValue) -> Value {
    match any.value {
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(flag)) => flag.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => number.into(),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(value).collect(),
        Some(Any::KvlistValue(list)) => attributes(list.values).into_iter().collect(),
        Some(Any::BytesValue(bytes)) => hex(&bytes).into(),
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
