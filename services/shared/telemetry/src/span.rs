//! One span.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, SpanRef, Status, TraceContextExt},
};
use opentelemetry_sdk::trace::Span as SdkSpan;

use crate::{
    names::{attribute, span::SpanName},
    tracer::Tracer,
};

/// A span, recorded or not; it ends when it is dropped, if not before.
///
/// What describes it is given as closures, which are called only if it is recorded.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    state: State,
    /// What callees are told of it.
    identity: SpanContext,
}

#[derive(Debug)]
enum State {
    /// A context with the SDK's span.
    Recorded(Context),
    Unrecorded(Unrecorded),
}

/// What is left of a span that isn't recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unrecorded {
    /// Whether its identity is its own; else it is its parent's.
    pub(crate) began_trace: bool,
    pub(crate) started: Option<SystemTime>,
}

impl Span {
    pub(crate) fn recorded(span: SdkSpan) -> Self {
        let context = Context::new().with_span(span);
        Self {
            identity: context.span().span_context().clone(),
            state: State::Recorded(context),
        }
    }

    pub(crate) fn unrecorded(identity: SpanContext, span: Unrecorded) -> Self {
        Self {
            identity,
            state: State::Unrecorded(span),
        }
    }

    /// What children, callees and stored events continue. If the span isn't recorded and didn't begin the trace, this is its
    /// parent's, so that what is recorded further on has a parent that is.
    pub fn span_context(&self) -> &SpanContext {
        &self.identity
    }

    /// A context to attach, or to give to `FutureExt::with_context`: log lines name the trace, and [`describe`] and
    /// [`current`] mean this span. The span ends no later for it.
    pub fn context(&self) -> Context {
        match &self.state {
            State::Recorded(context) => context.clone(),
            State::Unrecorded(_) => Context::new().with_remote_span_context(self.identity.clone()),
        }
    }

    /// Whether anything said of it is kept.
    pub fn is_recording(&self) -> bool {
        self.sdk().is_some()
    }

    fn sdk(&self) -> Option<SpanRef<'_>> {
        match &self.state {
            State::Recorded(context) => Some(context.span()),
            State::Unrecorded(_) => None,
        }
    }

    /// Sets attributes.
    pub fn attributes<I: IntoIterator<Item = KeyValue>>(&self, attributes: impl FnOnce() -> I) {
        if let Some(span) = self.sdk() {
            span.set_attributes(attributes());
        }
    }

    /// Adds an event, now; its name is one of [`names::event`](crate::names::event).
    pub fn event<I: IntoIterator<Item = KeyValue>>(
        &self,
        name: &'static str,
        attributes: impl FnOnce() -> I,
    ) {
        if let Some(span) = self.sdk() {
            span.add_event(name, attributes().into_iter().collect());
        }
    }

    /// Links it to another trace's span, up to [`MAX_LINKS`](crate::MAX_LINKS) in all.
    pub fn link(&self, to: &SpanContext) {
        if let Some(span) = self.sdk()
            && to.is_valid()
        {
            span.add_link(to.clone(), Vec::new());
        }
    }

    /// Gives it another name; its kind stays. For an entry whose route is known only later.
    pub fn rename(&self, name: &SpanName<'_>) {
        if let Some(span) = self.sdk() {
            span.update_name(name.text());
        }
    }

    /// Marks it as failed. `error` is the conventions' `error.type`: a short, fixed word or a status code.
    pub fn fail(&self, error: impl Into<Cow<'static, str>>, why: impl FnOnce() -> String) {
        if let Some(span) = self.sdk() {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error.into()));
            span.set_status(Status::error(why()));
        }
    }

    /// Records an entry span after all, because its operation failed, if the budget for what is exceptional allows; tells
    /// whether it is recorded now. Attributes set before are lost: call this first, then [`fail`](Self::fail) and describe it.
    ///
    /// The span keeps its trace, start and the ids that callees and the caller have been told. So the trace id in an error's
    /// answer is one that can be found; and where a callee records its own part for the same reason, both are one trace.
    /// What was inside of it is not there.
    pub fn record_anyway(&mut self, tracer: &Tracer, name: &SpanName<'_>) -> bool {
        if let State::Unrecorded(late) = self.state
            && let Some(span) = tracer.record_late(name, &self.identity, late)
        {
            *self = Self::recorded(span);
        }
        self.is_recording()
    }

    /// Ends it now.
    pub fn end(self) {}

    /// Ends it at a moment that has been.
    pub fn end_at(self, at: SystemTime) {
        if let Some(span) = self.sdk() {
            span.end_with_timestamp(at);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Its context may live on elsewhere.
        if let Some(span) = self.sdk() {
            span.end();
        }
    }
}

/// Which span is current: of the context that is attached to this thread, or of the future that is polled. Invalid if none is.
pub fn current() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

/// Sets attributes of the current span, if it is recorded.
pub fn describe<I: IntoIterator<Item = KeyValue>>(attributes: impl FnOnce() -> I) {
    Context::map_current(|context| {
        let span = context.span();
        if span.is_recording() {
            span.set_attributes(attributes());
        }
    });
}
