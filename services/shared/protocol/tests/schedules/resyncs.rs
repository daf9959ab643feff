//! Resyncs: what heals two stores of which one was restored, lost or replaced.

use duet_protocol::accept::{Compensated, Dispatch};
use duet_protocol::event::{EventId, Key};
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::{Arrival, Outcome, Receiving};
use duet_protocol::record::{Health, Suspicion};
use duet_protocol::resync::{self, Page, Stage};
use duet_protocol::rules::Rule;
use duet_protocol::sender::Path;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::Generation;

use crate::pair::*;
use crate::tables::{Outbox, ReactionRows, ReceiverStore, SenderStore, Value};

impl Pair {
    /// A new and empty store under the sender's old name.
    pub(crate) fn sender_is_new(&mut self) {
        self.sender = SenderStore {
            outbox: Outbox::new(StoreId(8), 1),
            rows: ReactionRows::default(),
        };
    }

    pub(crate) fn resyncs(&mut self) {
        self.opened += 1;
        let new = NewEpochs {
            wall: self.wall(),
            random: self.opened,
            generation: Generation::FIRST,
        };
        let begun = must(resync::begin(&mut self.sender.outbox, new, &self.rules));
        assert!(begun.is_some(), "there is a receiver");
    }

    /// Tells all rows anew, and what was told.
    pub(crate) fn announces(&mut self) -> Vec<EventId> {
        let opening = self.opening();
        let at = self.wall();
        let mut stage = Some(Stage::Announcing);
        while stage == Some(Stage::Announcing) {
            let SenderStore { outbox, rows } = &mut self.sender;
            let page = Page {
                rows: 1,
                at,
                generation: Generation::FIRST,
            };
            stage = must(resync::announce(outbox, rows, page));
        }
        let after = opening.sequence.previous();
        let told = self.sender.outbox.read(opening.source, after, 100);
        told.iter().map(|event| event.id()).collect()
    }

    fn sweeps(&mut self) {
        let now = self.wall();
        loop {
            let more = Receiving {
                inbox: &mut self.receiver.received,
                rows: &mut self.receiver.rows,
                receiver: &notification(),
                max_runs: self.max_runs,
                now,
                delivery: &DELIVERY,
                seed: 0,
                rules: &self.rules,
            }
            .sweep(1);
            if !must(more) {
                return;
            }
        }
    }

    /// A whole resync, of which everything arrives and is told.
    pub(crate) fn is_resynced(&mut self) {
        self.resyncs();
        for id in self.announces() {
            self.receives(id);
        }
        self.sweeps();
        let told = self.receipts();
        self.hears(&told);
    }

    pub(crate) fn stage(&mut self) -> Option<Stage> {
        must(resync::standing(&mut self.sender.outbox)).map(|(_, stage)| stage)
    }

    /// What a hello that is said now finds.
    fn finds(&mut self) -> Option<Health> {
        let mut machine = self.machine(Path::Broker);
        let hello = machine.poll_hello(at(0)).expect("one is said at start");
        let asked = machine.asked(&notification(), hello.id).expect("it waits");
        let answer = self.answer();
        self.judges(&asked, &answer)
    }
}

#[test]
fn schedule_6_a_ghost_of_a_store_that_is_gone_is_swept() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    let backup = pair.sender.clone();
    let like = pair.writes(LIKE);
    pair.receives(like);
    pair.sender = backup;
    pair.sender_opens();
    let health = pair.finds();
    assert_eq!(health, Some(Health::SenderRegressed(Suspicion::BeyondEnd)));
    pair.is_resynced();
    assert_eq!((pair.notified(), pair.row()), (UNDONE, UNDONE));
    assert!(pair.receiver.rows.rows.is_empty(), "no tombstone either");
    assert_eq!(pair.stage(), Some(Stage::Done));
    assert_eq!(pair.finds(), Some(Health::Sound));
}

#[test]
fn schedule_7_what_a_restored_receiver_never_hears_of_again_is_swept_parked_ones_too() {
    fn left(mut pair: Pair) -> (Option<Value>, usize) {
        let opening = pair.opening();
        pair.receives(opening);
        pair.receiver.rows.failing.insert(key());
        let like = pair.writes(LIKE);
        assert_eq!(pair.receives(like), Outcome::Parked);
        let backup = pair.receiver.clone();
        pair.receiver.rows.failing.clear();
        let undo = pair.writes(UNDONE);
        pair.receives(undo);
        let told = pair.receipts();
        pair.hears(&told);
        pair.receiver = backup;
        pair.receiver.rows.failing.clear();
        pair.receiver_opens();
        assert_eq!(pair.finds(), Some(Health::ReceiverRegressed));
        pair.is_resynced();
        let parked = pair.receiver.received.parked.len();
        (pair.notified(), parked)
    }
    assert_eq!(left(Pair::new()), (UNDONE, 0));
    let (_, parked) = left(Pair::without(Rule::SweepParkedFirst));
    assert_eq!(parked, 1, "it would be brought back");
}

