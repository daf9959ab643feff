//! Under which names a process publishes, and in which order: what got no answer goes again under its own, so that a broker that has
//! it drops the second; what was answered never goes again under its name, since a broker would drop that, too. And what a failed call
//! wrote goes out only once that has which takes it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duet_protocol::event::{Event, EventId};
use duet_protocol::outbox::Mark;
use duet_protocol::sender::{MessageId, Path, Policy, Sent, Transmission, TransmissionId, Urgency};
use duet_protocol::sequence::Source;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Names {
    under_way: BTreeMap<TransmissionId, (Path, MessageId, Vec<Arc<Event>>)>,
    answered: BTreeSet<TransmissionId>,
    /// The events that go on to wait for an answer, by the receiver's number.
    unanswered: BTreeMap<(usize, EventId), MessageId>,
    /// What was under way when it came to be sent anew: the two go on beside each other, each under its name.
    beside: BTreeSet<EventId>,
    /// What is called for and was not answered for good, by the receiver's number.
    called: BTreeSet<(usize, EventId)>,
    /// What was answered for good, or covered by a receipt, by the receiver's number: after it was put back it may be shown again.
    seen: BTreeSet<(usize, EventId)>,
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
        if transmission.path == Path::Broker {
            self.keeps_its_name(node, transmission)?;
        }
        if transmission.urgency != Urgency::Background {
            let called = transmission.events.iter();
            self.called.extend(called.map(|(it, _)| (node, it.id())));
        }
        let events = transmission.events.iter().map(|(event, _)| event.clone());
        let sending = (transmission.path, transmission.message, events.collect());
        self.under_way.insert(transmission.id, sending);
        Ok(())
    }

    fn keeps_its_name(&self, node: usize, transmission: &Transmission) -> Result<(), String> {
        let message = transmission.message;
        if self.answered.contains(&transmission.id) {
            return Err(format!("{message} was answered, and is published again"));
        }
        for (event, _) in &transmission.events {
            let before = self.unanswered.get(&(node, event.id()));
            if let Some(before) = before.filter(|before| **before != message) {
                return Err(format!("{before} was not answered, and goes as {message}"));
            }
        }
        Ok(())
    }

    pub(crate) fn sent(&mut self, node: usize, id: TransmissionId, sent: &Sent, policy: &Policy) {
        let Some((path, message, events)) = self.under_way.remove(&id) else {
            return;
        };
        if let Sent::Answered(outcomes) = sent {
            let answered = events.iter().zip(outcomes);
            for (event, _) in answered.filter(|(_, outcome)| outcome.is_final()) {
                self.sees((node, event.id()));
            }
        }
        if path == Path::Call {
            return;
        }
        let mut all = events.iter();
        let goes_on = *sent == Sent::Unknown && all.all(|it| policy.path_of(it) == path);
        for event in &events {
            match goes_on && !self.beside.contains(&event.id()) {
                true => self.unanswered.insert((node, event.id()), message),
                false => self.unanswered.remove(&(node, event.id())),
            };
        }
        if matches!(sent, Sent::Stored(_)) {
            self.answered.insert(id);
        }
    }

    fn sees(&mut self, received: (usize, EventId)) {
        self.called.remove(&received);
        self.behind.remove(&received);
        self.seen.insert(received);
    }

    /// A receipt was recorded.
    pub(crate) fn recorded(&mut self, node: usize, marks: &[(Source, Mark)]) {
        let covers = |id: &EventId| {
            let mut marks = marks.iter();
            marks.any(|(source, mark)| *source == id.source && mark.covers(id.sequence))
        };
        let called = self.called.iter().copied();
        let received: Vec<_> = called
            .filter(|(to, id)| *to == node && covers(id))
            .collect();
        received.into_iter().for_each(|it| self.sees(it));
    }

    /// A failed call is taken back. Where a receiver joined in between, it is of another source, and no order holds between the two.
    pub(crate) fn takes_back(&mut self, call: EventId, by: EventId, node: usize) {
        if call.source == by.source && !self.seen.contains(&(node, call)) {
            self.behind.insert((node, call), by);
        }
    }

    /// Events may go another way now, or to others, or again though they had been received: what was to come next need not.
    pub(crate) fn may_change(&mut self) {
        let unanswered = std::mem::take(&mut self.unanswered).into_keys();
        self.beside.extend(unanswered.map(|(_, id)| id));
        let under_way = self.under_way.values().flat_map(|(_, _, events)| events);
        self.beside.extend(under_way.map(|event| event.id()));
        self.behind.clear();
    }
}
