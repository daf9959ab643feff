//! Schedules that broke earlier wordings of the protocol, each as a short test of the machines; and where one rule mends it, that
//! without the rule it breaks again. `like`, `love` and undoing are what callers ask of one key.

#[allow(dead_code)]
#[path = "simulation/tables.rs"]
mod tables;
#[allow(dead_code)]
#[path = "simulation/witness.rs"]
mod witness;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::accept::{Accepted, Accepting, Compensated, Dispatch, Failed, Request};
use duet_protocol::calls::Calls;
use duet_protocol::event::{Event, EventId, Key, TraceContext};
use duet_protocol::outbox::{self, OutboxTables};
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Arrival, Outcome, Receiving};
use duet_protocol::record::{Asked, Health, HelloAnswer, Recorded, Suspicion, judge, record};
use duet_protocol::rules::{Rule, Rules};
use duet_protocol::sender::{
    Answer, Attempt, Backlog, BrokerPlace, CallStep, Capacity, FailureCause, Path, Policy, Sender,
    Sent, Timing, Transmission,
};
use duet_protocol::sequence::{Epoch, Sequence, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::time::{Moment, Timestamp};

use tables::{Outbox, ReactionRows, ReceiverStore, SenderStore, Value};

const LIKE: Option<Value> = Some(0);
const LOVE: Option<Value> = Some(1);
const UNDONE: Option<Value> = None;

const SECOND: Duration = Duration::from_secs(1);
const RETRY: Duration = SECOND;

fn must<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn notification() -> ReceiverName {
    ReceiverName::new("notification").unwrap()
}

fn key() -> Key {
    Key::new("post/ana").unwrap()
}

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
enum Asks {
    Writes(EventId),
    Joins(EventId),
    Stands { received: bool },
}

impl Asks {
    fn wrote(self) -> EventId {
        match self {
            Asks::Writes(id) => id,
            other => panic!("{other:?} wrote nothing"),
        }
    }
}

/// A sender's store with two replicas' calls on it, and a receiver's store.
struct Pair {
    rules: Arc<Rules>,
    sender: SenderStore,
    calls: [Calls; 2],
    befores: Vec<(EventId, Option<Value>)>,
    receiver: ReceiverStore,
    max_runs: usize,
    opened: u32,
}

impl Pair {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn without(rule: Rule) -> Self {
        Self::with(Rules::all_but(rule))
    }

    fn with(rules: Rules) -> Self {
        let mut pair = Pair {
            rules: Arc::new(rules),
            sender: SenderStore {
                outbox: Outbox::new(StoreId(7), 1, vec![notification()]),
                rows: ReactionRows::default(),
            },
            calls: Default::default(),
            befores: Vec::new(),
            receiver: ReceiverStore::default(),
            max_runs: 1024,
            opened: 0,
        };
        pair.sender_opens();
        pair.receiver_opens();
        pair
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + 1_000_000 * i64::from(self.opened))
    }

    fn sender_opens(&mut self) {
        self.opened += 1;
        self.calls = Default::default();
        let wall = self.wall();
        must(outbox::open(
            &mut self.sender.outbox,
            wall,
            self.opened,
            Generation::FIRST,
            &self.rules,
        ));
    }

    fn receiver_opens(&mut self) {
        self.opened += 1;
        let wall = self.wall();
        self.receiver.incarnation = Epoch::next(self.receiver.incarnation, wall, self.opened);
    }

    /// A caller asks a replica; `Inline` in all but [`Pair::writes`].
    fn asks(&mut self, replica: usize, value: Option<Value>) -> Asks {
        let deadline = Moment::START + 2 * SECOND;
        self.accepts(replica, value, Dispatch::Inline { deadline })
    }

    /// A caller's wish goes in the background.
    fn writes(&mut self, value: Option<Value>) -> EventId {
        self.accepts(0, value, Dispatch::Background).wrote()
    }

    fn accepts(&mut self, replica: usize, value: Option<Value>, dispatch: Dispatch) -> Asks {
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
    fn fails(&mut self, replica: usize, call: EventId) -> Compensated {
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

    fn row(&self) -> Option<Value> {
        self.sender.rows.0.get(&key()).and_then(|row| row.value)
    }

    fn event(&self, id: EventId) -> Event {
        let events = self
            .sender
            .outbox
            .read(id.source, id.sequence.previous(), 1);
        events.into_iter().next().expect("still in the outbox")
    }

    /// The `opened` event of the newest epoch.
    fn opening(&mut self) -> EventId {
        let partition = key().partition(1);
        let head = must(self.sender.outbox.head(partition)).unwrap();
        EventId {
            source: self.sender.outbox.lane(partition).source(head),
            sequence: Sequence::FIRST,
        }
    }

    fn receives(&mut self, id: EventId) -> Outcome {
        let event = self.event(id);
        self.receives_event(&event, Arrival::Background { retry: RETRY })
    }

    fn receives_event(&mut self, event: &Event, arrival: Arrival) -> Outcome {
        let now = self.wall();
        let outcomes = Receiving {
            inbox: &mut self.receiver.received,
            rows: &mut self.receiver.rows,
            max_runs: self.max_runs,
            now,
            rules: &self.rules,
        }
        .receive(std::slice::from_ref(event), arrival);
        must(outcomes).remove(0)
    }

    fn notified(&self) -> Option<Value> {
        let row = self.receiver.rows.rows.get(&key());
        row.and_then(|(value, _)| *value)
    }

    /// What the receiver tells now.
    fn receipts(&self) -> Vec<Receipt> {
        let inboxes = self.receiver.received.inboxes.iter();
        inboxes
            .flat_map(|(lane, inbox)| {
                inbox.receipts(*lane, &notification(), self.receiver.incarnation)
            })
            .collect()
    }

    /// The sender hears them.
    fn hears(&mut self, receipts: &[Receipt]) -> Vec<Recorded> {
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

    fn is_received(&mut self, id: EventId) -> bool {
        let mark = must(self.sender.outbox.mark(&notification(), id.source));
        mark.covers(id.sequence)
    }

    fn answer(&self) -> HelloAnswer {
        HelloAnswer {
            receiver: notification(),
            incarnation: self.receiver.incarnation,
            receipts: self.receipts(),
        }
    }

    fn judges(&mut self, asked: &Asked, answer: &HelloAnswer) -> Option<Health> {
        let judged = must(judge(&mut self.sender.outbox, asked, answer, &self.rules));
        judged.map(|(health, _)| health)
    }

    /// A sender's machine that starts on the store.
    fn machine(&mut self, path: Path) -> Sender {
        let capacity = Capacity {
            events: 16,
            bytes: 1 << 20,
            in_flight: 16,
        };
        let policy = Policy {
            path,
            linger: Duration::ZERO,
            call: capacity,
            broker: capacity,
            ack_wait: 30 * SECOND,
        };
        let process = self.opening().source.epoch;
        let mut machine = Sender::new(self.rules.clone(), Timing::default(), policy, process, 1);
        for (source, state) in self.sender.outbox.standing() {
            machine.source_opened(source, state);
        }
        let marks = self.sender.outbox.marks(&notification());
        let incarnation = must(self.sender.outbox.incarnation(&notification()));
        machine.receiver_known(notification(), incarnation, &marks, Moment::START);
        self.sender.outbox.appended.clear();
        machine
    }

    /// All that a machine sends now, read from the store where it asks for that.
    fn sends(&mut self, machine: &mut Sender, now: Moment) -> Vec<Transmission> {
        let mut sent = Vec::new();
        machine.committed(std::mem::take(&mut self.sender.outbox.appended), now);
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

fn ids(transmissions: &[Transmission]) -> Vec<EventId> {
    let events = transmissions.iter().flat_map(|sent| &sent.events);
    events.map(|(event, _)| event.id()).collect()
}

fn at(seconds: u32) -> Moment {
    Moment::START + seconds * SECOND
}

#[test]
fn schedule_1_two_calls_that_fail_do_not_undo_each_other() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    // The first answers 202: a later call built on it.
    assert_eq!(pair.fails(0, like), Compensated::Stands);
    assert!(matches!(pair.fails(0, undo), Compensated::Undone(_)));
    assert_eq!(pair.row(), LIKE);

    let mut pair = Pair::without(Rule::CompensateOwnVersion);
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    assert!(matches!(pair.fails(0, like), Compensated::Undone(_)));
    assert!(matches!(pair.fails(0, undo), Compensated::Undone(_)));
    assert_eq!(pair.row(), LIKE, "both were told that they failed");
}

#[test]
fn schedule_2_an_equal_request_elsewhere_is_written_anew_while_the_row_is_unsettled() {
    let mut pair = Pair::new();
    let first = pair.asks(0, LIKE).wrote();
    let second = pair.asks(1, LIKE).wrote();
    assert!(second > first);
    assert_eq!(pair.fails(0, first), Compensated::Stands);
    assert_eq!(pair.row(), LIKE);

    let mut pair = Pair::without(Rule::WriteAnewIfUnsettled);
    let first = pair.asks(0, LIKE).wrote();
    assert_eq!(pair.asks(1, LIKE), Asks::Stands { received: false });
    assert!(matches!(pair.fails(0, first), Compensated::Undone(_)));
}

#[test]
fn schedule_2_after_a_crash_too() {
    let mut pair = Pair::new();
    let first = pair.asks(0, LIKE).wrote();
    pair.sender_opens();
    let second = pair.asks(0, LIKE).wrote();
    assert!(second.source.epoch > first.source.epoch);
}

#[test]
fn schedule_3_a_call_that_was_received_is_not_taken_back() {
    fn until_the_deadline(mut pair: Pair) -> Compensated {
        let opening = pair.opening();
        let like = pair.asks(0, LIKE).wrote();
        pair.receives(opening);
        pair.receives(like);
        pair.hears(&pair.receipts());
        assert_eq!(pair.asks(1, LIKE), Asks::Stands { received: true });
        pair.fails(0, like)
    }
    assert_eq!(until_the_deadline(Pair::new()), Compensated::Stands);
    let broken = until_the_deadline(Pair::without(Rule::CompensateUnreceived));
    assert!(matches!(broken, Compensated::Undone(_)));
}

#[test]
fn schedule_3_nor_after_the_receiver_that_said_so_has_restarted() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    pair.receives(like); // above a gap
    pair.hears(&pair.receipts());
    assert_eq!(pair.asks(0, LIKE), Asks::Stands { received: true });
    pair.receiver_opens();
    let mut told = pair.receipts();
    told[0].runs.clear(); // as if it told of another source first
    pair.hears(&told);
    assert!(!pair.is_received(like), "its runs have died");
    assert_eq!(pair.fails(0, like), Compensated::Stands);
}

#[test]
fn schedule_4_only_the_call_that_wrote_the_current_version_is_joined() {
    let mut pair = Pair::new();
    let like = pair.asks(0, LIKE).wrote();
    let undo = pair.asks(0, UNDONE).wrote();
    let again = pair.asks(0, LIKE).wrote();
    assert!(like < undo && undo < again);

    let mut pair = Pair::without(Rule::JoinCurrentVersion);
    let like = pair.asks(0, LIKE).wrote();
    pair.asks(0, UNDONE).wrote();
    assert_eq!(pair.asks(0, LIKE), Asks::Joins(like));
    assert_eq!(pair.row(), UNDONE, "and it would be told that it is liked");
}

#[test]
fn schedule_4b_undoing_joins_as_doing_does() {
    fn two_undo(mut pair: Pair) -> (EventId, Asks) {
        pair.writes(LIKE);
        let undo = pair.asks(0, UNDONE).wrote();
        (undo, pair.asks(0, UNDONE))
    }
    let (undo, second) = two_undo(Pair::new());
    assert_eq!(second, Asks::Joins(undo));
    let (_, second) = two_undo(Pair::without(Rule::UndoJoins));
    assert_eq!(second, Asks::Stands { received: false });
}

#[test]
fn schedule_5_a_restored_sender_reuses_no_number() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    let backup = pair.sender.clone();
    let like = pair.writes(LIKE);
    let in_the_broker = pair.event(like);
    pair.sender = backup;
    pair.sender_opens();
    let love = pair.writes(LOVE);
    assert_ne!(like, love);
    let opening = pair.opening();
    pair.receives(opening);
    let background = Arrival::Background { retry: RETRY };
    assert_eq!(
        pair.receives_event(&in_the_broker, background),
        Outcome::Refused
    );
    assert_eq!(pair.receives(love), Outcome::Applied);
    assert_eq!(pair.notified(), LOVE);
}

#[test]
fn schedule_5_what_the_broker_still_held_is_noticed_if_it_comes_first() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    let backup = pair.sender.clone();
    let like = pair.writes(LIKE);
    pair.receives(like);
    pair.sender = backup;
    pair.sender_opens();
    let opening = pair.opening();
    pair.receives(opening);
    let recorded = pair.hears(&pair.receipts());
    assert_eq!(recorded[0].suspicion, Some(Suspicion::BeyondEnd));
}

#[test]
fn schedule_5_were_a_number_reused_the_rolling_hash_would_tell() {
    let mut pair = Pair::without(Rule::NewEpoch);
    let opening = pair.opening();
    pair.receives(opening);
    let backup = pair.sender.clone();
    let like = pair.writes(LIKE);
    pair.receives(like);
    pair.sender = backup;
    pair.sender_opens();
    let love = pair.writes(LOVE);
    assert_eq!(like, love);
    pair.receives(love);
    assert_eq!(pair.notified(), LIKE, "love counts as a duplicate");
    let recorded = pair.hears(&pair.receipts());
    assert_eq!(recorded[0].suspicion, Some(Suspicion::HashDiffers));
    assert!(!pair.is_received(love));
}

#[test]
fn schedule_8b_an_older_epoch_that_is_not_complete_holds_the_tombstone() {
    fn the_late_one(mut pair: Pair) -> (Outcome, Option<Value>) {
        let first = pair.opening();
        pair.receives(first);
        let love = pair.writes(LOVE);
        let like = pair.writes(LIKE);
        let unsent = pair.event(like);
        pair.sender_opens();
        let second = pair.opening();
        let undo = pair.writes(UNDONE);
        pair.receives(second);
        pair.receives(undo);
        pair.receives(love); // a watermark moves, though not that of the last epoch
        let outcome = pair.receives_event(&unsent, Arrival::Background { retry: RETRY });
        (outcome, pair.notified())
    }
    assert_eq!(the_late_one(Pair::new()), (Outcome::Superseded, UNDONE));
    assert_eq!(
        the_late_one(Pair::without(Rule::TombstoneUntilOlderEpochs)),
        (Outcome::Applied, LIKE),
        "brought back"
    );
}

#[test]
fn schedule_9_a_hello_is_judged_by_what_was_forgotten_when_it_was_asked() {
    fn the_earlier_answer(mut pair: Pair) -> Option<Health> {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        pair.receives(opening);
        pair.hears(&pair.receipts());
        let mut machine = pair.machine(Path::Broker);
        let hello = machine.poll_hello(at(0)).unwrap();
        let asked = machine.asked(&notification(), hello.id).unwrap();
        let answer = pair.answer();
        pair.receives(like);
        pair.hears(&pair.receipts());
        assert_eq!(pair.sender.outbox.len(), 0);
        pair.judges(&asked, &answer)
    }
    assert_eq!(the_earlier_answer(Pair::new()), Some(Health::Sound));
    assert_eq!(
        the_earlier_answer(Pair::without(Rule::HelloAsAsked)),
        Some(Health::ReceiverRegressed),
        "a false alarm"
    );
}

#[test]
fn schedule_10_what_only_a_restored_receivers_runs_had_said_is_sent_again() {
    fn resent(mut pair: Pair) -> (bool, Vec<EventId>) {
        let opening = pair.opening();
        let events = [pair.writes(LIKE), pair.writes(LOVE), pair.writes(LIKE)];
        let mut machine = pair.machine(Path::Broker);
        pair.sends(&mut machine, at(0));
        pair.receives(opening);
        let backup = pair.receiver.clone();
        pair.receiver_opens();
        pair.receives(events[2]);
        let told = pair.receipts();
        for recorded in pair.hears(&told) {
            machine.recorded(&notification(), &recorded, at(1));
        }
        let before = pair.receiver.incarnation;
        pair.receiver = backup;
        pair.receiver_opens();
        assert!(pair.receiver.incarnation > before);
        let told = pair.receipts();
        for recorded in pair.hears(&told) {
            machine.recorded(&notification(), &recorded, at(2));
        }
        let received = pair.is_received(events[2]);
        (received, ids(&pair.sends(&mut machine, at(3))))
    }
    let (received, sent) = resent(Pair::new());
    assert!(!received);
    assert_eq!(sent.len(), 1);
    let (received, _) = resent(Pair::without(Rule::RunsDieWithIncarnation));
    assert!(received, "it would be forgotten, and is nowhere");
}

#[test]
fn schedule_10_an_older_incarnation_is_not_listened_to() {
    fn marked(mut pair: Pair) -> bool {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        pair.receives(opening);
        let backup = pair.receiver.clone();
        pair.receives(like);
        let late = pair.receipts();
        pair.receiver = backup;
        pair.receiver_opens();
        pair.hears(&pair.receipts());
        pair.hears(&late);
        pair.is_received(like)
    }
    assert!(!marked(Pair::new()));
    assert!(marked(Pair::without(Rule::NewestIncarnation)));
}

#[test]
fn schedule_11_sending_does_not_wait_for_hello() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    let mut machine = pair.machine(Path::Broker);
    assert!(machine.poll_hello(at(0)).is_some());
    assert_eq!(ids(&pair.sends(&mut machine, at(0))), [opening, like]);
}

