//! What could not be applied, and is tried again when its key has moved on.

use std::num::NonZeroU32;

use duet_protocol::delivery::Parked;
use duet_protocol::receive::{Outcome, Receiving, Redriven};
use duet_protocol::rules::Rule;

use crate::pair::*;
use crate::tables::Value;

impl Pair {
    pub(crate) fn with_receiving<R>(
        &mut self,
        does: impl FnOnce(
            &mut Receiving<'_, crate::tables::Received, crate::tables::NotificationRows>,
        ) -> R,
    ) -> R {
        let (now, name) = (self.wall(), notification());
        does(&mut Receiving {
            inbox: &mut self.receiver.received,
            rows: &mut self.receiver.rows,
            receiver: &name,
            max_runs: self.max_runs,
            now,
            delivery: &self.delivery,
            seed: 1,
            rules: &self.rules,
        })
    }

    pub(crate) fn letter(&self) -> Option<Parked> {
        let mut letters = self.receiver.received.parked.values();
        letters.next().map(|(_, parked)| *parked)
    }
}

/// A reaction dies; undoing it is applied, and all before that is received.
fn a_dead_letter_and_its_undoing(pair: &mut Pair) -> duet_protocol::event::Event {
    pair.delivery.max_attempts = NonZeroU32::MIN;
    let opening = pair.opening();
    pair.receives(opening);
    let like = pair.writes(LIKE);
    let event = pair.event(like);
    pair.receiver.rows.failing.insert(key());
    assert_eq!(pair.receives(like), Outcome::Dead);
    pair.receiver.rows.failing.clear();
    let undo = pair.writes(UNDONE);
    assert_eq!(pair.receives(undo), Outcome::Applied(None));
    event
}

#[test]
fn schedule_8_a_dead_letter_holds_the_tombstone_and_its_redrive_brings_nothing_back() {
    fn redriven(mut pair: Pair) -> (Redriven, Option<Value>) {
        let event = a_dead_letter_and_its_undoing(&mut pair);
        let what = must(pair.with_receiving(|receiving| receiving.redrive(&event, false)));
        (what, pair.notified())
    }
    let superseded = Redriven::Tried(Outcome::Superseded);
    assert_eq!(redriven(Pair::new()), (superseded, UNDONE));
    assert_eq!(
        redriven(Pair::without(Rule::TombstoneWhileParked)),
        (Redriven::Tried(Outcome::Applied(None)), LIKE),
        "brought back"
    );
}

#[test]
fn what_is_discarded_is_applied_never_and_a_second_copy_claims_no_success() {
    let mut pair = Pair::new();
    let event = a_dead_letter_and_its_undoing(&mut pair);
    let discard = |pair: &mut Pair| must(pair.with_receiving(|it| it.discard(&event)));
    assert!(discard(&mut pair) && !discard(&mut pair));
    let again = must(pair.with_receiving(|receiving| receiving.redrive(&event, true)));
    assert_eq!(again, Redriven::Gone);
    let copy = pair.receives_event(&event, duet_protocol::receive::Arrival::Background);
    assert_eq!(copy, Outcome::Superseded);
    assert_eq!((pair.notified(), pair.letter()), (UNDONE, None));
}

#[test]
fn a_redrive_that_fails_again_waits_for_its_next_attempt_as_if_it_had_just_been_parked() {
    let mut pair = Pair::new();
    pair.delivery.max_attempts = NonZeroU32::new(2).expect("two");
    let opening = pair.opening();
    pair.receives(opening);
    let like = pair.writes(LIKE);
    let event = pair.event(like);
    pair.receiver.rows.failing.insert(key());
    assert_eq!(pair.receives(like), Outcome::Parked);
    let retry = |pair: &mut Pair| must(pair.with_receiving(|it| it.retry_parked(&event)));
    assert_eq!(retry(&mut pair), Outcome::Dead);
    assert_eq!(
        retry(&mut pair),
        Outcome::Dead,
        "by itself it is not tried again"
    );
    assert_eq!(pair.letter().map(|it| it.attempts), Some(2));
    let redrive = |pair: &mut Pair| must(pair.with_receiving(|it| it.redrive(&event, false)));
    assert_eq!(redrive(&mut pair), Redriven::Tried(Outcome::Parked));
    assert_eq!(
        pair.letter().map(|it| (it.attempts, it.redrives)),
        Some((1, 1))
    );
    pair.receiver.rows.failing.clear();
    assert_eq!(retry(&mut pair), Outcome::Applied(None));
    assert_eq!((pair.notified(), pair.letter()), (LIKE, None));
}
