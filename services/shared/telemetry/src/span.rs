//! One span.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanContext, Status, TraceContextExt},
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
pub struct Span(State);

#[derive(Debug)]
enum State {
    Recorded(Box<SdkSpan>),
    Unrecorded(Unrecorded),
}

/// What is left of a span that isn't recorded.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    /// What goes on to callees: its own ids if it began the trace, else its parent's.
    pub(crate) context: SpanContext,
    pub(crate) began_trace: bool,
    pub(crate) started: Option<SystemTime>,
}

impl Span {
    pub(crate) fn recorded(span: SdkSpan) -> Self {
        Self(State::Recorded(Box::new(span)))
    }

    pub(crate) fn unrecorded(span: Unrecorded) -> Self {
        Self(State::Unrecorded(span))
    }

    /// What children, callees and stored events continue. If the span isn't recorded and didn't begin the trace, this is its
    /// parent's, so that what is recorded further on has a parent that is.
    pub fn span_context(&self) -> &SpanContext {
        match &self.0 {
            State::Recorded(span) => span.span_context(),
            State::Unrecorded(span) => &span.context,
        }
    }

    /// A context to attach (or to give to `FutureExt::with_context`), so that log lines name the trace.
    pub fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.span_context().clone())
    }

    /// Whether anything said of it is kept.
    pub fn is_recording(&self) -> bool {
        matches!(self.0, State::Recorded(_))
    }

    /// Sets attributes.
    pub fn attributes<I: IntoIterator<Item = KeyValue>>(&mut self, attributes: impl FnOnce() -> I) {
        if let State::Recorded(span) = &mut self.0 {
            span.set_attributes(attributes());
        }
    }

    /// Adds an event, now; its name is one of [`names::event`](crate::names::event).
    pub fn event<I: IntoIterator<Item = KeyValue>>(
        &mut self,
        name: &'static str,
        attributes: impl FnOnce() -> I,
    ) {
        if let State::Recorded(span) = &mut self.0 {
            span.add_event(name, attributes().into_iter().collect());
        }
    }

    /// Links it to another trace's span, up to [`MAX_LINKS`](crate::MAX_LINKS) in all.
    pub fn link(&mut self, to: &SpanContext) {
        if let State::Recorded(span) = &mut self.0
            && to.is_valid()
        {
            span.add_link(to.clone(), Vec::new());
        }
    }

    /// Gives it another name; its kind stays. For an entry whose route is known only later.
    pub fn rename(&mut self, name: &SpanName<'_>) {
        if let State::Recorded(span) = &mut self.0 {
            span.update_name(name.text());
        }
    }

    /// Marks it as failed. `error` is the conventions' `error.type`: a short, fixed word or a status code.
    pub fn fail(&mut self, error: impl Into<Cow<'static, str>>, why: impl FnOnce() -> String) {
        if let State::Recorded(span) = &mut self.0 {
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
        if let State::Unrecorded(late) = &self.0
            && let Some(span) = tracer.record_late(name, late)
        {
            self.0 = State::Recorded(Box::new(span));
        }
        self.is_recording()
    }

    /// Ends it now.
    pub fn end(self) {}

    /// Ends it at a moment that has been.
    pub fn end_at(mut self, at: SystemTime) {
        if let State::Recorded(span) = &mut self.0 {
            span.end_with_timestamp(at);
        }
    }
}
