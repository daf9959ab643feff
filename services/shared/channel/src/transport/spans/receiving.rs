//! The receiving half.

use std::time::SystemTime;

use duet_protocol::event::Event;
use duet_protocol::receive::Outcome;
use duet_protocol::settings::TracesAsync;
use duet_telemetry::instruments::{Destination, Instruments};
use duet_telemetry::names::{attribute, event, span, span::SpanName};
use duet_telemetry::{Span, Tracer};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

use super::{context, is_sampled};
use crate::transport::cloudevents::outcome_word;

/// The spans of events while they are received. They end when this is dropped.
#[derive(Debug)]
pub struct Receiving {
    from: From,
    arrived: SystemTime,
    /// One for each event, `None` where nothing is recorded; empty if no event has a recorded span of its own.
    parts: Vec<Option<Span>>,
}

#[derive(Debug)]
enum From {
    /// A request; its SERVER span.
    Request(Context),
    /// Messages on a destination.
    Messages {
        destination: Destination,
        several: bool,
    },
}

impl Receiving {
    /// Events of one request. `request` holds its SERVER span, which is the caller's to end.
    ///
    /// One event's processing is inside the SERVER span itself.
    pub fn request(
        tracer: &Tracer,
        request: Context,
        events: &[Event],
        arrived: SystemTime,
    ) -> Self {
        let mut parts = Vec::new();
        if events.len() > 1 && events.iter().any(|event| is_sampled(&event.trace)) {
            let server = request.span();
            let begin = |event: &Event| {
                is_sampled(&event.trace).then(|| {
                    let part = tracer
                        .child(span::RECEIVE_REACTION, &context(&event.trace))
                        .start_at(arrived);
                    if server.is_recording() {
                        part.link(server.span_context());
                        server.add_link(part.span_context().clone(), Vec::new());
                    }
                    part
                })
            };
            parts = events.iter().map(begin).collect();
        }
        Receiving {
            from: From::Request(request),
            arrived,
            parts,
        }
    }

    /// Events that were taken from a broker at once: asked for from `asked` on, there at `arrived`.
    pub fn messages(
        tracer: &Tracer,
        destination: &Destination,
        traces: TracesAsync,
        events: &[Event],
        (asked, arrived): (SystemTime, SystemTime),
    ) -> Self {
        let mut parts = Vec::new();
        if events.iter().any(|event| is_sampled(&event.trace)) {
            let begin = |event: &Event| {
                is_sampled(&event.trace).then(|| {
                    let parent = context(&event.trace);
                    let name = span::process(&destination.name);
                    let process = match traces {
                        TracesAsync::Continue => tracer.child(name, &parent).start_at(arrived),
                        TracesAsync::Link => tracer.shared(name, [&parent]).start_at(arrived),
                    };
                    process.attributes(|| messaging(destination, "process"));
                    process
                })
            };
            parts = events.iter().map(begin).collect();
        }
        let receiving = Receiving {
            from: From::Messages {
                destination: destination.clone(),
                several: events.len() > 1,
            },
            arrived,
            parts,
        };
        let name = span::receive(&destination.name);
        if let Some(receive) = receiving.shared(tracer, name, "receive", asked) {
            receive.end_at(arrived);
        }
        receiving
    }

    /// Begins to settle the messages; the span ends when it is dropped. `None` where nothing is recorded.
    pub fn settle(&self, tracer: &Tracer) -> Option<Span> {
        match &self.from {
            From::Messages { destination, .. } => {
                let name = span::settle(&destination.name);
                self.shared(tracer, name, "settle", SystemTime::now())
            }
            From::Request(_) => None,
        }
    }

    fn shared(
        &self,
        tracer: &Tracer,
        name: SpanName<'_>,
        operation: &'static str,
        began: SystemTime,
    ) -> Option<Span> {
        let From::Messages {
            destination,
            several: true,
        } = &self.from
        else {
            return None;
        };
        if self.parts.is_empty() {
            return None;
        }
        let parts = || self.parts.iter().flatten();
        let shared = tracer
            .shared(name, parts().map(Span::span_context))
            .start_at(began);
        shared.attributes(|| {
            let count = KeyValue::new(
                attribute::MESSAGING_BATCH_MESSAGE_COUNT,
                self.parts.len() as i64,
            );
            messaging(destination, operation).into_iter().chain([count])
        });
        if shared.is_recording() {
            parts().for_each(|part| part.link(shared.span_context()));
        }
        Some(shared)
    }

