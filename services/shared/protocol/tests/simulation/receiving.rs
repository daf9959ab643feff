//! A receiver's process: intake, consumer, parked table, receipts and hello, composed as the shell composes them.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::Event;
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::Receipt;
use duet_protocol::receipts::Receipts;
use duet_protocol::receive::{Arrival, Outcome, Receiving, receipts};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::{HelloId, MessageId, Sent};
use duet_protocol::sequence::{Epoch, Incarnation, Lane};
use duet_protocol::time::{Moment, Timestamp};

use crate::broker::Published;
use crate::faults::Fault;
use crate::happening::{Attempt, Happening, Request};
use crate::sending::must;
use crate::tables::ReceiverStore;
use crate::world::{Node, World, all_late};

/// What is in memory.
pub(crate) struct ReceiverProcess {
    incarnation: Incarnation,
    receipts: Receipts,
    wakes_at: Option<Moment>,
}

const FULL_PAUSE: Duration = Duration::from_secs(1);
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

impl World {
    pub(crate) fn receiver_starts(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let (wall, random) = (self.receiver_wall(node), self.dice.next() as u32);
        let store = &mut self.nodes[node].store;
        store.incarnation = Epoch::next(store.incarnation, wall, random);
        let mut receipts = Receipts::default();
        for lane in store.received.inboxes.keys() {
            receipts.known(*lane, self.now);
        }
        let incarnation = store.incarnation;
        if let Ok(known) = self.store.outbox.incarnation(&self.nodes[node].name)
            && incarnation < known
        {
            self.nodes[node].lacks = true; // restored, with the clock set back
        }
        self.nodes[node].process = Some(ReceiverProcess {
            incarnation,
            receipts,
            wakes_at: None,
        });
        self.note(|_| format!("receiver {node} starts as {incarnation}"));
        self.drive_receiver(node);
        self.schedule_consume(node);
    }

    pub(crate) fn crash_receiver(&mut self, node: usize) {
        if self.nodes[node].process.take().is_some() {
            let down = self.dice.mostly_short(Duration::from_secs(20));
            self.schedule(down, Happening::ReceiverStarts { node });
        }
    }