#[test]
fn schedule_12_over_the_cap_what_fills_a_gap_is_taken_and_what_opens_one_is_dropped() {
    fn fifth(mut pair: Pair) -> (Outcome, Outcome) {
        pair.max_runs = 1;
        let opening = pair.opening();
        let [second, third, fourth, fifth] =
            [LIKE, LOVE, LIKE, LOVE].map(|value| pair.writes(value));
        pair.receives(opening);
        pair.receives(third);
        let over = pair.receives(fifth);
        let _ = fourth;
        (over, pair.receives(second))
    }
    assert_eq!(fifth(Pair::new()), (Outcome::Dropped, Outcome::Superseded));
    let (over, _) = fifth(Pair::without(Rule::DropOverRunCap));
    assert_eq!(over, Outcome::Applied, "the inbox grows");
}

#[test]
fn schedule_13_a_second_copy_is_answered_with_how_the_first_stands() {
    fn second_copy(mut pair: Pair) -> Outcome {
        let like = pair.asks(0, LIKE).wrote();
        pair.receiver.rows.failing.insert(key());
        assert_eq!(pair.receives(like), Outcome::Parked);
        let copy = pair.event(like);
        pair.receives_event(&copy, Arrival::Inline)
    }
    assert_eq!(second_copy(Pair::new()), Outcome::Parked);
    let broken = second_copy(Pair::without(Rule::CopyStandsAsFirst));
    assert!(broken.is_delivered(), "a false success");
}

