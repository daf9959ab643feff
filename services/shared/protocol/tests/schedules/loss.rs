//! What a broker loses: how it is found, what is told of it, and when it is not suspected.

use std::time::Duration;

use duet_protocol::event::EventId;
use duet_protocol::receive::Outcome;
use duet_protocol::record::Health;
use duet_protocol::rules::Rule;
use duet_protocol::sender::{Backlog, BrokerPlace, Lost, Path, Repair, Sender, Sent, Undelivered};

use crate::pair::*;

/// A pair whose sender has sent its first event through the broker, which stored it at place 1.
fn stored(mut pair: Pair) -> (Pair, Sender, EventId) {
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!(ids(&sent), [opening]);
    let place = Sent::Stored(Some(BrokerPlace(1)));
    machine.transmitted(&notification(), sent[0].id, place, at(0));
    (pair, machine, opening)
}

/// A broker whose consumer was made then, and which is done with all up to a place.
fn done(created: u64, last: u64) -> Backlog {
    Backlog::Known {
        created,
        last: BrokerPlace(last),
        ack_floor: BrokerPlace(last),
        outstanding: 0,
    }
}

fn hears_all(pair: &mut Pair, machine: &mut Sender, seconds: u32) {
    let receipts = pair.receipts();
    for recorded in pair.hears(&receipts) {
        machine.recorded(&notification(), &recorded, at(seconds));
    }
}

#[test]
fn what_a_stream_made_anew_had_held_is_sent_at_once_and_told_as_repaired_when_it_is_received() {
    let (mut pair, mut machine, opening) = stored(Pair::new());
    machine.backlog(&notification(), done(1, 1), at(1));
    machine.backlog(&notification(), done(2, 0), at(2));
    let again = pair.sends(&mut machine, at(2));
    assert_eq!(ids(&again), [opening]);
    assert_eq!(machine.standing().receivers[0].lost, 1);
    assert_eq!(machine.poll_repair(), None, "nobody has it yet");

    pair.receives(opening);
    hears_all(&mut pair, &mut machine, 3);
    let repair = Repair {
        receiver: notification(),
        why: Lost::Reset,
        events: 1,
    };
    assert_eq!(machine.poll_repair(), Some(repair));
    assert_eq!(machine.poll_repair(), None);
    assert_eq!(machine.standing().receivers[0].lost, 0);

    let (mut pair, mut machine, _) = stored(Pair::without(Rule::StreamReset));
    machine.backlog(&notification(), done(1, 1), at(1));
    machine.backlog(&notification(), done(2, 0), at(2));
    assert!(pair.sends(&mut machine, at(2)).is_empty());
}

#[test]
fn what_the_broker_is_done_with_and_the_receiver_says_it_lacks_is_sent_again_at_once() {
    let sent_again = |receiver_has_it, rules: Pair| {
        let (mut pair, mut machine, opening) = stored(rules);
        let answered = |machine: &mut Sender, seconds| {
            let hello = machine.poll_hello(at(seconds)).expect("one is due");
            machine.judged(&notification(), hello.id, Some(Health::Sound), at(seconds));
        };
        answered(&mut machine, 0);
        // Somebody purges it; or it is received, and each receipt gets lost.
        if receiver_has_it {
            pair.receives(opening);
        }
        machine.backlog(&notification(), done(1, 1), at(10));
        assert_eq!(machine.poll_hello(at(10)), None, "a receipt may be coming");
        assert!(pair.sends(&mut machine, at(19)).is_empty());
        machine.backlog(&notification(), done(1, 1), at(20));
        if receiver_has_it {
            hears_all(&mut pair, &mut machine, 20);
        }
        assert!(pair.sends(&mut machine, at(20)).is_empty());
        answered(&mut machine, 20);
        let again = ids(&pair.sends(&mut machine, at(21)));
        // It is not asked again for what it was asked for.
        machine.backlog(&notification(), done(1, 1), at(30));
        assert_eq!(machine.poll_hello(at(30)), None);
        again == [opening]
    };
    assert!(sent_again(false, Pair::new()));
    assert!(!sent_again(true, Pair::new()));
    assert!(!sent_again(false, Pair::without(Rule::LossByPlace)));
}

