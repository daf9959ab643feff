//! What becomes of an event after it was received: it is tried again from the parked table, redriven, or run as a job.

use std::time::SystemTime;

use duet_protocol::event::Event;
use duet_protocol::receive::Outcome;
use duet_protocol::time::Timestamp;
use duet_telemetry::names::span::{self, SpanName};
use duet_telemetry::{Span, Tracer};
use opentelemetry::KeyValue;

use super::receiving::{described, letter};
use super::{context, is_late};

/// Why an event that was received is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is due again.
    Again,
    /// A person said so.
    Redrive,
    /// It is a job.
    Job {
        /// A person said that it is to be run again.
        redriven: bool,
    },
}

impl Attempt {
    fn span(self) -> SpanName<'static> {
        match self {
            Attempt::Again => span::APPLY_REACTION,
            Attempt::Redrive => span::REDRIVE_REACTION,
            Attempt::Job { .. } => span::RUN_JOB,
        }
    }
}

/// The span of an attempt that began: in the trace that the event was created in, or, where it comes late, of a new one that is
/// linked to that.
pub(crate) fn begin(
    tracer: &Tracer,
    why: Attempt,
    event: &Event,
    now: Timestamp,
    began: SystemTime,
) -> Span {
    let created = context(&event.trace);
    let redriven = matches!(why, Attempt::Redrive | Attempt::Job { redriven: true });
    let start = match redriven || is_late(event, now) {
        true => tracer.exceptional(why.span(), &created),
        false => tracer.child(why.span(), &created),
    };
    start.start_at(began)
}

/// The attempt ended, durably. What made a dead letter is recorded even where it was not sampled, within the budget for that.
pub(crate) fn end(
    mut span: Span,
    tracer: &Tracer,
    why: Attempt,
    (event, outcome): (&Event, &Outcome),
    describe: impl Fn(&Event) -> Vec<KeyValue>,
    ended: SystemTime,
) {
    if *outcome == Outcome::Dead {
        span.record_anyway(tracer, &why.span());
    }
    span.attributes(|| described(event, outcome, &describe));
    letter(&span, outcome);
    match outcome {
        Outcome::Parked => span.fail("parked", || "it failed, and is tried again".to_owned()),
        Outcome::Dead => span.fail("dead", || "its attempts are used up".to_owned()),
        _ => {}
    }
    span.end_at(ended);
}
