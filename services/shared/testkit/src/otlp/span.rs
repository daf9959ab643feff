//! Spans.

use std::{collections::BTreeMap, fmt::Write as _};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{self as wire, span::SpanKind, status::StatusCode},
};
use serde_json::Value;

use super::value::{attributes, hex};

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

pub(super) fn all(request: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    request.resource_spans.into_iter().flat_map(|resource| {
        let of = attributes(resource.resource.unwrap_or_default().attributes);
        let spans = resource.scope_spans.into_iter();
        spans
            .flat_map(|scope| scope.spans)
            .map(move |span| read(span, &of))
    })
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
