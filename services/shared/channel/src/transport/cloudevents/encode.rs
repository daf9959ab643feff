//! Events to CloudEvents.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use duet_protocol::event::{Body, Event, Seal, TraceContext};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::time::Timestamp;
use duet_telemetry::propagation::{self, TRACEPARENT, TRACESTATE};
use opentelemetry::trace::SpanContext;

use super::name::Attribute;
use super::{DATA, OPENED, SWEEP};
use crate::transport::{Batch, Outgoing};

/// The trace context that an event travels under.
#[derive(Clone, Debug)]
pub enum Carried<'a> {
    /// The one it was created in: no span of its sending is recorded.
    AsCreated(&'a TraceContext),
    /// The span that sends it.
    Span(&'a SpanContext),
}

impl Carried<'_> {
    /// Its headers, where there are any.
    pub fn each(&self, mut set: impl FnMut(&'static str, &str)) {
        match self {
            Carried::AsCreated(TraceContext {
                traceparent,
                tracestate,
            }) => {
                if !traceparent.is_empty() {
                    set(TRACEPARENT, traceparent);
                }
                if !tracestate.is_empty() {
                    set(TRACESTATE, tracestate);
                }
            }
            Carried::Span(span) => propagation::inject(span, set),
        }
    }
}

/// Events as a JSON batch; `carried` gives what the event at an index travels under.
pub fn batch_to_json<'a>(batch: &Batch, carried: impl Fn(usize) -> Carried<'a>) -> Bytes {
    let weight: usize = batch
        .events
        .iter()
        .map(|outgoing| outgoing.event.weight())
        .sum();
    let mut json = Vec::with_capacity(weight);
    json.push(b'[');
    for (index, Outgoing { event, .. }) in batch.events.iter().enumerate() {
        let carried = carried(index);
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(b"{\"specversion\":\"1.0\"");
        attributes(event, &carried, |attribute, value| {
            json.extend_from_slice(b",\"");
            json.extend_from_slice(attribute.name().as_bytes());
            json.extend_from_slice(b"\":");
            text(&mut json, value);
        });
        json.extend_from_slice(b",\"data\":");
        json.extend_from_slice(&binary_body(event));
        json.push(b'}');
    }
    json.push(b']');
    json.into()
}

/// Appends a JSON string. Writing to memory can't fail.
fn text(json: &mut Vec<u8>, value: &str) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        json.push(b'"');
        json.extend_from_slice(value.as_bytes());
        json.push(b'"');
    } else {
        let _ = serde_json::to_writer(json, value);
    }
}

/// One event's attributes as headers, each name as the binary modes of HTTP and NATS have it; and the content type.
pub fn binary_headers(
    event: &Event,
    carried: &Carried<'_>,
    mut set: impl FnMut(&'static str, &str),
) {
    set("content-type", DATA);
    set(Attribute::Specversion.header(), "1.0");
    attributes(event, carried, |attribute, value| {
        set(attribute.header(), &escaped(value))
    });
}

/// One event's data: the body of the binary modes.
pub fn binary_body(event: &Event) -> Bytes {
    match &event.body {
        Body::Data(data) => data.json.clone(),
        Body::Opened { previous, joined } => opened(*previous, joined),
        Body::Sweep { below } => format!("{{\"below\":\"{below}\"}}").into(),
    }
}

fn opened(previous: Option<Seal>, joined: &[ReceiverName]) -> Bytes {
    let mut json = Vec::with_capacity(64);
    let _ = match previous {
        None => write!(json, "{{\"previous\":null"),
        Some(Seal { epoch, last }) => write!(
            json,
            "{{\"previous\":{{\"epoch\":\"{epoch}\",\"last\":{last}}}"
        ),
    };
    if !joined.is_empty() {
        let names: Vec<_> = joined.iter().map(ReceiverName::as_str).collect();
        json.extend_from_slice(b",\"joined\":");
        let _ = serde_json::to_writer(&mut json, &names);
    }
    json.push(b'}');
    json.into()
}

fn attributes(event: &Event, carried: &Carried<'_>, mut set: impl FnMut(Attribute, &str)) {
    let mut buffer = String::with_capacity(64);
    let mut formatted = |value: &dyn std::fmt::Display,
                         attributes: &[Attribute],
                         set: &mut dyn FnMut(Attribute, &str)| {
        buffer.clear();
        let _ = write!(buffer, "{value}");
        for attribute in attributes {
            set(*attribute, &buffer);
        }
    };
    formatted(&event.source, &[Attribute::Source], &mut set);
    formatted(
        &event.sequence,
        &[Attribute::Id, Attribute::Sequence],
        &mut set,
    );
    formatted(&event.generation, &[Attribute::Generation], &mut set);
    formatted(&rfc3339(event.time), &[Attribute::Time], &mut set);
    match &event.body {
        Body::Data(data) => {
            set(Attribute::Type, &data.kind);
            set(Attribute::Subject, data.key.as_str());
        }
        Body::Opened { .. } => set(Attribute::Type, OPENED),
        Body::Sweep { .. } => set(Attribute::Type, SWEEP),
    }
    carried.each(|name, value| {
        set(
            if name == TRACEPARENT {
                Attribute::Traceparent
            } else {
                Attribute::Tracestate
            },
            value,
        )
    });
}

/// The nearest time that RFC 3339 can write.
fn rfc3339(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(if time.micros() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// A header's value, percent-encoded where the HTTP and NATS bindings ask for it.
fn escaped(value: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'%';
    if value.bytes().all(plain) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if plain(byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    Cow::Owned(escaped)
}
