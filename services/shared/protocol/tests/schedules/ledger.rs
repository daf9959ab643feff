//! What counts and hashes can't see, and what an epoch that is closed has to prove.

use duet_protocol::ledger::Agreement;
use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::record::{Health, Suspicion};
use duet_protocol::rules::Rule;
use duet_protocol::sender::Path;

use crate::pair::*;
use crate::tables;

/// What the sender makes of the receiver's state, from what that tells now.
fn agreement(pair: &mut Pair) -> Option<Agreement> {
    let recorded = pair.hears(&pair.receipts());
    let last = recorded.last().and_then(|recorded| recorded.state);
    last.map(|(_, agreement)| agreement)
}

#[test]
fn schedule_19_an_event_that_is_marked_and_counted_and_whose_row_is_not_written_is_found_by_the_digest()
 {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    pair.receives(opening);
    pair.receiver.rows.loses_row = true;
    assert_eq!(pair.receives(like), Outcome::Applied(None));
    assert_eq!(pair.notified(), UNDONE);

    let mut machine = pair.machine(Path::Broker);
    let recorded = pair.hears(&pair.receipts());
    assert!(pair.is_received(like), "counts and hashes balance");
    assert_eq!(recorded[0].suspicion, None);
    machine.recorded(&notification(), &recorded[0], at(0));
    assert!(machine.standing().receivers[0].ledger_differs);

    // What puts the row right takes the difference away.
    let love = pair.writes(LOVE);
    pair.receives(love);
    let recorded = pair.hears(&pair.receipts());
    machine.recorded(&notification(), &recorded[0], at(1));
    assert!(!machine.standing().receivers[0].ledger_differs);
}

#[test]
fn schedule_19_without_comparing_the_state_nothing_is_said() {
    let mut pair = Pair::without(Rule::CompareState);
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    pair.receives(opening);
    pair.receiver.rows.loses_row = true;
    pair.receives(like);
    assert_eq!(agreement(&mut pair), None);
}

#[test]
fn the_state_is_compared_only_where_nothing_is_on_its_way_or_parked() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    pair.receives(opening);
    assert_eq!(agreement(&mut pair), None, "one is on its way");
    pair.receiver.rows.failing.insert(key());
    assert_eq!(pair.receives(like), Outcome::Parked);
    assert_eq!(agreement(&mut pair), None, "one is parked");
    pair.receiver.rows.failing.clear();
    let undone = pair.writes(UNDONE);
    assert_eq!(pair.receives(undone), Outcome::Applied(None));
    assert_eq!(agreement(&mut pair), None, "one is still parked");
}

#[test]
fn the_digest_goes_on_across_openings_and_through_undoing() {
    let mut pair = Pair::new();
    for value in [LIKE, LOVE, UNDONE, UNDONE, LIKE] {
        let opening = pair.opening();
        pair.receives(opening);
        if let Accepts::Wrote(id) = accepts(&mut pair, value) {
            pair.receives(id);
        }
        assert_ne!(agreement(&mut pair), Some(Agreement::Differs), "{value:?}");
        pair.sender_opens();
    }
    let opening = pair.opening();
    pair.receives(opening);
    assert_eq!(agreement(&mut pair), Some(Agreement::Agrees));
}

/// Whether a caller's wish in the background wrote an event.
enum Accepts {
    Wrote(duet_protocol::event::EventId),
    Nothing,
}

fn accepts(pair: &mut Pair, value: Option<tables::Value>) -> Accepts {
    if pair.row() == value {
        return Accepts::Nothing;
    }
    Accepts::Wrote(pair.writes(value))
}

#[test]
fn an_epoch_that_was_closed_over_another_events_content_is_not_forgotten() {
    fn left_in_the_outbox(mut pair: Pair) -> (usize, Option<Suspicion>) {
        let first = pair.opening();
        let like = pair.writes(LIKE);
        pair.receives(first);
        let other = tables::corrupted(&pair.event(like));
        pair.receives_event(&other, Arrival::Background); // its receipt is lost
        pair.sender_opens();
        let second = pair.opening();
        pair.receives(second);
        let recorded = pair.hears(&pair.receipts());
        (pair.sender.outbox.len(), recorded[0].suspicion)
    }
    let (left, suspicion) = left_in_the_outbox(Pair::new());
    assert_eq!((left, suspicion), (3, Some(Suspicion::HashDiffers)));
    let (left, suspicion) = left_in_the_outbox(Pair::without(Rule::ProveClosed));
    assert_eq!(
        (left, suspicion),
        (0, None),
        "it would be forgotten, and was never applied"
    );
}

#[test]
fn an_epoch_that_was_opened_after_a_hello_was_asked_is_no_alarm_however_much_of_it_is_forgotten() {
    let mut pair = Pair::new();
    let first = pair.opening();
    pair.receives(first);
    pair.hears(&pair.receipts());
    assert_eq!(pair.sender.outbox.len(), 0);
    let mut machine = pair.machine(Path::Broker);
    let hello = machine.poll_hello(at(0)).unwrap();
    let asked = machine.asked(&notification(), hello.id).unwrap();
    pair.sender_opens();
    let second = pair.opening();
    pair.receives(second);
    let answer = pair.answer(); // the question was long on its way
    let like = pair.writes(LIKE);
    pair.receives(like);
    pair.hears(&pair.receipts());
    assert_eq!(pair.sender.outbox.len(), 0);
    assert_eq!(pair.judges(&asked, &answer), Some(Health::Sound));
}
