//! Ids of new spans, and of those recorded later than they began.
//!
//! A span that isn't recorded still has ids, which its callees and the answer to its caller have seen. To record it after all
//! (see [`Span::record_anyway`](crate::Span::record_anyway)), the SDK, which makes the ids itself, must be given those.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

/// A span's own ids, or its own id in its caller's trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Ids {
    /// New ids: never zero, which W3C Trace Context takes for none.
    pub(crate) fn random() -> Self {
        Self {
            trace_id: TraceId::from(rand::random::<u128>().max(1)),
            span_id: random_span_id(),
        }
    }
}

pub(crate) fn random_span_id() -> SpanId {
    SpanId::from(rand::random::<u64>().max(1))
}

thread_local! {
    static DECIDED: Cell<Option<Ids>> = const { Cell::new(None) };
}

/// Runs `start`, which starts one span, with that span decided to be recorded under these ids.
pub(crate) fn decided<T>(ids: Ids, start: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            DECIDED.set(None);
        }
    }
    DECIDED.set(Some(ids));
    let _reset = Reset;
    start()
}

/// Whether the span being started on this thread is decided to be recorded.
pub(crate) fn is_decided() -> bool {
    DECIDED.get().is_some()
}

/// Makes the ids of the SDK's spans.
#[derive(Debug)]
pub(crate) struct Generator;

impl IdGenerator for Generator {
    fn new_trace_id(&self) -> TraceId {
        DECIDED
            .get()
            .map_or_else(|| Ids::random().trace_id, |ids| ids.trace_id)
    }

    fn new_span_id(&self) -> SpanId {
        DECIDED.get().map_or_else(random_span_id, |ids| ids.span_id)
    }
}
