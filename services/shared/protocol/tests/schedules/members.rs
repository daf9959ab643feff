//! Receivers that join and leave while a sender's machine runs.

use duet_protocol::accept::{Compensated, Dispatch};
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::record::Health;
use duet_protocol::sender::{
    Answer, CallStep, FailureCause, MayBeApplied, Path, Sender, Sent, Transmission,
};
use duet_protocol::sequence::Epoch;
use duet_protocol::settings::Generation;

use crate::pair::{LIKE, LOVE, Pair, at, ids, must, notification};

fn trending() -> ReceiverName {
    ReceiverName::new("trending").expect("a short name")
}

impl Pair {
    /// The settings name these now.
    fn follows(&mut self, to: &[ReceiverName]) {
        self.opened += 1;
        let new = NewEpochs {
            wall: self.wall(),
            random: self.opened,
            generation: Generation::FIRST,
        };
        let outbox = &mut self.sender.outbox;
        must(membership::follow(outbox, to, || new, &self.rules));
    }

    fn calls(
        &mut self,
        machine: &mut Sender,
    ) -> (duet_protocol::event::EventId, Vec<Transmission>) {
        let deadline = at(2);
        let id = self.accepts(0, LIKE, Dispatch::Inline { deadline }).wrote();
        (id, self.sends(machine, at(0)))
    }
}

fn to(sent: &[Transmission], name: &ReceiverName) -> Vec<Transmission> {
    let to = sent.iter().filter(|sent| sent.receiver == *name);
    to.cloned().collect()
}

#[test]
fn one_that_joins_is_sent_what_is_accepted_later_and_nothing_older_even_under_a_new_incarnation() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Broker);
    let older = pair.writes(LIKE);
    let _ = pair.sends(&mut machine, at(0));
    pair.follows(&[notification(), trending()]);
    let opened = pair.opening();
    let newer = pair.writes(LOVE);
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!(ids(&to(&sent, &trending())), [opened, newer]);
    let first_word = Receipt {
        source: opened.source,
        lowest_open: opened.source.epoch,
        receiver: trending(),
        incarnation: Epoch(u64::MAX),
        watermark: opened.sequence.previous(),
        hash: Default::default(),
        runs: Vec::new(),
        closed: Default::default(),
        digest: None,
    };
    let recorded = pair.hears(&[first_word]);
    machine.recorded(&trending(), &recorded[0], at(0));
    let again = pair.sends(&mut machine, at(600));
    assert!(!ids(&to(&again, &trending())).contains(&older));
}

#[test]
fn one_that_joined_and_says_nothing_yet_has_not_lost_what_was_forgotten_before() {
    let mut pair = Pair::new();
    let older = pair.writes(LIKE);
    let opened = pair.opening();
    for id in [opened, older] {
        pair.receives(id);
    }
    let receipts = pair.receipts();
    pair.hears(&receipts);
    pair.follows(&[notification(), trending()]);
    let mut machine = pair.machine(Path::Broker);
    let mut hello = machine.poll_hello(at(0));
    while hello
        .as_ref()
        .is_some_and(|hello| hello.receiver != trending())
    {
        hello = machine.poll_hello(at(0));
    }
    let asked = machine.asked(&trending(), hello.expect("it is asked").id);
    let mut answer = pair.answer();
    answer.receiver = trending();
    answer.receipts.clear();
    let health = pair.judges(&asked.expect("it is waited for"), &answer);
    assert_eq!(health, Some(Health::Sound));
}

#[test]
fn one_that_joins_again_begins_anew_and_what_it_held_before_is_no_matter() {
    let mut pair = Pair::new();
    let early = pair.writes(LIKE);
    pair.receives(early);
    pair.follows(&[trending()]);
    pair.follows(&[trending(), notification()]);
    let opened = pair.opening();
    assert!(matches!(pair.receives(opened), Outcome::Applied(_)));
    let receipts = pair.receipts();
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.source == opened.source)
    );
    let recorded = pair.hears(&receipts);
    assert!(recorded.iter().all(|recorded| recorded.suspicion.is_none()));
    assert!(pair.is_received(opened));
}

#[test]
fn one_that_leaves_frees_what_was_kept_for_it() {
    let mut pair = Pair::new();
    pair.follows(&[notification(), trending()]);
    let id = pair.writes(LIKE);
    let opened = pair.opening();
    let event = pair.event(id);
    let first = pair.event(opened);
    for event in [&first, &event] {
        pair.receives_event(event, Arrival::Background);
    }
    let receipts = pair.receipts();
    pair.hears(&receipts);
    assert_ne!(pair.sender.outbox.len(), 0, "it is kept for the other");
    pair.follows(&[notification()]);
    let state = must(pair.sender.outbox.epoch(id.source));
    assert_eq!(state.map(|state| state.forgotten), Some(id.sequence));
}

