//! The spans of events on their way, as design and conventions draw them.
//!
//! One event in a request or message has the request's or message's own spans. Where several travel together, each trace keeps its
//! shape with a span of its own, and what they share (the request, the message, its receipt and its settling) is a trace of its own,
//! linked both ways and recorded only if a sampled event is in it. What comes late starts a new trace, linked to the one it was
//! created in. Nothing is computed, and nothing allocated, for a batch of which nothing is sampled.

pub(crate) mod later;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;

pub use duet_telemetry::Observer;
pub use receiving::{Receiving, count};
pub use sending::{Names, Sending};

use std::time::{Duration, SystemTime};

use duet_protocol::event::{Event, TraceContext};
use duet_protocol::time::Timestamp;
use duet_telemetry::propagation;
use opentelemetry::trace::SpanContext;

/// An event older than this starts a trace of its own, linked to the one it was created in.
const LATE: Duration = Duration::from_secs(600);

/// Whether an event comes late for its age alone.
pub(crate) fn is_late(event: &Event, now: Timestamp) -> bool {
    now.since(event.time) > LATE
}

/// The `traceparent`'s flags are its last two digits; sampled is the lowest bit. Anything else is not sampled.
pub(crate) fn is_sampled(trace: &TraceContext) -> bool {
    let text = trace.traceparent.as_bytes();
    text.len() >= propagation::Traceparent::LEN
        && matches!(
            text[propagation::Traceparent::LEN - 1],
            b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f'
        )
}

pub(crate) fn context(trace: &TraceContext) -> SpanContext {
    propagation::parse(&trace.traceparent, &trace.tracestate).unwrap_or(SpanContext::NONE)
}

/// A stored time, as spans take it.
pub(crate) fn time_of(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(at.micros().unsigned_abs())
}
