//! What the sender's machine wants carried: transmissions, hellos, questions to the broker; and what comes of them.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::Event;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::{Backlog, HelloId, Load, Path, Sent, Transmission, Urgency};

use crate::faults::Fault;
use crate::happening::{Attempt, Happening, Request};
use crate::tables::corrupted;
use crate::world::World;

pub(crate) const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);
/// How long after it was given up a request or a message may still arrive.
pub(crate) const LATEST: Duration = Duration::from_secs(60);

impl World {
    pub(crate) fn transmit(&mut self, transmission: Transmission) {
        let node = self.node_of(&transmission.receiver);
        let Some(sender) = &mut self.sender else {
            return;
        };
        sender.next_attempt += 1;
        sender.attempts.insert(sender.next_attempt);
        let attempt = Attempt {
            process: sender.number,
            number: sender.next_attempt,
            node,
            id: transmission.id,
        };
        let held = sender.names.sends(node, &transmission);
        self.check(held);
        let mut events: Vec<_> = transmission
            .events
            .iter()
            .map(|(event, _)| event.clone())
            .collect();
        let ascends = events
            .windows(2)
            .all(|pair| pair[0].source == pair[1].source && pair[0].sequence < pair[1].sequence);
        if !ascends || events.is_empty() {
            self.check(Err(format!(
                "no batch of one source, ascending: {transmission:?}"
            )));
        }
        if self.strikes(Fault::Corrupt) {
            let at = self.dice.index(events.len());
            events[at] = Arc::new(corrupted(&events[at]));
            self.corrupted.insert(events[at].id());
            self.damage_sender();
        }
        self.note(|_| {
            let first = events.first().map(|event| event.version());
            let (path, urgency) = (transmission.path, transmission.urgency);
            format!(
                "sends {} from {first:?} by {path:?}, {urgency:?}",
                events.len()
            )
        });
        match transmission.path {
            Path::Call => self.call(attempt, transmission.urgency, events),
            Path::Broker => self.publish(attempt, &transmission, events),
        }
    }

    pub(crate) fn sends(&mut self, wait: Duration, attempt: Attempt, sent: Sent) {
        let receipts = Vec::new();
        self.schedule(
            wait,
            Happening::Sent {
                attempt,
                sent,
                receipts,
            },
        );
    }

    pub(crate) fn call(&mut self, attempt: Attempt, urgency: Urgency, events: Vec<Arc<Event>>) {
        let (inline, patience) = match urgency {
            Urgency::Inline { within } => (true, within),
            Urgency::Background => (false, BACKGROUND_PATIENCE),
        };
        let wait = self.soon();
        if self.nodes[attempt.node].process.is_none() || self.strikes(Fault::RefuseCall) {
            return self.sends(wait, attempt, Sent::NotSent { retry_after: None });
        }
        if self.strikes(Fault::Overload) {
            let retry_after = Some(self.dice.time(Duration::from_secs(2)));
            return self.sends(wait, attempt, Sent::NotSent { retry_after });
        }
        self.sends(patience, attempt, Sent::Unknown);
        if self.strikes(Fault::LoseRequest) {
            return;
        }
        let request = Request {
            attempt,
            inline,
            events,
        };
        if self.strikes(Fault::RepeatRequest) {
            let again = self.dice.mostly_short(Duration::from_secs(20));
            self.schedule(again, Happening::Request(request.clone()));
        }
        let wait = if self.strikes(Fault::LateRequest) {
            patience + self.dice.mostly_short(LATEST)
        } else {
            wait
        };
        self.schedule(wait, Happening::Request(request));
    }

    pub(crate) fn publish(
        &mut self,
        attempt: Attempt,
        transmission: &Transmission,
        events: Vec<Arc<Event>>,
    ) {
        let node = attempt.node;
        let wait = self.soon();
        if self.nodes[node].broker.is_down() && self.dice.chance(5_000) {
            return self.sends(wait, attempt, Sent::NotSent { retry_after: None });
        }
        self.sends(PUBLISH_PATIENCE, attempt, Sent::Unknown);
        if self.nodes[node].broker.is_down() || self.strikes(Fault::LosePublish) {
            return;
        }
        let wait = if self.strikes(Fault::LatePublish) {
            PUBLISH_PATIENCE + self.dice.mostly_short(LATEST)
        } else {
            wait
        };
        let message = transmission.message;
        self.schedule(
            wait,
            Happening::Publish {
                node,
                message,
                events,
                attempt,
            },
        );
    }