#[test]
fn a_call_waits_no_more_for_one_that_left_and_is_for_nobody_once_all_have() {
    let mut pair = Pair::new();
    pair.follows(&[notification(), trending()]);
    let mut machine = pair.machine(Path::Call);
    let (id, sent) = pair.calls(&mut machine);
    let mine = to(&sent, &notification());
    let call = mine
        .iter()
        .find(|sent| ids(std::slice::from_ref(sent)) == [id]);
    let applied = Sent::Answered(vec![Outcome::Applied(None)]);
    let call = call.expect("both are called at once");
    machine.transmitted(&notification(), call.id, applied, at(0));
    assert_eq!(machine.poll_call(at(0)), None, "the other has not answered");
    pair.follows(&[notification()]);
    let _ = pair.sends(&mut machine, at(0));
    let step = machine.poll_call(at(0));
    assert!(
        matches!(&step, Some((of, CallStep::Answer(Answer::Delivered(_)))) if *of == id),
        "{step:?}"
    );

    let (id, _) = {
        pair.writes(LOVE);
        pair.calls(&mut machine)
    };
    pair.follows(&[trending()]);
    let _ = pair.sends(&mut machine, at(0));
    let answer = CallStep::Answer(Answer::Accepted);
    assert_eq!(machine.poll_call(at(0)), Some((id, answer)));
}

#[test]
fn what_one_applied_may_be_applied_though_another_turned_it_away() {
    let mut pair = Pair::new();
    pair.follows(&[notification(), trending()]);
    let mut machine = pair.machine(Path::Call);
    let (id, sent) = pair.calls(&mut machine);
    for (name, what) in [
        (notification(), Sent::Answered(vec![Outcome::Applied(None)])),
        (trending(), Sent::NotSent { retry_after: None }),
    ] {
        let mine = to(&sent, &name);
        let call = mine
            .iter()
            .find(|sent| ids(std::slice::from_ref(sent)) == [id]);
        machine.transmitted(&name, call.expect("it is called").id, what, at(0));
    }
    assert_eq!(machine.poll_call(at(0)), Some((id, CallStep::Compensate)));
    let compensated = pair.fails(0, id);
    machine.compensated(id, Some(compensated), at(0));
    let failed = Answer::Failed {
        cause: FailureCause::Refused,
        applied: MayBeApplied::Unknown,
        by: [trending()].into(),
    };
    assert_eq!(
        machine.poll_call(at(0)),
        Some((id, CallStep::Answer(failed)))
    );
}

#[test]
fn what_a_failed_call_wrote_still_goes_out_though_one_joined_before_it_was_taken_back() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Call);
    let (id, sent) = pair.calls(&mut machine);
    let call = sent
        .iter()
        .find(|sent| ids(std::slice::from_ref(sent)) == [id]);
    let turned_away = Sent::NotSent { retry_after: None };
    let call = call.expect("it is called").id;
    machine.transmitted(&notification(), call, turned_away, at(0));
    assert_eq!(machine.poll_call(at(0)), Some((id, CallStep::Compensate)));
    pair.follows(&[notification(), trending()]);
    let compensated = pair.fails(0, id);
    let by = match compensated {
        Compensated::Undone(by) => by,
        Compensated::Stands => panic!("nobody received it"),
    };
    assert_ne!(by.source, id.source, "a new epoch takes it back");
    let mut sent = pair.sends(&mut machine, at(0));
    machine.compensated(id, Some(compensated), at(0));
    sent.extend(pair.sends(&mut machine, at(1)));
    let both = ids(&to(&sent, &notification()));
    assert!(both.contains(&by) && both.contains(&id), "{both:?}");
    assert!(!ids(&to(&sent, &trending())).contains(&id));
}

#[test]
fn one_that_restarts_is_sent_again_only_what_it_does_not_say_it_holds_though_another_holds_nothing()
{
    let mut pair = Pair::new();
    pair.follows(&[notification(), trending()]);
    let mut machine = pair.machine(Path::Broker);
    let opened = pair.opening();
    let events = [LIKE, LOVE, LIKE].map(|value| pair.writes(value));
    for sent in pair.sends(&mut machine, at(0)) {
        machine.transmitted(&sent.receiver, sent.id, Sent::Stored(None), at(0));
    }
    let mut tells = |pair: &mut Pair| {
        let receipts = pair.receipts();
        for recorded in pair.hears(&receipts) {
            machine.recorded(&notification(), &recorded, at(1));
        }
        ids(&to(&pair.sends(&mut machine, at(1)), &notification()))
    };
    for id in [opened, events[0], events[2]] {
        pair.receives(id);
    }
    assert_eq!(tells(&mut pair), []);
    pair.receiver_opens();
    assert_eq!(tells(&mut pair), []);
    assert!(!machine.is_received(events[0]), "the other lacks it");
}

#[test]
fn what_one_that_joined_later_never_gets_is_let_go_once_the_others_hold_it() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Broker);
    let older = [pair.opening(), pair.writes(LIKE)];
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!(ids(&sent), older);
    pair.follows(&[notification(), trending()]);
    let _ = pair.sends(&mut machine, at(0));
    assert_eq!(machine.standing().kept, 3);
    // Its receipt is here before the broker's answer.
    for id in older {
        pair.receives(id);
    }
    let receipts = pair.receipts();
    for recorded in pair.hears(&receipts) {
        machine.recorded(&notification(), &recorded, at(0));
    }
    assert_eq!(
        machine.standing().kept,
        1,
        "what opened the epoch that it joined with"
    );
}