#[test]
fn a_new_store_under_an_old_name_is_noticed_and_the_old_ones_rows_are_swept() {
    fn heals(mut pair: Pair) -> (Option<Health>, Option<Value>, Outcome) {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        let love = pair.writes(LOVE);
        let late = pair.event(love);
        for id in [opening, like] {
            pair.receives(id);
        }
        pair.sender_is_new();
        pair.sender_opens();
        let opening = pair.opening();
        pair.receives(opening);
        let found = pair.finds();
        pair.is_resynced();
        let late = pair.receives_event(&late, Arrival::Background);
        (found, pair.notified(), late)
    }
    let another = Health::SenderRegressed(Suspicion::AnotherStore);
    assert_eq!(
        heals(Pair::new()),
        (Some(another), UNDONE, Outcome::Refused)
    );
    let (_, notified, _) = heals(Pair::without(Rule::SweepClosesOthers));
    assert_eq!(notified, LOVE, "what comes late brings it back");
    let (found, ..) = heals(Pair::without(Rule::OneStoreAName));
    assert_eq!(found, Some(Health::Sound), "unnoticed");
}

#[test]
fn a_sweep_waits_for_all_that_was_told_anew() {
    fn in_between(mut pair: Pair) -> Option<Value> {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        for id in [opening, like] {
            pair.receives(id);
        }
        pair.resyncs();
        let told = pair.announces();
        let (last, rest) = told.split_last().expect("a sweep");
        pair.receives(*last);
        pair.sweeps();
        let notified = pair.notified();
        rest.iter().for_each(|id| drop(pair.receives(*id)));
        pair.sweeps();
        assert_eq!(pair.notified(), LIKE);
        notified
    }
    assert_eq!(in_between(Pair::new()), LIKE);
    assert_eq!(
        in_between(Pair::without(Rule::SweepWhenComplete)),
        UNDONE,
        "a success is undone for a while"
    );
}

#[test]
fn what_a_resync_overtook_is_received_only_once_its_sweep_is() {
    fn told(mut pair: Pair) -> (Asks, Asks) {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        pair.receives(opening);
        pair.resyncs();
        let before = pair.accepts(0, LIKE, Dispatch::Background);
        for id in pair.announces() {
            pair.receives(id);
        }
        let receipts = pair.receipts();
        pair.hears(&receipts);
        assert!(!pair.receiver.received.inboxes.is_empty(), "{like:?}");
        (before, pair.accepts(0, LIKE, Dispatch::Background))
    }
    let stands = |received| Asks::Stands { received };
    assert_eq!(told(Pair::new()), (stands(false), stands(true)));
    let (before, _) = told(Pair::without(Rule::ReceivedOnceSwept));
    assert_eq!(before, stands(true), "nobody holds it");
}

#[test]
fn a_call_that_a_resync_overtook_is_not_taken_back() {
    let failed = |mut pair: Pair| {
        let call = pair.asks(0, LIKE).wrote();
        pair.resyncs();
        pair.fails(0, call)
    };
    assert_eq!(failed(Pair::new()), Compensated::Stands);
    let undone = failed(Pair::without(Rule::ResyncKeepsCalls));
    assert!(matches!(undone, Compensated::Undone(_)));
}

#[test]
fn new_epochs_are_above_what_a_receiver_holds_of_a_future_that_is_gone_though_the_clock_went_back()
{
    fn heals(mut pair: Pair) -> Option<Value> {
        let opening = pair.opening();
        pair.receives(opening);
        let backup = pair.sender.clone();
        pair.opened += 1_000_000; // its clock was ahead
        pair.sender_opens();
        let opening = pair.opening();
        pair.receives(opening);
        let like = pair.writes(LIKE);
        pair.receives(like);
        pair.sender = backup;
        pair.opened -= 1_000_000;
        pair.sender_opens();
        pair.writes(LOVE);
        pair.finds();
        pair.is_resynced();
        pair.notified()
    }
    assert_eq!(heals(Pair::new()), LOVE);
    assert_ne!(heals(Pair::without(Rule::EpochAboveSeen)), LOVE);
}

