//! Sending, sending again, and the inbox's bound.

use std::time::Duration;

use duet_protocol::event::EventId;
use duet_protocol::receive::Outcome;
use duet_protocol::route::Route;
use duet_protocol::rules::Rule;
use duet_protocol::sender::{Attempt, Backlog, BrokerPlace, MessageId, Path, Sender, Sent};
use duet_protocol::settings::{Canary, Mode, Percent};
use duet_protocol::time::Moment;

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

#[test]
fn what_takes_the_canarys_way_is_not_held_up_by_what_can_not_go_the_other() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let all = Percent::new(100).unwrap_or_default();
    let canary = |mode| Canary { mode, percent: all };
    let route = Route::new(Mode::Async, Some(canary(Mode::Sync)));
    machine.configure(policy(route), at(0));
    let like = pair.writes(LIKE);
    let sent = pair.sends(&mut machine, at(0));
    let ways: Vec<_> = sent.iter().map(|sent| sent.path).collect();
    // An epoch's opening is about no pair: it goes the channel's way.
    assert_eq!(ids(&sent), [opening, like]);
    assert_eq!(ways, [Path::Broker, Path::Call]);

    let not_sent = Sent::NotSent { retry_after: None };
    machine.transmitted(&notification(), sent[0].id, not_sent, at(0));
    let love = pair.writes(LOVE);
    assert_eq!(ids(&pair.sends(&mut machine, at(0))), [love]);

    // The canary ends, and what its way did not take goes the channel's.
    machine.transmitted(&notification(), sent[1].id, Sent::Unknown, at(1));
    machine.configure(policy(Route::all(Mode::Sync)), at(1));
    let sent = pair.sends(&mut machine, at(30));
    assert!(sent.iter().all(|sent| sent.path == Path::Call));
    assert_eq!(ids(&sent), [opening, like]);
}

#[test]
fn an_unanswered_publish_goes_again_under_its_name_and_what_was_lost_under_another() {
    fn names(mut pair: Pair) -> Vec<MessageId> {
        let mut machine = pair.machine(Path::Broker);
        let mut names = Vec::new();
        let stored = Sent::Stored(Some(BrokerPlace(1)));
        for (seconds, answer) in [(0, Sent::Unknown), (10, stored), (100, Sent::Unknown)] {
            let all_done = Backlog::Known {
                created: 1,
                last: BrokerPlace(1),
                ack_floor: BrokerPlace(1),
                outstanding: 0,
            };
            machine.backlog(&notification(), all_done, at(seconds));
            for sent in pair.sends(&mut machine, at(seconds)) {
                names.push(sent.message);
                machine.transmitted(&notification(), sent.id, answer.clone(), at(seconds));
            }
        }
        names
    }
    let [first, repeated, again] = names(Pair::new())[..] else {
        panic!("it is sent three times");
    };
    assert_eq!(first, repeated);
    assert_ne!(first, again, "the broker would drop it");
    let stored_twice = names(Pair::without(Rule::RepeatUnanswered));
    assert_ne!(stored_twice[0], stored_twice[1]);
}

#[test]
fn what_is_more_than_the_way_carries_waits_and_holds_up_no_other() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    machine.transmitted(&notification(), sent[0].id, Sent::TooLarge, at(0));
    let like = pair.writes(LIKE);
    assert_eq!(ids(&pair.sends(&mut machine, at(0))), [like]);
    // It is tried again, now and then.
    assert_eq!(ids(&pair.sends(&mut machine, at(60))), [opening]);
}

#[test]
fn what_is_more_than_the_way_carries_goes_ever_more_rarely_and_at_once_where_the_way_may_carry_more()
 {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let too_large = |pair: &mut Pair, machine: &mut Sender, now| {
        let sent = pair.sends(machine, now);
        for sent in &sent {
            assert_eq!(ids(std::slice::from_ref(sent)), [opening]);
            machine.transmitted(&notification(), sent.id, Sent::TooLarge, now);
        }
        !sent.is_empty()
    };
    let hour: Vec<u32> = (0..3_600)
        .filter(|second| too_large(&mut pair, &mut machine, at(*second)))
        .collect();
    let waits: Vec<u32> = hour.windows(2).map(|two| two[1] - two[0]).collect();
    for (wait, most) in waits.iter().zip([5, 10, 20, 40, 80, 160, 320, 600, 600]) {
        assert!((most / 2..=most + 1).contains(wait), "{most}: {waits:?}");
    }
    assert!((9..=14).contains(&waits.len()), "{waits:?}");

    // Ended: not by the time, but by what the way carries now, or may.
    assert!(!too_large(&mut pair, &mut machine, at(3_600)));
    machine.reconnected(Path::Broker, at(3_600));
    assert!(too_large(&mut pair, &mut machine, at(3_600)));
    let mut more = policy(Route::all(Mode::Async));
    more.broker.bytes *= 2;
    machine.configure(more, at(3_601));
    assert!(too_large(&mut pair, &mut machine, at(3_601)));
    assert!(!too_large(&mut pair, &mut machine, at(3_602)));
}

#[test]
fn a_new_connection_ends_the_ways_rest_and_both_the_receiver_and_its_broker_are_asked_at_once() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    assert!(machine.poll_hello(at(0)).is_some());
    let sent = pair.sends(&mut machine, at(0));
    let stored = Sent::Stored(Some(BrokerPlace(1)));
    machine.transmitted(&notification(), sent[0].id, stored, at(0));
    let is_asked = |seconds, machine: &mut Sender| machine.poll_backlog(at(seconds)).is_some();
    let asked = [0, 9, 10].map(|seconds| is_asked(seconds, &mut machine));
    assert_eq!(asked, [true, false, true]);

    let like = pair.writes(LIKE);
    let sent = pair.sends(&mut machine, at(10));
    let retry_after = Some(20 * SECOND);
    machine.transmitted(
        &notification(),
        sent[0].id,
        Sent::NotSent { retry_after },
        at(10),
    );
    let love = pair.writes(LOVE);
    assert!(pair.sends(&mut machine, at(11)).is_empty());
    assert!(!is_asked(11, &mut machine));
    machine.reconnected(Path::Broker, at(11));
    assert_eq!(ids(&pair.sends(&mut machine, at(11))), [love]);
    assert!(is_asked(11, &mut machine));
    assert!(machine.poll_hello(at(11)).is_some());

    // What did not go out was not sent.
    let again = pair.sends(&mut machine, at(30));
    let attempts = again.iter().flat_map(|sent| &sent.events);
    let attempts: Vec<_> = attempts
        .map(|(event, attempt)| (event.id(), *attempt))
        .collect();
    assert_eq!(attempts, [(like, Attempt::First)]);
    assert!(opening < like);
}

#[test]
fn what_a_receiver_has_no_room_for_it_is_sent_ever_more_rarely() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Call);
    let (mut waits, mut last) = (Vec::new(), Moment::START);
    for step in 0..6_000 {
        let now = Moment::START + Duration::from_millis(10) * step;
        for sent in pair.sends(&mut machine, now) {
            waits.push(now.since(last));
            last = now;
            let dropped = Sent::Answered(vec![Outcome::Dropped]);
            machine.transmitted(&notification(), sent.id, dropped, now);
        }
    }
    let between = |wait: Duration, least, most| (least..=most).contains(&wait.as_millis());
    assert!(between(waits[1], 50, 110), "{waits:?}");
    assert!(waits[8..].iter().all(|wait| between(*wait, 2_500, 5_010)));
    assert!(waits.len() > 15, "{waits:?}");
}