#[test]
fn what_arrives_by_itself_is_no_loss() {
    let (mut pair, mut machine, opening) = stored(Pair::new());
    pair.receives(opening);
    hears_all(&mut pair, &mut machine, 1);
    assert_eq!(machine.poll_repair(), None);
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_one_that_can_not_say_is_suspected() {
    let hour = 3_600;
    let sent_again = |backlog, path| {
        let (mut pair, mut machine, opening) = stored(Pair::new());
        if path == Path::Call {
            let route = duet_protocol::route::Route::all(duet_protocol::settings::Mode::Sync);
            machine.configure(policy(route), at(1));
        }
        machine.backlog(&notification(), backlog, at(2));
        let again = ids(&pair.sends(&mut machine, at(hour)));
        assert!(again.is_empty() || again == [opening]);
        !again.is_empty()
    };
    assert!(sent_again(Backlog::Unknown, Path::Broker));
    assert!(!sent_again(Backlog::Away, Path::Broker));
    // It goes another way now, and need not wait for a broker that may never be back.
    assert!(sent_again(Backlog::Away, Path::Call));
}

#[test]
fn a_broker_that_is_back_says_what_it_still_has() {
    let (mut pair, mut machine, opening) = stored(Pair::new());
    machine.backlog(&notification(), Backlog::Away, at(2));
    assert!(pair.sends(&mut machine, at(600)).is_empty());
    let holds = Backlog::Known {
        created: 1,
        last: BrokerPlace(1),
        ack_floor: BrokerPlace(0),
        outstanding: 1,
    };
    machine.backlog(&notification(), holds, at(601));
    assert!(pair.sends(&mut machine, at(1_200)).is_empty());
    machine.backlog(&notification(), done(1, 0), at(1_201));
    assert_eq!(ids(&pair.sends(&mut machine, at(1_202))), [opening]);
}

#[test]
fn an_ack_floor_that_goes_back_takes_nothing_for_lost() {
    let (mut pair, mut machine, _) = stored(Pair::new());
    let floor = |ack_floor, outstanding| Backlog::Known {
        created: 1,
        last: BrokerPlace(9),
        ack_floor: BrokerPlace(ack_floor),
        outstanding,
    };
    machine.backlog(&notification(), floor(0, 9), at(1));
    for (seconds, ack_floor) in [(2, 5), (3, 0), (30, 0)] {
        machine.backlog(
            &notification(),
            floor(ack_floor, 9 - ack_floor),
            at(seconds),
        );
        assert!(pair.sends(&mut machine, at(seconds)).is_empty());
    }
    // What it was once done with is judged by the first time, also if it is given out again.
    assert_eq!(pair.sends(&mut machine, at(62)).len(), 1);
}

#[test]
fn a_publish_that_is_answered_twice_counts_once() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    let place = |place| Sent::Stored(Some(BrokerPlace(place)));
    machine.transmitted(&notification(), sent[0].id, place(1), at(0));
    machine.transmitted(&notification(), sent[0].id, place(1), at(0));
    machine.transmitted(&notification(), sent[0].id, Sent::Unknown, at(0));
    assert!(pair.sends(&mut machine, at(30)).is_empty());
    pair.receives(opening);
    hears_all(&mut pair, &mut machine, 31);
    assert_eq!(machine.standing().unacknowledged, 0);
}

#[test]
fn what_stays_undelivered_is_told_and_sent_ever_more_rarely() {
    let (mut pair, mut machine, opening) = stored(Pair::new());
    let mut sent_at = vec![0];
    for seconds in 1..7_200 {
        let last = sent_at.len() as u64;
        machine.backlog(&notification(), done(1, last), at(seconds));
        for transmission in pair.sends(&mut machine, at(seconds)) {
            sent_at.push(seconds);
            let place = Sent::Stored(Some(BrokerPlace(last + 1)));
            machine.transmitted(&notification(), transmission.id, place, at(seconds));
        }
        let told = machine.standing().receivers[0].undelivered;
        let often = sent_at.len() >= 5;
        let expected = often.then_some(Undelivered {
            events: 1,
            first: opening,
            sends: sent_at.len() as u32,
        });
        assert_eq!(told, expected, "{seconds} s, {sent_at:?}");
    }
    let waits: Vec<u32> = sent_at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(
        waits[..5].iter().all(|wait| (60..=63).contains(wait)),
        "{waits:?}"
    );
    let longest = Duration::from_secs(660 + 3);
    let is_bounded = |wait: &u32| Duration::from_secs(u64::from(*wait)) <= longest;
    assert!(
        waits.iter().all(is_bounded) && waits.last() > Some(&300),
        "{waits:?}"
    );
    assert!(sent_at.len() < 25, "{sent_at:?}");
}

#[test]
fn what_was_overtaken_is_sent_again_though_another_holds_up_what_the_broker_is_done_with() {
    fn sent_again(mut pair: Pair) -> Vec<EventId> {
        let mut machine = pair.machine(Path::Broker);
        let mut events = vec![pair.opening()];
        for place in 1..=3 {
            for sent in pair.sends(&mut machine, at(0)) {
                let stored = Sent::Stored(Some(BrokerPlace(place)));
                machine.transmitted(&notification(), sent.id, stored, at(0));
            }
            events.push(pair.writes([LIKE, LOVE][place as usize % 2]));
        }
        // The first is with a consumer that never settles it; the second is lost.
        let held_up = Backlog::Known {
            created: 1,
            last: BrokerPlace(3),
            ack_floor: BrokerPlace(0),
            outstanding: 1,
        };
        pair.receives(events[2]);
        hears_all(&mut pair, &mut machine, 1);
        let mut again = Vec::new();
        for seconds in 1..600 {
            machine.backlog(&notification(), held_up, at(seconds));
            machine.scan(at(seconds));
        }
        again.extend(ids(&pair.sends(&mut machine, at(600))));
        again.retain(|id| *id == events[1]);
        again
    }
    assert_eq!(sent_again(Pair::new()).len(), 1);
    let never = sent_again(Pair::without(Rule::LossByOrder));
    assert_eq!(never, []);
}