    /// One transaction. `None` if it was not committed, or nobody is left to say so.
    fn receive(
        &mut self,
        node: usize,
        events: &[Arc<Event>],
        arrival: Arrival,
    ) -> Option<Vec<Outcome>> {
        let before = self
            .strikes(Fault::ReceiverRollback)
            .then(|| self.nodes[node].store.clone());
        let loses_row = self.strikes(Fault::LoseRow);
        if loses_row {
            self.damage();
        }
        let (now, name) = (self.receiver_wall(node), self.nodes[node].name.clone());
        let seed = self.dice.next();
        let store = &mut self.nodes[node].store;
        store.rows.loses_row = loses_row;
        let Ok(outcomes) = Receiving {
            inbox: &mut store.received,
            rows: &mut store.rows,
            receiver: &name,
            max_runs: self.plan.max_runs,
            now,
            delivery: &self.plan.delivery,
            seed,
            rules: &self.rules,
        }
        .receive(events, arrival);
        if let Some(before) = before {
            self.nodes[node].store = before;
            self.note(|_| format!("receiver {node} does not commit"));
            return None;
        }
        self.note(|_| {
            let events = events.iter().map(|event| event.version().to_string());
            let each: Vec<_> = events.zip(&outcomes).collect();
            format!("receiver {node}: {each:?}")
        });
        let rows = &mut self.nodes[node].store.rows;
        rows.witness.received(events, &outcomes);
        for (event, outcome) in events.iter().zip(&outcomes) {
            if matches!(outcome, Outcome::Applied(_)) {
                let held = self.model.is_for(event.id(), &name);
                self.check(held);
            }
        }
        let dropped = outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Dropped);
        self.faults.struck[Fault::RunCap as usize] += dropped.count() as u64;
        if self.strikes(Fault::ReceiverCrashAfterCommit) {
            self.note(|_| format!("receiver {node} dies right after the commit"));
            self.crash_receiver(node);
            return None;
        }
        let now = self.now;
        if let Some(process) = &mut self.nodes[node].process {
            for event in events {
                process.receipts.advanced(event.source.lane, 1, now);
            }
        }
        Some(outcomes)
    }

    fn receipts(&mut self, node: usize, lane: Lane) -> Vec<Receipt> {
        let Node { store, name, .. } = &mut self.nodes[node];
        let Ok(receipts) = receipts(&mut store.received, lane, name, store.incarnation);
        receipts
    }

    pub(crate) fn request_arrives(&mut self, request: Request) {
        let Request {
            attempt,
            inline,
            events,
        } = request;
        let node = attempt.node;
        if self.nodes[node].process.is_none() {
            return; // the connection breaks: no answer
        }
        let late = inline && self.strikes(Fault::SlowReceiver);
        let arrival = match inline {
            true => Arrival::Inline,
            false => Arrival::Background,
        };
        let (sent, receipts) = if late {
            (Some(Sent::Answered(all_late(&events))), Vec::new())
        } else {
            let outcomes = self.receive(node, &events, arrival);
            let lane = events.first().map(|event| event.source.lane);
            let receipts = lane.map(|lane| self.receipts(node, lane));
            (outcomes.map(Sent::Answered), receipts.unwrap_or_default())
        };
        let wait = self.soon();
        if let Some(sent) = sent
            && !self.strikes(Fault::LoseAnswer)
        {
            self.schedule(
                wait,
                Happening::Sent {
                    attempt,
                    sent,
                    receipts,
                },
            );
        }
        self.drive_receiver(node);
    }

    pub(crate) fn publish_arrives(
        &mut self,
        node: usize,
        message: MessageId,
        events: &[Arc<Event>],
        attempt: Attempt,
    ) {
        if self.nodes[node].broker.is_down() {
            return;
        }
        let forgets = self.strikes(Fault::ForgetMessage);
        let published = self.nodes[node]
            .broker
            .publish(message, events, forgets, self.now);
        self.note(|_| {
            format!(
                "{message}: {published:?}{}",
                if forgets { ", forgotten" } else { "" }
            )
        });
        let sent = match published {
            Published::Stored(place) | Published::Repeated(place) => {
                Sent::Stored(self.plan.tells_places.then_some(place))
            }
            Published::Full => {
                self.faults.struck[Fault::BrokerFull as usize] += 1;
                Sent::NotSent {
                    retry_after: Some(FULL_PAUSE),
                }
            }
            Published::Absent => Sent::NotSent { retry_after: None },
        };
        if !self.strikes(Fault::LosePublishAnswer) {
            let (wait, receipts) = (self.soon(), Vec::new());
            self.schedule(
                wait,
                Happening::Sent {
                    attempt,
                    sent,
                    receipts,
                },
            );
        }
        self.schedule_consume(node);
    }

    pub(crate) fn schedule_consume(&mut self, node: usize) {
        if self.nodes[node].process.is_none() || self.nodes[node].broker.is_down() {
            return;
        }
        let wait = self.dice.mostly_short(Duration::from_millis(20));
        let Some(ready) = self.nodes[node].broker.ready_at(self.now) else {
            return;
        };
        let at = ready.max(self.now) + wait;
        let node_state = &mut self.nodes[node];
        if node_state
            .consume_at
            .is_none_or(|before| at < before || before < self.now)
        {
            node_state.consume_at = Some(at);
            self.schedule_at(at, Happening::Consume { node });
        }
    }

    pub(crate) fn consume(&mut self, node: usize) {
        if self.nodes[node].consume_at != Some(self.now) {
            return;
        }
        self.nodes[node].consume_at = None;
        let Some(incarnation) = self.nodes[node]
            .process
            .as_ref()
            .map(|process| process.incarnation)
        else {
            return;
        };
        let skip = match self.strikes(Fault::Reorder) {
            true => self.dice.index(4),
            false => 0,
        };
        let max = 1 + self.dice.index(8);
        let ack_wait = self.policy().ack_wait;
        let taken = self.nodes[node].broker.take(max, skip, ack_wait, self.now);
        if !taken.is_empty() {
            let wait = self.soon();
            self.schedule(
                wait,
                Happening::Process {
                    node,
                    incarnation,
                    taken,
                },
            );
        }
        self.schedule_consume(node);
    }

    pub(crate) fn process(
        &mut self,
        node: usize,
        incarnation: Incarnation,
        taken: Vec<(u64, Vec<Arc<Event>>)>,
    ) {
        let runs = self.nodes[node].process.as_ref();
        if runs.is_none_or(|process| process.incarnation != incarnation) {
            return;
        }
        let places = taken.iter().map(|(place, _)| *place).collect();
        let events: Vec<Arc<Event>> = taken.into_iter().flat_map(|(_, events)| events).collect();
        let received = self.receive(node, &events, Arrival::Background);
        if received.is_some() && !self.strikes(Fault::LoseSettle) {
            let wait = self.soon();
            self.schedule(wait, Happening::Settle { node, places });
        }
        self.drive_receiver(node);
        self.schedule_consume(node);
    }

    pub(crate) fn hello_arrives(&mut self, node: usize, process: Option<u64>, id: HelloId) {
        let Some(runs) = &self.nodes[node].process else {
            return;
        };
        let incarnation = runs.incarnation;
        if self.damaged {
            // It is judged by what it lacks now, though that may come before it is.
            self.note_lack(node);
        }
        let store = must(self.store.outbox.store());
        let Node {
            name,
            store: ReceiverStore { received, .. },
            ..
        } = &mut self.nodes[node];
        let answer = must(HelloAnswer::from_tables(received, store, name, incarnation));
        if !self.strikes(Fault::LoseHello) {
            let wait = self.dice.mostly_short(Duration::from_secs(4));
            self.schedule(
                wait,
                Happening::HelloAnswered {
                    process,
                    id,
                    answer,
                },
            );
        }
    }

    pub(crate) fn receiver_wakes(&mut self, node: usize) {
        if let Some(process) = &mut self.nodes[node].process
            && process.wakes_at == Some(self.now)
        {
            process.wakes_at = None;
            self.drive_receiver(node);
        }
    }

    /// Tells receipts that are due, and tries what is parked.
    fn drive_receiver(&mut self, node: usize) {
        let now = self.now;
        self.retry_parked(node);
        let sweeps = self.sweep(node);
        while let Some(process) = &mut self.nodes[node].process
            && let Some(lane) = process.receipts.poll(now)
        {
            let receipts = self.receipts(node, lane);
            let lost = self.nodes[node].broker.is_down() || self.strikes(Fault::LoseReceipt);
            if !lost && !receipts.is_empty() {
                let wait = match self.strikes(Fault::LateReceipt) {
                    true => self.dice.time(Duration::from_secs(30)),
                    false => self.soon(),
                };
                self.schedule(wait, Happening::Feedback { receipts });
            }
        }
        let wall = self.receiver_wall(node);
        let longest = self.plan.delivery.backoff_max;
        let parked_due = self.nodes[node].store.received.next_attempts();
        let wait = |due: Timestamp| due.since(wall).clamp(Duration::from_millis(1), longest);
        let parked_due = parked_due.min().map(|due| now + wait(due));
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let wake = process
            .receipts
            .wake_at()
            .into_iter()
            .chain(parked_due)
            .chain(sweeps.then_some(now + SWEEP_PAUSE))
            .min();
        if let Some(wake) = wake
            && process
                .wakes_at
                .is_none_or(|before| wake < before || before <= now)
        {
            process.wakes_at = Some(wake);
            self.schedule_at(wake, Happening::ReceiverWakes { node });
        }
    }

    fn retry_parked(&mut self, node: usize) {
        let (wall, name) = (self.receiver_wall(node), self.nodes[node].name.clone());
        let store = &mut self.nodes[node].store;
        let due = store.received.due(wall, self.plan.delivery.backoff_max);
        for event in due {
            let seed = self.dice.next();
            let store = &mut self.nodes[node].store;
            let Ok(outcome) = Receiving {
                inbox: &mut store.received,
                rows: &mut store.rows,
                receiver: &name,
                max_runs: self.plan.max_runs,
                now: wall,
                delivery: &self.plan.delivery,
                seed,
                rules: &self.rules,
            }
            .retry_parked(&event);
            self.note(|_| format!("receiver {node} tries {}: {outcome:?}", event.version()));
        }
    }
}
