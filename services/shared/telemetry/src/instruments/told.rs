use std::{sync::Arc, time::Duration};

use opentelemetry::KeyValue;

use crate::names::attribute;

/// Where messages go to and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The conventions' `messaging.system`, such as `nats`.
    pub system: &'static str,
    /// The subject, topic or queue.
    pub name: Arc<str>,
}

impl Destination {
    pub(super) fn operation(&self, name: &'static str) -> [KeyValue; 3] {
        [
            KeyValue::new(attribute::MESSAGING_SYSTEM, self.system),
            KeyValue::new(attribute::MESSAGING_DESTINATION_NAME, self.name.clone()),
            KeyValue::new(attribute::MESSAGING_OPERATION_NAME, name),
        ]
    }
}

/// By how many events the ledger of each receiver does not balance.
pub type Imbalances = Vec<(Arc<str>, u64)>;

/// What is done with events that could not be applied at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// Put into the parked table: to be tried again, or run as jobs.
    Parked,
    /// Their attempts are used up.
    Dead,
    /// Tried again, or queued as jobs, because a person said so.
    Redriven,
    /// Taken out for ever, because a person said so.
    Discarded,
}

impl Letters {
    /// As metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Letters::Parked => "parked",
            Letters::Dead => "dead",
            Letters::Redriven => "redriven",
            Letters::Discarded => "discarded",
        }
    }
}

/// What one receiver has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// Its name.
    pub receiver: Arc<str>,
    /// Events.
    pub unacknowledged: u64,
    /// How long ago the oldest of them was accepted; zero if there is none.
    pub oldest_age: Duration,
}

/// What a receiver keeps apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Events in the parked table that are to be tried again.
    pub parked: u64,
    /// Events in it that are not.
    pub dead: u64,
}