#[test]
fn an_answer_that_says_nothing_is_no_word_that_the_receiver_lacks_it() {
    let (mut pair, mut machine, _) = stored(Pair::new());
    let hello = machine.poll_hello(at(0)).expect("one is said at start");
    machine.judged(&notification(), hello.id, Some(Health::Sound), at(0));
    for seconds in [10, 20] {
        machine.backlog(&notification(), done(1, 1), at(seconds));
    }
    let hello = machine
        .poll_hello(at(20))
        .expect("a receipt would have come");
    machine.judged(&notification(), hello.id, None, at(20));
    assert!(pair.sends(&mut machine, at(20)).is_empty());
}

#[test]
fn the_receiver_is_not_asked_for_what_the_broker_still_has_to_hand_out() {
    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    let place = Sent::Stored(Some(BrokerPlace(5)));
    machine.transmitted(&notification(), sent[0].id, place, at(0));
    let hello = machine.poll_hello(at(0)).expect("one is said at start");
    machine.judged(&notification(), hello.id, Some(Health::Sound), at(0));
    let before_ours = Backlog::Known {
        created: 1,
        last: BrokerPlace(5),
        ack_floor: BrokerPlace(4),
        outstanding: 1,
    };
    for seconds in [10, 20] {
        machine.backlog(&notification(), before_ours, at(seconds));
        assert_eq!(machine.poll_hello(at(seconds)), None);
    }
}

#[test]
fn a_broker_is_asked_only_while_something_that_it_took_awaits_a_receipt() {
    let (mut pair, mut machine, opening) = stored(Pair::new());
    assert_eq!(machine.poll_backlog(at(0)), Some(notification()));
    pair.receives(opening);
    hears_all(&mut pair, &mut machine, 1);
    assert_eq!(machine.poll_backlog(at(100)), None);

    let mut pair = Pair::new();
    let mut machine = pair.machine(Path::Call);
    assert_eq!(machine.poll_backlog(at(0)), None);
    let sent = pair.sends(&mut machine, at(0));
    let applied = Sent::Answered(vec![Outcome::Applied(None)]);
    machine.transmitted(&notification(), sent[0].id, applied, at(0));
    assert_eq!(machine.poll_backlog(at(0)), None, "it went another way");
}

#[test]
fn what_went_in_one_message_does_not_overtake_itself() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let like = pair.writes(LIKE);
    let mut machine = pair.machine(Path::Broker);
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!((sent.len(), ids(&sent)), (1, vec![opening, like]));
    let place = Sent::Stored(Some(BrokerPlace(1)));
    machine.transmitted(&notification(), sent[0].id, place, at(0));
    pair.receives(like);
    hears_all(&mut pair, &mut machine, 1);
    let holds = Backlog::Known {
        created: 1,
        last: BrokerPlace(1),
        ack_floor: BrokerPlace(0),
        outstanding: 1,
    };
    machine.backlog(&notification(), holds, at(2));
    assert!(pair.sends(&mut machine, at(600)).is_empty());
}

#[test]
fn what_was_lost_and_arrives_after_all_before_it_is_sent_again_leaves_nothing_to_ask_a_broker_for()
{
    let (mut pair, mut machine, opening) = stored(Pair::new());
    machine.backlog(&notification(), done(1, 1), at(1));
    machine.backlog(&notification(), done(2, 0), at(2));
    pair.receives(opening);
    hears_all(&mut pair, &mut machine, 3);
    assert!(pair.sends(&mut machine, at(4)).is_empty());
    assert_eq!(machine.poll_backlog(at(100)), None);
}

#[test]
fn all_that_stays_undelivered_is_counted_over_all_sources() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.writes(LIKE);
    pair.sender_opens();
    let mut machine = pair.machine(Path::Broker);
    for (place, seconds) in (0..5).zip((0..).step_by(1_000)) {
        for sent in pair.sends(&mut machine, at(seconds)) {
            let stored = Sent::Stored(Some(BrokerPlace(place)));
            machine.transmitted(&notification(), sent.id, stored, at(seconds));
        }
        machine.backlog(&notification(), Backlog::Unknown, at(seconds));
    }
    let told = Undelivered {
        events: 3,
        first: opening,
        sends: 5,
    };
    assert_eq!(machine.standing().receivers[0].undelivered, Some(told));
}
