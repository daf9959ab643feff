//! What is told of the parked table: in metrics, and in traces.

use std::time::SystemTime;

use duet_protocol::event::Event;
use duet_protocol::receive::Outcome;
use duet_telemetry::instruments::Letters;

use super::{Receiver, ReceivingService};
use crate::store::Store;
use crate::transport::spans::later::{self, Attempt};

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// This was done with so many letters, durably.
    pub(crate) fn told(&self, done: Letters, events: usize) {
        let instruments = &self.0.observer.instruments;
        instruments.letters(done, events as u64);
    }

    /// Of events that were received, so many are new in the parked table.
    pub(super) fn told_parked(&self, parked: usize, outcomes: &[Outcome]) {
        self.told(Letters::Parked, parked);
        // Second copies of dead letters are answered alike, and are not new.
        self.told(Letters::Dead, dead(outcomes).min(parked));
    }

    /// Events of the parked table were tried in a transaction that began and was durable at these times.
    pub(super) fn told_tried(
        &self,
        why: Attempt,
        events: &[Event],
        outcomes: &[Outcome],
        (began, durable): (SystemTime, SystemTime),
    ) {
        self.told(Letters::Dead, dead(outcomes));
        let tracer = &self.0.observer.tracer;
        let now = self.0.clock.wall();
        for tried in events.iter().zip(outcomes) {
            let span = later::begin(tracer, why, tried.0, now, began);
            let describe = |event: &Event| self.0.service.describe(event);
            later::end(span, tracer, why, tried, describe, durable);
        }
    }
}

fn dead(outcomes: &[Outcome]) -> usize {
    let is_dead = |outcome: &&Outcome| **outcome == Outcome::Dead;
    outcomes.iter().filter(is_dead).count()
}
