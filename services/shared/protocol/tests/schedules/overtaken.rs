//! What is under way, or comes late, while a resync heals.

use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::record::{HELLO_EPOCHS, Health, Suspicion};
use duet_protocol::resync::{self, Stage};
use duet_protocol::rules::Rule;
use duet_protocol::sender::Path;

use crate::pair::*;
use crate::tables::ReceiverStore;

#[test]
fn what_comes_late_of_a_store_that_is_gone_is_noticed_while_receipts_come() {
    fn finds(mut pair: Pair) -> Option<Health> {
        pair.opened += 1_000_000; // the old store's clock was ahead
        pair.sender_opens();
        let opening = pair.opening();
        let late = pair.event(opening);
        pair.opened -= 1_000_000;
        pair.sender_is_new();
        pair.sender_opens();
        pair.is_resynced();
        let mut machine = pair.machine(Path::Broker);
        let hello = machine.poll_hello(at(0)).expect("one is said at start");
        machine.judged(&notification(), hello.id, Some(Health::Sound), at(1));
        let outcome = pair.receives_event(&late, Arrival::Background);
        assert_eq!(outcome, Outcome::Applied(None));
        for seconds in [10, 20] {
            let receipts = pair.receipts();
            let all = pair.hears(&receipts);
            assert!(all.iter().any(|recorded| !recorded.marks.is_empty()));
            for recorded in all {
                machine.recorded(&notification(), &recorded, at(seconds));
            }
        }
        let hello = machine.poll_hello(at(30))?;
        let asked = machine.asked(&notification(), hello.id)?;
        let answer = pair.answer();
        pair.judges(&asked, &answer)
    }
    let regressed = Health::SenderRegressed(Suspicion::UnknownEpoch);
    assert_eq!(finds(Pair::new()), Some(regressed));
    assert_eq!(finds(Pair::without(Rule::HelloNowAndThen)), None);
}

#[test]
fn a_hello_that_a_resync_overtook_says_nothing_of_an_incarnation_from_before_it() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    let told = pair.receipts();
    pair.hears(&told);
    let mut machine = pair.machine(Path::Broker);
    let hello = machine.poll_hello(at(0)).expect("one is said at start");
    let opened = std::mem::take(&mut pair.opened);
    pair.receiver = ReceiverStore::default(); // lost, and its clock set back
    pair.receiver_opens();
    let answer = pair.answer();
    let asked = machine.asked(&notification(), hello.id).expect("it waits");
    let found = pair.judges(&asked, &answer);
    assert_eq!(found, Some(Health::ReceiverRegressed));
    pair.opened = 1;
    pair.receiver_opens();
    pair.opened = opened;
    pair.is_resynced();
    pair.sends(&mut machine, at(1));
    let asked = machine.asked(&notification(), hello.id).expect("it waits");
    assert_eq!(pair.judges(&asked, &answer), None);
}

#[test]
fn a_resync_ends_though_its_sweep_was_received_many_restarts_ago() {
    let mut pair = Pair::new();
    pair.resyncs();
    let begins = pair.opening();
    pair.sender_opens();
    let sweeps = pair.announces();
    for id in sweeps {
        pair.receives(id);
        let told = pair.receipts();
        pair.hears(&told);
    }
    for _ in 0..HELLO_EPOCHS + 1 {
        pair.sender_opens();
        let opening = pair.opening();
        pair.receives(opening);
        let told = pair.receipts();
        pair.hears(&told);
    }
    assert_eq!(pair.stage(), Some(Stage::Sweeping));
    let mut machine = pair.machine(Path::Broker);
    let standing = must(resync::standing(&mut pair.sender.outbox));
    let (resync, stage) = standing.expect("one was begun");
    machine.resync_known(&resync, stage);
    pair.receives(begins);
    let told = pair.receipts();
    for recorded in pair.hears(&told) {
        machine.recorded(&notification(), &recorded, at(1));
    }
    assert_eq!(pair.stage(), Some(Stage::Done));
    assert!(!machine.is_resyncing());
}
