//! The sending half.

use std::borrow::Cow;

use duet_protocol::event::Event;
use duet_telemetry::names::{attribute, span::SpanName};
use duet_telemetry::{Span, Tracer};
use opentelemetry::KeyValue;

use super::{context, is_sampled};
use crate::transport::cloudevents::Carried;
use crate::transport::{Batch, Outgoing};

/// What a transport calls its spans.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    /// The request or message with one event.
    pub one: SpanName<'a>,
    /// One event's part of a request or message with several.
    pub part: SpanName<'a>,
    /// The request or message with several.
    pub whole: SpanName<'a>,
}

/// The spans of a batch while it is being sent. They end when this is dropped.
#[derive(Debug)]
pub struct Sending<'a> {
    batch: &'a Batch,
    /// One for each event, `None` where nothing is recorded; empty if nothing of the batch is.
    parts: Vec<Option<Span>>,
    /// What several share.
    whole: Option<Span>,
}

impl<'a> Sending<'a> {
    /// Begins to send.
    pub fn begin(tracer: &Tracer, names: Names<'_>, batch: &'a Batch) -> Self {
        let is_traced = |outgoing: &Outgoing| outgoing.late || is_sampled(&outgoing.event.trace);
        let several = batch.events.len() > 1;
        let name = if several { &names.part } else { &names.one };
        let parts: Vec<Option<Span>> = if batch.events.iter().any(is_traced) {
            batch
                .events
                .iter()
                .map(|outgoing| is_traced(outgoing).then(|| start(tracer, name.clone(), outgoing)))
                .collect()
        } else {
            Vec::new()
        };
        let contexts = parts.iter().flatten().map(Span::span_context);
        let whole = several.then(|| tracer.shared(names.whole, contexts).start());
        if let Some(whole) = whole.as_ref().filter(|whole| whole.is_recording()) {
            for part in parts.iter().flatten() {
                part.link(whole.span_context());
            }
        }
        let sending = Sending {
            batch,
            parts,
            whole,
        };
        sending.describe(|event| {
            let several = || {
                vec![KeyValue::new(
                    attribute::BATCH_SIZE,
                    sending.batch.events.len() as i64,
                )]
            };
            event.map_or_else(several, event_attributes)
        });
        sending
    }

    /// What the event at `index` of the batch travels under.
    pub fn carried(&self, index: usize) -> Carried<'_> {
        match self.parts.get(index) {
            Some(Some(span)) => Carried::Span(span.span_context()),
            _ => Carried::AsCreated(&self.batch.events[index].event.trace),
        }
    }

    /// What the request or message itself travels under.
    pub fn whole(&self) -> Carried<'_> {
        match &self.whole {
            Some(span) => Carried::Span(span.span_context()),
            None => self.carried(0),
        }
    }

    /// Sets attributes of each span that is recorded: of each event's, and of what they share (`None`). What one event has alone
    /// is described as the event's.
    pub fn describe(&self, attributes: impl Fn(Option<&Event>) -> Vec<KeyValue>) {
        if let Some(whole) = &self.whole {
            whole.attributes(|| attributes(None));
        }
        for (span, outgoing) in self.parts.iter().zip(&self.batch.events) {
            if let Some(span) = span {
                span.attributes(|| attributes(Some(&outgoing.event)));
            }
        }
    }

    /// Sets an attribute of each event's span that is recorded.
    pub fn describe_each(&self, attribute: impl Fn(usize) -> Option<KeyValue>) {
        for (index, span) in self.parts.iter().enumerate() {
            if let Some(span) = span {
                span.attributes(|| attribute(index));
            }
        }
    }

    /// Marks all as failed. `error` is the conventions' `error.type`.
    pub fn fail(&self, error: impl Into<Cow<'static, str>>, why: &str) {
        let error = error.into();
        for span in self.whole.iter().chain(self.parts.iter().flatten()) {
            span.fail(error.clone(), || why.to_owned());
        }
    }
}

fn start(tracer: &Tracer, name: SpanName<'_>, outgoing: &Outgoing) -> Span {
    let created = context(&outgoing.event.trace);
    if outgoing.late {
        tracer.exceptional(name, &created).start()
    } else {
        tracer.child(name, &created).start()
    }
}

fn event_attributes(event: &Event) -> Vec<KeyValue> {
    vec![
        KeyValue::new(attribute::SOURCE, event.source.to_string()),
        KeyValue::new(attribute::SEQUENCE, event.sequence.0.cast_signed()),
        KeyValue::new(attribute::GENERATION, event.generation.0.cast_signed()),
    ]
}