#[test]
fn schedule_14_a_failure_is_told_after_its_compensation_is_durable() {
    fn steps(mut pair: Pair) -> Vec<CallStep> {
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        pair.sends(&mut machine, at(0));
        let mut steps = Vec::new();
        while let Some((id, step)) = machine.poll_call(at(2)) {
            assert_eq!(id, like);
            steps.push(step);
        }
        let compensated = pair.fails(0, like);
        machine.compensated(like, Some(compensated), at(2));
        while let Some((_, step)) = machine.poll_call(at(2)) {
            steps.push(step);
        }
        steps
    }
    let steps_in_force = steps(Pair::new());
    assert!(matches!(
        steps_in_force[..],
        [
            CallStep::Compensate,
            CallStep::Answer(Answer::Failed { .. })
        ]
    ));
    let broken = steps(Pair::without(Rule::CompensateBeforeAnswer));
    assert!(matches!(broken[0], CallStep::Answer(Answer::Failed { .. })));
}

#[test]
fn schedule_15_a_call_is_joined_until_its_compensation_is_committed() {
    fn equal_after_the_deadline(mut pair: Pair) -> (EventId, Asks) {
        let like = pair.asks(0, LIKE).wrote();
        pair.calls[0].failed(like);
        let second = pair.asks(0, LIKE);
        assert!(matches!(pair.fails(0, like), Compensated::Undone(_)));
        (like, second)
    }
    let (like, second) = equal_after_the_deadline(Pair::new());
    assert_eq!(second, Asks::Joins(like), "and shares its outcome");
    let (_, second) = equal_after_the_deadline(Pair::without(Rule::JoinUntilCompensated));
    assert_eq!(second, Asks::Stands { received: false }, "then undone");
}

