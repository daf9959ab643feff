//! What is told of how a sender stands.

use duet_protocol::sender::{Path, Standing};

use crate::pair::*;

#[test]
fn what_nobody_accepted_counts_as_unacknowledged_and_not_as_accepted() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let first = pair.writes(LIKE);
    pair.writes(LOVE);
    let mut machine = pair.machine(Path::Broker);
    let counts = |standing: Standing| {
        let openings = standing.receivers[0].openings;
        let accepted = (standing.accepted(), standing.receivers[0].accepted());
        (
            standing.unacknowledged,
            openings,
            accepted,
            standing.is_opening(),
        )
    };
    assert_eq!(counts(machine.standing()), (3, 1, (2, 2), true));
    for id in [opening, first] {
        pair.receives(id);
    }
    let receipts = pair.receipts();
    for recorded in pair.hears(&receipts) {
        machine.recorded(&notification(), &recorded, at(0));
    }
    assert_eq!(counts(machine.standing()), (1, 0, (1, 1), false));
    assert_eq!(machine.unacknowledged(), 1);
}

#[test]
fn a_message_is_named_by_what_is_in_it_and_by_which_sending_of_which_process_it_is() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.writes(LIKE);
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    let source = opening.source;
    let name = format!("{source}/1-2/1/{}", source.epoch);
    assert_eq!(sent[0].message.to_string(), name);
}
