//! A sender's store with two replicas on it, and a receiver's store: what a schedule is written with.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::accept::{Accepted, Accepting, Compensated, Dispatch, Failed, Request};
use duet_protocol::calls::Calls;
use duet_protocol::event::{Event, EventId, Key, TraceContext};
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Arrival, Outcome, Receiving, receipts};
use duet_protocol::record::{Asked, Health, HelloAnswer, Recorded, judge, record};
use duet_protocol::route::Route;
use duet_protocol::rules::{Rule, Rules};
use duet_protocol::sender::{Capacity, Path, Policy, Sender, Timing, Transmission};
use duet_protocol::sequence::{Epoch, Sequence, StoreId};
use duet_protocol::settings::{DeliverySettings, Generation, Mode};
use duet_protocol::time::{Moment, Timestamp};

use crate::tables::{Appended, Outbox, ReactionRows, ReceiverStore, SenderStore, Value};

pub(crate) const LIKE: Option<Value> = Some(0);
pub(crate) const LOVE: Option<Value> = Some(1);
pub(crate) const UNDONE: Option<Value> = None;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Tries without end: a schedule has what differs from that.
pub(crate) const DELIVERY: DeliverySettings = DeliverySettings {
    max_attempts: NonZeroU32::new(1_000_000).unwrap(),
    backoff_initial: Duration::from_secs(1),
    backoff_max: Duration::from_secs(1),
};

pub(crate) fn must<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

pub(crate) fn notification() -> ReceiverName {
    ReceiverName::new("notification").expect("a short name")
}

pub(crate) fn key() -> Key {
    Key::new("post/ana").expect("a short key")
}

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Writes(EventId),
    Joins(EventId),
    Stands { received: bool },
}

impl Asks {
    pub(crate) fn wrote(self) -> EventId {
        match self {
            Asks::Writes(id) => id,
            other => panic!("{other:?} wrote nothing"),
        }
    }
}