#[test]
fn schedule_16_a_closed_source_is_forgotten_though_its_last_receipt_was_lost() {
    fn left_in_the_outbox(mut pair: Pair) -> usize {
        let first = pair.opening();
        let like = pair.writes(LIKE);
        pair.receives(first);
        pair.receives(like); // its receipt is lost
        pair.sender_opens();
        let second = pair.opening();
        pair.receives(second);
        let told = pair.receipts();
        assert_eq!(told.len(), 1, "the first epoch is closed");
        pair.hears(&told);
        pair.sender.outbox.len()
    }
    assert_eq!(left_in_the_outbox(Pair::new()), 0);
    assert_eq!(
        left_in_the_outbox(Pair::without(Rule::ForgetBelowLowestOpen)),
        2
    );
}

#[test]
fn schedule_17_a_quiet_sources_last_event_is_missed_by_its_place_under_steady_load() {
    fn sent_again(mut pair: Pair) -> Vec<(EventId, Attempt)> {
        let mut machine = pair.machine(Path::Broker);
        let first = pair.sends(&mut machine, at(0));
        for (place, transmission) in (1..).zip(&first) {
            let stored = Sent::Stored(Some(BrokerPlace(place)));
            machine.transmitted(&notification(), transmission.id, stored, at(0));
        }
        // The consumer is never idle, and is done with all of ours.
        let busy = |last: u64| Backlog::Known {
            created: 1,
            last: BrokerPlace(last + 100),
            ack_floor: BrokerPlace(last),
            outstanding: 100,
        };
        for seconds in 1..=61 {
            machine.backlog(&notification(), busy(u64::from(seconds)), at(seconds));
        }
        let again = pair.sends(&mut machine, at(62));
        let events = again.into_iter().flat_map(|sent| sent.events);
        events
            .map(|(event, attempt)| (event.id(), attempt))
            .collect()
    }
    let mut pair = Pair::new();
    let opening = pair.opening();
    assert_eq!(sent_again(pair), [(opening, Attempt::Again)]);
    assert_eq!(sent_again(Pair::without(Rule::LossByPlace)), []);
}

