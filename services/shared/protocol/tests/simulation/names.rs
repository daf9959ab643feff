//! Under which names a process publishes, and in which order: what got no answer goes again under its own, so that a broker that has
//! it drops the second; what was answered never goes again under its name, since a broker would drop that, too. And what a failed call
//! wrote goes out only once that has which takes it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duet_protocol::event::{Event, EventId};
use duet_protocol::sender::{MessageId, Path, Policy, Sent, Transmission, TransmissionId};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Names {
    under_way: BTreeMap<TransmissionId, (MessageId, Vec<Arc<Event>>)>,
    answered: BTreeSet<TransmissionId>,
    /// The events that go on to wait for an answer, by the receiver's number.
    unanswered: BTreeMap<(usize, EventId), MessageId>,
    /// What waits for that which takes it back, by the receiver's number.
    behind: BTreeMap<(usize, EventId), EventId>,
}

impl Names {
    /// A receiver is sent something.
    pub(crate) fn sends(&mut self, node: usize, transmission: &Transmission) -> Result<(), String> {
        for (event, _) in &transmission.events {
            let id = event.id();
            if let Some(by) = self.behind.get(&(node, id)) {
                return Err(format!(
                    "{id:?} goes out before {by:?}, which takes it back"
                ));
            }
        }
        let goes = |by: &EventId| transmission.events.iter().any(|(it, _)| it.id() == *by);
        self.behind.retain(|(to, _), by| *to != node || !goes(by));
        match transmission.path {
            Path::Broker => self.publishes(node, transmission),
            Path::Call => Ok(()),
        }
    }

    fn publishes(&mut self, node: usize, transmission: &Transmission) -> Result<(), String> {
        let message = transmission.message;
        let events = transmission.events.iter().map(|(event, _)| event.clone());
        let events: Vec<Arc<Event>> = events.collect();
        if self.answered.contains(&transmission.id) {
            return Err(format!("{message} was answered, and is published again"));
        }
        for event in &events {
            let before = self.unanswered.get(&(node, event.id()));
            if let Some(before) = before.filter(|before| **before != message) {
                return Err(format!("{before} was not answered, and goes as {message}"));
            }
        }
        self.under_way.insert(transmission.id, (message, events));
        Ok(())
    }

    pub(crate) fn sent(&mut self, node: usize, id: TransmissionId, sent: &Sent, policy: &Policy) {
        let Some((message, events)) = self.under_way.remove(&id) else {
            return; // it was no publish
        };
        let mut all = events.iter();
        let goes_on = *sent == Sent::Unknown && all.all(|it| policy.path_of(it) == Path::Broker);
        for event in &events {
            match goes_on {
                true => self.unanswered.insert((node, event.id()), message),
                false => self.unanswered.remove(&(node, event.id())),
            };
        }
        if matches!(sent, Sent::Stored(_)) {
            self.answered.insert(id);
        }
    }

    /// A failed call is taken back. Where a receiver joined in between, it is of another source, and no order holds between the two.
    pub(crate) fn takes_back(&mut self, call: EventId, by: EventId, node: usize) {
        if call.source == by.source {
            self.behind.insert((node, call), by);
        }
    }

    /// Events may go another way now, or to others, or again though they had been received: what was to come next need not.
    pub(crate) fn may_change(&mut self) {
        self.unanswered.clear();
        self.behind.clear();
    }
}