    pub(crate) fn sent(&mut self, attempt: Attempt, sent: Sent, receipts: Vec<Receipt>) {
        if !self.is_current(attempt.process) {
            return;
        }
        let policy = self.policy();
        let Some(sender) = &mut self.sender else {
            return;
        };
        if sender.attempts.remove(&attempt.number) {
            let receiver = &self.nodes[attempt.node].name;
            sender.names.sent(attempt.node, attempt.id, &sent, &policy);
            sender
                .machine
                .transmitted(receiver, attempt.id, sent.clone(), self.now);
            let is_stored = matches!(sent, Sent::Stored(_));
            if is_stored
                && self
                    .faults
                    .strike(Fault::RepeatPublishAnswer, &mut self.dice)
            {
                let again = sent.clone();
                sender
                    .machine
                    .transmitted(receiver, attempt.id, again, self.now);
            }
            self.note(|_| format!("{:?} {sent:?}", attempt.id));
            self.feedback(receipts);
        }
    }

    pub(crate) fn loaded(&mut self, process: u64, load: Load, fails: bool) {
        if !self.is_current(process) {
            return;
        }
        let events = match fails {
            true => Vec::new(),
            false => self.store.outbox.read(load.source, load.after, load.limit),
        };
        if let Some(sender) = &mut self.sender {
            sender.machine.loaded(load, events, self.now);
        }
        self.drive_sender();
    }

    pub(crate) fn ask_backlog(&mut self, receiver: &ReceiverName) {
        let node = self.node_of(receiver);
        let wait = self.soon();
        let broker = &self.nodes[node].broker;
        let down = broker.is_down();
        let (known, tells) = (broker.backlog(), broker.tells(self.now));
        let tells = tells && self.plan.tells_places;
        let backlog = if down {
            Backlog::Away
        } else if !tells || self.strikes(Fault::LoseBacklog) {
            Backlog::Unknown
        } else {
            known
        };
        let process = self.processes;
        self.schedule(
            wait,
            Happening::BacklogTold {
                process,
                node,
                backlog,
            },
        );
    }

    pub(crate) fn backlog_told(&mut self, process: u64, node: usize, backlog: Backlog) {
        if !self.is_current(process) {
            return;
        }
        self.note(|_| format!("{backlog:?}"));
        let receiver = &self.nodes[node].name;
        if let Some(sender) = &mut self.sender {
            sender.machine.backlog(receiver, backlog, self.now);
        }
        self.drive_sender();
    }

    pub(crate) fn say_hello(&mut self, receiver: &ReceiverName, id: HelloId, path: Path) {
        let node = self.node_of(receiver);
        let by_call = path == Path::Call;
        let lost =
            (!by_call && self.nodes[node].broker.is_down()) || self.strikes(Fault::LoseHello);
        self.note(|world| {
            format!(
                "says hello {} to {}: {}",
                id.0,
                world.nodes[node].name,
                if lost { "lost" } else { "sent" }
            )
        });
        if !lost {
            let process = by_call.then_some(self.processes);
            let wait = self.dice.mostly_short(Duration::from_secs(2));
            self.schedule(wait, Happening::HelloArrives { node, process, id });
        }
    }

    pub(crate) fn hello_answered(
        &mut self,
        process: Option<u64>,
        id: HelloId,
        answer: HelloAnswer,
    ) {
        if process.is_some_and(|process| !self.is_current(process)) {
            return;
        }
        if let Some(sender) = &mut self.sender {
            sender.answers.push_back((id, answer));
        }
        self.drive_sender();
    }

    pub(crate) fn feedback(&mut self, receipts: Vec<Receipt>) {
        if let Some(sender) = &mut self.sender {
            sender.unrecorded.add(receipts);
        }
        self.drive_sender();
    }
}
