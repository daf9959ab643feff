//! Stores that are opened anew, restored or lost; and how each end finds out.

use crate::tables::{ReceiverStore, Value, corrupted};
use duet_protocol::event::EventId;
use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::record::{Health, Suspicion};
use duet_protocol::rules::Rule;
use duet_protocol::sender::Path;

use crate::pair::*;

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
    let background = Arrival::Background;
    assert_eq!(
        pair.receives_event(&in_the_broker, background),
        Outcome::Refused
    );
    assert_eq!(pair.receives(love), Outcome::Applied(None));
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
        let outcome = pair.receives_event(&unsent, Arrival::Background);
        (outcome, pair.notified())
    }
    assert_eq!(the_late_one(Pair::new()), (Outcome::Superseded, UNDONE));
    assert_eq!(
        the_late_one(Pair::without(Rule::TombstoneUntilOlderEpochs)),
        (Outcome::Applied(None), LIKE),
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
fn schedule_9_an_epoch_that_was_opened_since_a_hello_was_asked_is_not_judged_by_its_answer() {
    let mut pair = Pair::new();
    let first = pair.opening();
    pair.receives(first);
    pair.hears(&pair.receipts());
    let mut machine = pair.machine(Path::Broker);
    let hello = machine.poll_hello(at(0)).unwrap();
    let asked = machine.asked(&notification(), hello.id).unwrap();
    // As when a receiver joins.
    pair.sender_opens();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    pair.receives(opening);
    let answer = pair.answer();
    pair.receives(like);
    pair.hears(&pair.receipts());
    assert_eq!(pair.sender.outbox.len(), 0);
    assert_eq!(pair.judges(&asked, &answer), Some(Health::Sound));
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
fn schedule_18_a_sender_says_hello_though_nothing_calls_for_it() {
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
        assert_eq!(machine.poll_hello(at(29)), None);
        let hello = machine.poll_hello(at(30))?;
        let asked = machine.asked(&notification(), hello.id)?;
        let answer = pair.answer();
        pair.judges(&asked, &answer)
    }
    assert_eq!(finds(Pair::new()), Some(Health::ReceiverRegressed));
    assert_eq!(finds(Pair::without(Rule::HelloNowAndThen)), None);
}

#[test]
fn a_receiver_that_was_lost_is_still_found_after_many_restarts_of_its_sender() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    pair.hears(&pair.receipts());
    pair.receiver = ReceiverStore::default();
    pair.receiver_opens();
    for _ in 0..40 {
        pair.sender_opens();
        let opening = pair.opening();
        pair.receives(opening);
        pair.hears(&pair.receipts());
    }
    let mut machine = pair.machine(Path::Broker);
    let hello = machine.poll_hello(at(0)).unwrap();
    let asked = machine.asked(&notification(), hello.id).unwrap();
    let answer = pair.answer();
    let health = pair.judges(&asked, &answer);
    assert_eq!(health, Some(Health::ReceiverRegressed));
}

#[test]
fn an_event_that_arrived_as_another_is_not_forgotten() {
    fn told(mut pair: Pair) -> (Option<Suspicion>, bool) {
        let opening = pair.opening();
        pair.receives(opening);
        let like = pair.writes(LIKE);
        let other = corrupted(&pair.event(like));
        pair.receives_event(&other, Arrival::Background);
        let recorded = pair.hears(&pair.receipts());
        (recorded[0].suspicion, pair.is_received(like))
    }
    assert_eq!(told(Pair::new()), (Some(Suspicion::HashDiffers), false));
    assert_eq!(told(Pair::without(Rule::CompareHash)), (None, true));
}