/// A sender's store with two replicas' calls on it, and a receiver's store.
pub(crate) struct Pair {
    pub(crate) rules: Arc<Rules>,
    pub(crate) sender: SenderStore,
    pub(crate) calls: [Calls; 2],
    pub(crate) befores: Vec<(EventId, Option<Value>)>,
    pub(crate) receiver: ReceiverStore,
    pub(crate) max_runs: usize,
    pub(crate) delivery: DeliverySettings,
    pub(crate) opened: u32,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(Rules::default())
    }

    pub(crate) fn without(rule: Rule) -> Self {
        Self::with(Rules::all_but(rule))
    }

    pub(crate) fn with(rules: Rules) -> Self {
        let mut pair = Pair {
            rules: Arc::new(rules),
            sender: SenderStore {
                outbox: Outbox::new(StoreId(7), 1),
                rows: ReactionRows::default(),
            },
            calls: Default::default(),
            befores: Vec::new(),
            receiver: ReceiverStore::default(),
            max_runs: 1024,
            delivery: DELIVERY,
            opened: 0,
        };
        pair.sender_opens();
        pair.receiver_opens();
        pair
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + 1_000_000 * i64::from(self.opened))
    }

    pub(crate) fn sender_opens(&mut self) {
        self.opened += 1;
        self.calls = Default::default();
        let wall = self.wall();
        let new = NewEpochs {
            wall,
            random: self.opened,
            generation: Generation::FIRST,
        };
        let outbox = &mut self.sender.outbox;
        let to = [notification()];
        must(membership::open(outbox, Some(&to), new, &self.rules));
    }

    pub(crate) fn receiver_opens(&mut self) {
        self.opened += 1;
        let wall = self.wall();
        self.receiver.incarnation = Epoch::next(self.receiver.incarnation, wall, self.opened);
    }

    /// A caller asks a replica; `Inline` in all but [`Pair::writes`].
    pub(crate) fn asks(&mut self, replica: usize, value: Option<Value>) -> Asks {
        let deadline = Moment::START + 2 * SECOND;
        self.accepts(replica, value, Dispatch::Inline { deadline })
    }

    /// A caller's wish goes in the background.
    pub(crate) fn writes(&mut self, value: Option<Value>) -> EventId {
        self.accepts(0, value, Dispatch::Background).wrote()
    }

    pub(crate) fn accepts(
        &mut self,
        replica: usize,
        value: Option<Value>,
        dispatch: Dispatch,
    ) -> Asks {
        let at = self.wall();
        let request = Request {
            key: key(),
            value,
            dispatch,
            trace: TraceContext::default(),
            generation: Generation::FIRST,
        };
        let accepted = Accepting {
            outbox: &mut self.sender.outbox,
            rows: &mut self.sender.rows,
            calls: &mut self.calls[replica],
            at,
            rules: &self.rules,
        }
        .accept(&request);
        match must(accepted) {
            Accepted::Written { id, before } => {
                self.befores.push((id, before));
                Asks::Writes(id)
            }
            Accepted::Joined(id) => Asks::Joins(id),
            Accepted::Unchanged { last } => Asks::Stands {
                received: last.is_none_or(|(_, received)| received),
            },
        }
    }

    /// A call's deadline passes, and it is taken back if it may be.
    pub(crate) fn fails(&mut self, replica: usize, call: EventId) -> Compensated {
        let before = self.befores.iter().find(|(id, _)| *id == call);
        let failed = Failed {
            call,
            key: key(),
            before: before.and_then(|(_, before)| *before),
            trace: TraceContext::default(),
            generation: Generation::FIRST,
        };
        let at = self.wall();
        let compensated = must(
            Accepting {
                outbox: &mut self.sender.outbox,
                rows: &mut self.sender.rows,
                calls: &mut self.calls[replica],
                at,
                rules: &self.rules,
            }
            .compensate(&failed),
        );
        self.calls[replica].end(call);
        compensated
    }

    pub(crate) fn row(&self) -> Option<Value> {
        self.sender.rows.0.get(&key()).and_then(|row| row.value)
    }

    pub(crate) fn event(&self, id: EventId) -> Event {
        let events = self
            .sender
            .outbox
            .read(id.source, id.sequence.previous(), 1);
        events.into_iter().next().expect("still in the outbox")
    }

    /// The `opened` event of the newest epoch.
    pub(crate) fn opening(&mut self) -> EventId {
        let partition = key().partition(1);
        let head = must(self.sender.outbox.head(partition)).expect("an open store");
        EventId {
            source: self.sender.outbox.lane(partition).source(head),
            sequence: Sequence::FIRST,
        }
    }

    pub(crate) fn receives(&mut self, id: EventId) -> Outcome {
        let event = self.event(id);
        self.receives_event(&event, Arrival::Background)
    }

    pub(crate) fn receives_event(&mut self, event: &Event, arrival: Arrival) -> Outcome {
        let now = self.wall();
        let outcomes = Receiving {
            inbox: &mut self.receiver.received,
            rows: &mut self.receiver.rows,
            receiver: &notification(),
            max_runs: self.max_runs,
            now,
            delivery: &self.delivery,
            seed: 1,
            rules: &self.rules,
        }
        .receive(std::slice::from_ref(event), arrival);
        must(outcomes).remove(0)
    }

    pub(crate) fn notified(&self) -> Option<Value> {
        let row = self.receiver.rows.rows.get(&key());
        row.and_then(|(value, _)| *value)
    }

    /// What the receiver tells now.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let mut received = self.receiver.received.clone();
        let lanes: Vec<_> = received.inboxes.keys().copied().collect();
        let incarnation = self.receiver.incarnation;
        let receipts = lanes
            .iter()
            .map(|lane| must(receipts(&mut received, *lane, &notification(), incarnation)));
        receipts.flatten().collect()
    }

    /// The sender hears them.
    pub(crate) fn hears(&mut self, receipts: &[Receipt]) -> Vec<Recorded> {
        let mut all = Vec::new();
        for receipt in receipts {
            let recorded = must(record(&mut self.sender.outbox, receipt, &self.rules));
            for (source, mark) in &recorded.marks {
                self.calls
                    .iter_mut()
                    .for_each(|calls| calls.cover(*source, mark));
            }
            all.push(recorded);
        }
        all
    }

    pub(crate) fn is_received(&mut self, id: EventId) -> bool {
        let mark = must(self.sender.outbox.mark(&notification(), id.source));
        mark.covers(id.sequence)
    }

    pub(crate) fn answer(&mut self) -> HelloAnswer {
        let store = must(self.sender.outbox.store());
        let (received, incarnation) = (&mut self.receiver.received, self.receiver.incarnation);
        must(HelloAnswer::from_tables(
            received,
            store,
            &notification(),
            incarnation,
        ))
    }

    pub(crate) fn judges(&mut self, asked: &Asked, answer: &HelloAnswer) -> Option<Health> {
        let judged = must(judge(&mut self.sender.outbox, asked, answer, &self.rules));
        judged.map(|(health, _)| health)
    }

    /// A sender's machine that starts on the store.
    pub(crate) fn machine(&mut self, path: Path) -> Sender {
        self.machine_with(path, Timing::default())
    }

    pub(crate) fn machine_with(&mut self, path: Path, timing: Timing) -> Sender {
        let policy = policy(Route::all(match path {
            Path::Call => Mode::Sync,
            Path::Broker => Mode::Async,
        }));
        let process = self.opening().source.epoch;
        let mut machine = Sender::new(self.rules.clone(), timing, policy, process, 1);
        for (source, state) in self.sender.outbox.standing() {
            machine.source_opened(source, state);
        }
        for name in must(self.sender.outbox.receivers()) {
            let outbox = &mut self.sender.outbox;
            let (marks, begin) = (outbox.marks(&name), outbox.begins(&name));
            let incarnation = must(outbox.incarnation(&name));
            machine.receiver_known(name, incarnation, &begin, &marks, Moment::START);
        }
        self.sender.outbox.appended.clear();
        machine
    }

    /// All that a machine sends now, read from the store where it asks for that.
    pub(crate) fn sends(&mut self, machine: &mut Sender, now: Moment) -> Vec<Transmission> {
        let mut sent = Vec::new();
        let appended = std::mem::take(&mut self.sender.outbox.appended);
        Appended::tell(machine, appended, now);
        machine.scan(now);
        loop {
            if let Some(transmission) = machine.poll_transmit(now) {
                sent.push(transmission);
            } else if let Some(load) = machine.poll_load() {
                let read = self.sender.outbox.read(load.source, load.after, load.limit);
                machine.loaded(load, read, now);
            } else {
                return sent;
            }
        }
    }
}

/// Any transport, for a route.
pub(crate) fn policy(route: Route) -> Policy {
    let capacity = Capacity {
        events: 16,
        bytes: 1 << 20,
        in_flight: 16,
    };
    Policy {
        route,
        linger: Duration::ZERO,
        call: capacity,
        broker: capacity,
        ack_wait: 30 * SECOND,
    }
}

pub(crate) fn ids(transmissions: &[Transmission]) -> Vec<EventId> {
    let events = transmissions.iter().flat_map(|sent| &sent.events);
    events.map(|(event, _)| event.id()).collect()
}

pub(crate) fn at(seconds: u32) -> Moment {
    Moment::START + seconds * SECOND
}