    /// What became of the events, by a transaction that began and was durable at these times: an `apply reaction` in each recorded
    /// trace, and each outcome on the event's own span. `describe` gives the service's own attributes, of recorded events only.
    ///
    /// What failed is recorded even where it was not sampled, within the budget for that.
    pub fn applied(
        &mut self,
        tracer: &Tracer,
        events: &[Event],
        outcomes: &[Outcome],
        (began, durable): (SystemTime, SystemTime),
        describe: impl Fn(&Event) -> Vec<KeyValue>,
    ) {
        for (index, (event, outcome)) in events.iter().zip(outcomes).enumerate() {
            let has_span_of_its_own = events.len() > 1 || !matches!(self.from, From::Request(_));
            let failed = matches!(
                outcome,
                Outcome::Failed(_) | Outcome::Parked | Outcome::Dead
            );
            if has_span_of_its_own && failed && !is_sampled(&event.trace) {
                self.record_failure(tracer, index, event, events.len());
            }
            let request = match &self.from {
                From::Request(context) if events.len() == 1 => Some(context.span()),
                _ => None,
            };
            let own = self.part(index);
            let parent = match (own, &request) {
                (Some(own), _) if own.is_recording() => own.span_context(),
                (None, Some(request)) if request.is_recording() => request.span_context(),
                _ => continue,
            };
            let apply = tracer.child(span::APPLY_REACTION, parent).start_at(began);
            let described = || {
                let mode = KeyValue::new(attribute::MODE, self.mode());
                [described(event, outcome, &describe), vec![mode]].concat()
            };
            apply.attributes(described);
            match (own, request) {
                (Some(own), _) => own.attributes(described),
                (None, Some(request)) => request.set_attributes(described()),
                (None, None) => {}
            }
            match outcome {
                Outcome::Failed(failure) => {
                    apply.fail("failed", || failure.cause.to_string());
                    if let Some(own) = own {
                        own.fail("failed", || failure.cause.to_string());
                    }
                }
                _ => letter(&apply, outcome),
            }
            apply.end_at(durable);
        }
    }

    fn part(&self, index: usize) -> Option<&Span> {
        self.parts.get(index).and_then(Option::as_ref)
    }

    fn record_failure(&mut self, tracer: &Tracer, index: usize, event: &Event, of: usize) {
        let parent = context(&event.trace);
        let name = match &self.from {
            From::Request(_) => span::RECEIVE_REACTION,
            From::Messages { destination, .. } => span::process(&destination.name),
        };
        let mut span = tracer.child(name.clone(), &parent).start_at(self.arrived);
        if span.record_anyway(tracer, &name) {
            self.parts.resize_with(of, || None);
            self.parts[index] = Some(span);
        }
    }

    /// The mode that the events took.
    fn mode(&self) -> &'static str {
        match self.from {
            From::Request(_) => "sync",
            From::Messages { .. } => "async",
        }
    }
}

/// Counts what became of a batch's events.
pub fn count(instruments: &Instruments, outcomes: &[Outcome]) {
    for alike in outcomes.chunk_by(|one, next| outcome_word(one) == outcome_word(next)) {
        instruments.received(outcome_word(&alike[0]), alike.len() as u64);
    }
}

/// The conventions' attributes of what is done with messages.
fn messaging(destination: &Destination, operation: &'static str) -> [KeyValue; 4] {
    [
        KeyValue::new(attribute::MESSAGING_SYSTEM, destination.system),
        KeyValue::new(
            attribute::MESSAGING_DESTINATION_NAME,
            destination.name.clone(),
        ),
        KeyValue::new(attribute::MESSAGING_OPERATION_NAME, operation),
        KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, operation),
    ]
}

/// That an event could not be applied, and is kept.
pub(super) fn letter(span: &Span, outcome: &Outcome) {
    match outcome {
        Outcome::Parked => span.event(event::PARKED, || []),
        Outcome::Dead => span.event(event::DEAD, || []),
        _ => {}
    }
}

pub(super) fn described(
    event: &Event,
    outcome: &Outcome,
    describe: &impl Fn(&Event) -> Vec<KeyValue>,
) -> Vec<KeyValue> {
    let mut attributes = describe(event);
    attributes.extend([
        KeyValue::new(attribute::OUTCOME, outcome_word(outcome)),
        KeyValue::new(attribute::SOURCE, event.source.to_string()),
        KeyValue::new(attribute::SEQUENCE, event.sequence.0.cast_signed()),
        KeyValue::new(attribute::GENERATION, event.generation.0.cast_signed()),
    ]);
    attributes
}
