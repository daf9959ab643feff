//! Sending, sending again, and the inbox's bound.

use duet_protocol::event::EventId;
use duet_protocol::receive::Outcome;
use duet_protocol::rules::Rule;
use duet_protocol::sender::{Attempt, Backlog, BrokerPlace, Path, Sent};

use crate::pair::*;

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
    assert_eq!(over, Outcome::Applied(None), "the inbox grows");
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
