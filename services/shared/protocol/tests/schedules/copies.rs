//! What a second copy, and what can't be applied, is answered with.

use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::rules::Rule;

use crate::pair::*;

#[test]
fn a_second_copy_is_answered_with_how_the_first_stands() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    for _ in 0..2 {
        assert_eq!(pair.receives(opening), Outcome::Applied(None));
        assert_eq!(pair.receives(like), Outcome::Applied(None));
    }
    let love = pair.writes(LOVE);
    assert_eq!(pair.receives(love), Outcome::Applied(None));
    assert_eq!(pair.receives(like), Outcome::Superseded);
    pair.receiver.rows.loses_row = true;
    let anew = pair.writes(LIKE);
    pair.receives(anew);
    assert_eq!(
        pair.receives(anew),
        Outcome::Refused,
        "its row is older: no success is claimed"
    );
    pair.receiver.rows.rows.clear();
    assert_eq!(pair.receives(love), Outcome::Refused);
}

#[test]
fn what_fails_in_the_background_is_parked_and_what_a_caller_waits_for_is_not() {
    fn fails(mut pair: Pair, arrival: Arrival) -> (Outcome, bool) {
        let like = pair.writes(LIKE);
        let event = pair.event(like);
        pair.receiver.rows.failing.insert(key());
        let outcome = pair.receives_event(&event, arrival);
        (outcome, pair.letter().is_some())
    }
    let (outcome, parked) = fails(Pair::new(), Arrival::Background);
    assert_eq!((outcome, parked), (Outcome::Parked, true));
    for (pair, arrival) in [
        (Pair::new(), Arrival::Inline),
        (Pair::without(Rule::ParkFirstFailure), Arrival::Background),
    ] {
        let (outcome, parked) = fails(pair, arrival);
        assert!(matches!(outcome, Outcome::Failed(_)) && !parked);
    }
}

#[test]
fn only_what_is_stored_or_never_will_be_is_final_and_only_what_is_done_is_delivered() {
    use duet_protocol::receive::Failure;
    let failed = Outcome::Failed(Failure::new("told to fail"));
    let of = |outcome: &Outcome| (outcome.is_final(), outcome.is_delivered());
    for done in [Outcome::Applied(None), Outcome::Superseded] {
        assert_eq!(of(&done), (true, true), "{done:?}");
    }
    for stored in [Outcome::Parked, Outcome::Dead, Outcome::Refused] {
        assert_eq!(of(&stored), (true, false), "{stored:?}");
    }
    for again in [Outcome::Dropped, Outcome::Late, failed] {
        assert_eq!(of(&again), (false, false), "{again:?}");
    }
}