#[test]
fn a_lost_receiver_whose_clock_was_set_back_is_listened_to_after_a_resync() {
    fn stage(mut pair: Pair) -> Option<Stage> {
        let opening = pair.opening();
        let like = pair.writes(LIKE);
        for id in [opening, like] {
            pair.receives(id);
        }
        let told = pair.receipts();
        pair.hears(&told);
        let before = pair.receiver.incarnation;
        pair.receiver = ReceiverStore::default();
        let opened = std::mem::take(&mut pair.opened);
        pair.receiver_opens();
        pair.opened = opened;
        assert!(pair.receiver.incarnation < before);
        pair.is_resynced();
        assert_eq!(pair.notified(), LIKE);
        pair.stage()
    }
    assert_eq!(stage(Pair::new()), Some(Stage::Done));
    let ever = stage(Pair::without(Rule::ResyncForgetsIncarnations));
    assert_eq!(ever, Some(Stage::Sweeping));
}

#[test]
fn a_hello_that_was_asked_before_a_resync_was_done_says_nothing_of_what_it_swept() {
    fn late_answer(mut pair: Pair, while_it_ran: bool) -> Option<Health> {
        let opening = pair.opening();
        pair.receives(opening);
        pair.sender_is_new();
        pair.sender_opens();
        let first = pair.opening();
        if while_it_ran {
            pair.resyncs();
        }
        let mut machine = pair.machine(Path::Broker);
        if let Some((resync, stage)) = must(resync::standing(&mut pair.sender.outbox)) {
            machine.resync_known(&resync, stage);
        }
        let hello = machine.poll_hello(at(0)).expect("one is said at start");
        let answer = pair.answer();
        if !while_it_ran {
            pair.resyncs();
        }
        let told = pair.announces();
        pair.sends(&mut machine, at(1));
        let asked = machine.asked(&notification(), hello.id).expect("it waits");
        assert!(!answer.others.is_empty(), "the old store's lane is open");
        for id in told {
            pair.receives(id);
        }
        let receipts = pair.receipts();
        pair.hears(&receipts);
        assert_eq!(pair.stage(), Some(Stage::Done), "{first:?}");
        pair.judges(&asked, &answer)
    }
    for while_it_ran in [true, false] {
        let judged = late_answer(Pair::new(), while_it_ran);
        assert_eq!(judged, Some(Health::Resyncing));
        let false_alarm = late_answer(Pair::without(Rule::ResyncAsAsked), while_it_ran);
        let alarm = Health::SenderRegressed(Suspicion::AnotherStore);
        assert_eq!(false_alarm, Some(alarm));
    }
}

#[test]
fn one_that_joins_while_rows_are_told_anew_is_told_all_of_them() {
    fn told_to_the_newcomer(mut pair: Pair) -> usize {
        let like = pair.writes(LIKE);
        let row = pair.sender.rows.0[&key()].clone();
        for name in ["post/bob", "post/cy"] {
            let key = Key::new(name).expect("a short key");
            pair.sender.rows.0.insert(key, row.clone());
        }
        pair.resyncs();
        let at = pair.wall();
        let SenderStore { outbox, rows } = &mut pair.sender;
        let page = Page {
            rows: 2,
            at,
            generation: Generation::FIRST,
        };
        must(resync::announce(outbox, rows, page));
        let trending = ReceiverName::new("trending").expect("a short name");
        pair.opened += 1;
        let new = NewEpochs {
            wall: pair.wall(),
            random: pair.opened,
            generation: Generation::FIRST,
        };
        let to = [notification(), trending];
        let outbox = &mut pair.sender.outbox;
        must(membership::follow(outbox, &to, || new, &pair.rules));
        let told = pair.announces();
        assert!(told.iter().all(|id| id.source.epoch > like.source.epoch));
        told.len() - 2 // but for the first and the last
    }
    assert_eq!(told_to_the_newcomer(Pair::new()), 3);
    let later = told_to_the_newcomer(Pair::without(Rule::JoinRestartsResync));
    assert_eq!(later, 1, "the others were told before it joined");
}

#[test]
fn a_resync_that_began_below_what_a_receiver_holds_is_known_to_heal_nothing() {
    fn begins_too_low(mut pair: Pair) -> Option<Health> {
        pair.opened += 1_000_000; // the old store's clock was ahead
        pair.sender_opens();
        let opening = pair.opening();
        pair.receives(opening);
        pair.is_resynced();
        pair.opened -= 1_000_000;
        pair.sender_is_new();
        pair.sender_opens();
        pair.resyncs(); // before a hello told
        let found = pair.finds();
        pair.is_resynced();
        assert_eq!(pair.stage(), Some(Stage::Done));
        assert_eq!(pair.finds(), Some(Health::Sound), "healed by one more");
        found
    }
    let regressed = Health::SenderRegressed(Suspicion::UnknownEpoch);
    assert_eq!(begins_too_low(Pair::new()), Some(regressed));
    assert_eq!(
        begins_too_low(Pair::without(Rule::HelloTellsHighest)),
        Some(Health::Resyncing),
        "for ever"
    );
}
