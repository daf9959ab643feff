//! What counts and hashes can't see, and what an epoch that is closed has to prove.

use std::convert::Infallible;
use std::num::NonZeroU32;

use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, Key};
use duet_protocol::ledger::Agreement;
use duet_protocol::receive::{Apply, Arrival, Failure, Outcome, Receiving};
use duet_protocol::record::{Health, Suspicion};
use duet_protocol::rules::Rule;
use duet_protocol::sender::Path;
use duet_protocol::sequence::{Lane, Version};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;

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

#[test]
fn a_row_that_is_lost_when_its_event_is_tried_again_is_found_by_the_digest_too() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    let event = pair.event(like);
    pair.receives(opening);
    pair.receiver.rows.failing.insert(key());
    assert_eq!(pair.receives(like), Outcome::Parked);
    pair.receiver.rows.failing.clear();
    pair.receiver.rows.loses_row = true;
    let tried = must(pair.with_receiving(|receiving| receiving.retry_parked(&event)));
    assert_eq!(tried, Outcome::Applied(None));
    assert_eq!(agreement(&mut pair), Some(Agreement::Differs));
}

#[test]
fn a_state_from_which_something_was_discarded_is_not_compared_unless_it_had_been_superseded() {
    fn discarded(undone_before: bool) -> Option<Agreement> {
        let mut pair = Pair::new();
        pair.delivery.max_attempts = NonZeroU32::MIN;
        let opening = pair.opening();
        pair.receives(opening);
        let like = pair.writes(LIKE);
        let event = pair.event(like);
        pair.receiver.rows.failing.insert(key());
        assert_eq!(pair.receives(like), Outcome::Dead);
        pair.receiver.rows.failing.clear();
        if undone_before {
            let undo = pair.writes(UNDONE);
            pair.receives(undo);
        }
        let discards = pair.with_receiving(|receiving| receiving.discard(&event));
        assert!(must(discards), "it was there");
        let inboxes = pair.receiver.received.inboxes.values();
        let counted: u64 = inboxes.map(|inbox| inbox.state.discarded).sum();
        assert_eq!(counted, u64::from(!undone_before));
        let remembered = &pair.receiver.received.discarded;
        assert_eq!(remembered.contains(&like), !undone_before);
        agreement(&mut pair)
    }
    assert_eq!(discarded(true), Some(Agreement::Agrees));
    assert_eq!(
        discarded(false),
        None,
        "it is not the same, nor meant to be"
    );
}

/// The rows of a service that does not say what it has.
struct Untold<'a>(&'a mut tables::NotificationRows);

impl Apply for Untold<'_> {
    type Error = Infallible;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, Infallible> {
        self.0.held(key)
    }

    fn applies_at(&mut self, now: Timestamp) {
        self.0.applies_at(now);
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Infallible> {
        self.0.apply(event, data)
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, Infallible> {
        self.0.tombstones(lane, up_to, limit)
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), Infallible> {
        self.0.drop_tombstone(key)
    }

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, Infallible> {
        self.0.sweep(sweep, after, limit)
    }
}

#[test]
fn a_service_that_does_not_say_what_it_has_is_not_compared_and_has_no_jobs() {
    let mut pair = Pair::new();
    let like = pair.writes(LIKE);
    let events = [pair.opening(), like].map(|id| pair.event(id));
    let now = pair.wall();
    let outcomes = Receiving {
        inbox: &mut pair.receiver.received,
        rows: &mut Untold(&mut pair.receiver.rows),
        receiver: &notification(),
        max_runs: pair.max_runs,
        now,
        delivery: &pair.delivery,
        seed: 1,
        rules: &pair.rules,
    }
    .receive(&events, Arrival::Background);
    assert_eq!(
        must(outcomes),
        [Outcome::Applied(None), Outcome::Applied(None)]
    );
    assert_eq!(agreement(&mut pair), None);
    assert!(pair.is_received(like));
}
