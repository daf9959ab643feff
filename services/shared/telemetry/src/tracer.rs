//! Starts spans.

use std::{sync::Arc, time::SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan};

use crate::{
    ids::{self, Ids},
    names::{attribute, span::SpanName},
    sampler::Origin,
    should_sample::Clocked,
    span::{Span, Unrecorded},
};

/// The most links that a span keeps; a batch has up to 256 events. (The SDK's own limit is 128.)
pub const MAX_LINKS: u32 = 512;

/// Starts spans. Cheap to clone; the default one records nothing.
///
/// A span that isn't recorded costs its ids if it begins a trace, and next to nothing if it continues one. Its context goes on
/// in any case: without a collector a caller's `traceparent` reaches the callee as it came.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    sdk: SdkTracer,
    sampler: Arc<Clocked>,
}

impl Tracer {
    /// A tracer of `provider`, which must have been made with this crate's sampler and ids.
    pub(crate) fn recording(provider: &SdkTracerProvider, sampler: Arc<Clocked>) -> Self {
        Self(Some(Arc::new(Recorder {
            sdk: provider.tracer(env!("CARGO_PKG_NAME")),
            sampler,
        })))
    }

    /// A span that begins a trace.
    pub fn root<'a>(&'a self, name: SpanName<'a>) -> SpanStart<'a> {
        self.entry(name, None)
    }

    /// A span within a trace. If `parent` isn't valid, it begins one.
    pub fn child<'a>(&'a self, name: SpanName<'a>, parent: &'a SpanContext) -> SpanStart<'a> {
        self.entry(name, Some(parent))
    }

    /// A span in which this service is entered: the caller's trace goes on, or one begins.
    pub fn entry<'a>(
        &'a self,
        name: SpanName<'a>,
        caller: Option<&'a SpanContext>,
    ) -> SpanStart<'a> {
        let parent = caller.filter(|caller| caller.is_valid());
        SpanStart {
            tracer: self,
            name,
            parent,
            origin: parent.map_or(Origin::Ordinary, |parent| Origin::Decided {
                sampled: parent.is_sampled(),
            }),
            cause: None,
            sharers: Vec::new(),
        }
    }

    /// A span of something that several traces share (a request, a message, a commit). It begins a trace of its own, recorded
    /// only if one of theirs is, and linked to those. For the way back, [link](Span::link) theirs to this one. Of a single trace
    /// it is a trace that is linked to it instead of going on in it.
    pub fn shared<'a>(
        &'a self,
        name: SpanName<'a>,
        by: impl IntoIterator<Item = &'a SpanContext>,
    ) -> SpanStart<'a> {
        let sharers: Vec<_> = by.into_iter().filter(|trace| trace.is_sampled()).collect();
        SpanStart {
            origin: Origin::Decided {
                sampled: !sharers.is_empty(),
            },
            sharers,
            ..self.root(name)
        }
    }

    /// A span of what comes late (a retransmission, a redrive, an event over ten minutes old): it begins a trace, recorded
    /// within the exceptional budget, and linked to the one that `cause` is of.
    pub fn exceptional<'a>(&'a self, name: SpanName<'a>, cause: &'a SpanContext) -> SpanStart<'a> {
        SpanStart {
            origin: Origin::Exceptional,
            cause: Some(cause),
            ..self.root(name)
        }
    }

    /// See [`Span::record_anyway`].
    pub(crate) fn record_late(
        &self,
        name: &SpanName<'_>,
        identity: &SpanContext,
        late: Unrecorded,
    ) -> Option<SdkSpan> {
        let recorder = self.0.as_ref()?;
        let trace_id = identity.trace_id();
        if !recorder.sampler.decide(Origin::Exceptional, trace_id) {
            return None;
        }
        let (span_id, parent) = if late.began_trace {
            (identity.span_id(), None)
        } else {
            (ids::random_span_id(), Some(identity))
        };
        let mut span = recorder.record(name, Ids { trace_id, span_id }, parent, late.started);
        if !span.span_context().is_valid() {
            return None;
        }
        span.set_attribute(exceptional());
        Some(span)
    }
}

impl Recorder {
    fn record(
        &self,
        name: &SpanName<'_>,
        ids: Ids,
        parent: Option<&SpanContext>,
        at: Option<SystemTime>,
    ) -> SdkSpan {
        let mut builder = SpanBuilder::from_name(name.text()).with_kind(name.kind());
        builder.start_time = at;
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        ids::decided(ids, || self.sdk.build_with_context(builder, &context))
    }
}

fn exceptional() -> KeyValue {
    KeyValue::new(attribute::SAMPLING, attribute::SAMPLING_EXCEPTIONAL)
}

/// A span about to start.
#[derive(Debug)]
#[must_use = "a span starts with `start` or `start_at`"]
pub struct SpanStart<'a> {
    tracer: &'a Tracer,
    name: SpanName<'a>,
    parent: Option<&'a SpanContext>,
    origin: Origin,
    cause: Option<&'a SpanContext>,
    sharers: Vec<&'a SpanContext>,
}

impl SpanStart<'_> {
    /// Starts it now.
    pub fn start(self) -> Span {
        self.start_when(None)
    }

    /// Starts it at a moment that has been: for what is known to have begun only later, such as one event's part of a batch.
    pub fn start_at(self, at: SystemTime) -> Span {
        self.start_when(Some(at))
    }

    fn start_when(self, at: Option<SystemTime>) -> Span {
        let ids = self.parent.map_or_else(Ids::random, |parent| Ids {
            trace_id: parent.trace_id(),
            span_id: SpanId::INVALID,
        });
        match &self.tracer.0 {
            Some(recorder) if recorder.sampler.decide(self.origin, ids.trace_id) => {
                self.record(recorder, ids, at)
            }
            _ => self.pass_on(ids, at),
        }
    }

    fn record(self, recorder: &Recorder, ids: Ids, at: Option<SystemTime>) -> Span {
        let ids = match self.parent {
            Some(_) => Ids {
                span_id: ids::random_span_id(),
                ..ids
            },
            None => ids,
        };
        let mut span = recorder.record(&self.name, ids, self.parent, at);
        if !span.span_context().is_valid() {
            // The tracer has been shut down.
            return self.pass_on(ids, at);
        }
        if self.origin == Origin::Exceptional {
            span.set_attribute(exceptional());
        }
        for link in self.cause.into_iter().chain(self.sharers) {
            if link.is_valid() {
                span.add_link(link.clone(), Vec::new());
            }
        }
        Span::recorded(span)
    }

    fn pass_on(self, ids: Ids, at: Option<SystemTime>) -> Span {
        let identity = match self.parent {
            Some(parent) => parent.clone(),
            None => SpanContext::new(
                ids.trace_id,
                ids.span_id,
                TraceFlags::NOT_SAMPLED,
                false,
                TraceState::NONE,
            ),
        };
        let span = Unrecorded {
            began_trace: self.parent.is_none(),
            // Only entries are ever recorded late; a clock read for each other span would be for nothing.
            started: at.or_else(|| self.name.is_entry().then(SystemTime::now)),
        };
        Span::unrecorded(identity, span)
    }
}