#[test]
fn schedule_18_a_sender_that_hears_nothing_says_hello() {
    fn finds(mut pair: Pair) -> Option<Health> {
        let opening = pair.opening();
        pair.receives(opening);
        pair.hears(&pair.receipts());
        let mut machine = pair.machine(Path::Broker);
        let hello = machine.poll_hello(at(0)).unwrap();
        machine.judged(&notification(), hello.id, Some(Health::Sound), at(1));
        pair.receiver = ReceiverStore::default(); // lost, and made anew
        pair.receiver_opens();
        assert_eq!(pair.receipts(), [], "it knows no source to tell of");
        assert_eq!(machine.poll_hello(at(30)), None);
        let hello = machine.poll_hello(at(31))?;
        let asked = machine.asked(&notification(), hello.id)?;
        let answer = pair.answer();
        pair.judges(&asked, &answer)
    }
    assert_eq!(finds(Pair::new()), Some(Health::ReceiverRegressed));
    assert_eq!(finds(Pair::without(Rule::HelloWhenQuiet)), None);
}

/// The transport hears first that the time is up: it waits as long as the caller does.
#[test]
fn a_request_that_is_given_up_at_its_deadline_fails_its_calls_by_that() {
    fn cause(heard: Moment) -> Option<FailureCause> {
        let mut pair = Pair::new();
        let mut machine = pair.machine(Path::Call);
        let like = pair.asks(0, LIKE).wrote();
        let sent = pair.sends(&mut machine, at(0));
        let request = sent.iter().find(|sent| {
            let mut events = sent.events.iter();
            events.any(|(event, _)| event.id() == like)
        });
        machine.transmitted(&notification(), request?.id, Sent::Unknown, heard);
        let compensated = pair.fails(0, like);
        machine.compensated(like, Some(compensated), heard);
        std::iter::from_fn(|| machine.poll_call(heard)).find_map(|(_, step)| match step {
            CallStep::Answer(Answer::Failed { cause, .. }) => Some(cause),
            _ => None,
        })
    }
    assert_eq!(cause(at(1)), Some(FailureCause::Refused));
    assert_eq!(cause(at(2)), Some(FailureCause::Deadline));
}
