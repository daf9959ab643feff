//! What goes together in a request or a message, and how many of those are under way at once.

use std::time::Duration;

use duet_protocol::accept::Dispatch;
use duet_protocol::receive::Outcome;
use duet_protocol::route::Route;
use duet_protocol::sender::{Capacity, Path, Policy, Sender, Sent, Timing, Transmission, Urgency};
use duet_protocol::settings::{Canary, Mode, Percent};
use duet_protocol::time::Moment;

use crate::pair::*;

const MODES: [Mode; 2] = [Mode::Sync, Mode::Async];
const ROOM: Capacity = Capacity {
    events: 16,
    bytes: 1 << 20,
    in_flight: 16,
};

/// A pair whose receiver holds all there is, and a machine that sends by one way, of which a batch carries so much.
fn begins(mode: Mode, carries: Capacity) -> (Pair, Sender) {
    let mut pair = Pair::new();
    let opening = pair.opening();
    pair.receives(opening);
    pair.hears(&pair.receipts());
    let mut machine = pair.machine(mode.into());
    machine.configure(carrying(carries, Route::all(mode)), at(0));
    (pair, machine)
}

fn carrying(carries: Capacity, route: Route) -> Policy {
    Policy {
        call: carries,
        broker: carries,
        ..policy(route)
    }
}

/// Five writes: callers wait for them in `Sync`. How many of their events each batch has that goes out then.
fn batches(mode: Mode, carries: Capacity) -> Vec<usize> {
    let (mut pair, mut machine) = begins(mode, carries);
    let dispatch = match mode {
        Mode::Sync => Dispatch::Inline { deadline: at(2) },
        Mode::Async => Dispatch::Background,
    };
    for value in [LIKE, LOVE, LIKE, LOVE, LIKE] {
        pair.accepts(0, value, dispatch).wrote();
    }
    let sent = pair.sends(&mut machine, at(0));
    let is_awaited = |sent: &&Transmission| sent.urgency != Urgency::Background;
    let awaited = sent.iter().filter(is_awaited).count();
    assert_eq!(awaited, if mode == Mode::Sync { sent.len() } else { 0 });
    sent.iter().map(|sent| sent.events.len()).collect()
}

/// What one of those events weighs.
fn weight() -> usize {
    let mut pair = Pair::new();
    let like = pair.writes(LIKE);
    pair.event(like).weight()
}

#[test]
fn a_batch_is_as_large_as_its_way_carries_and_never_less_than_one_event() {
    let bytes = |bytes| Capacity { bytes, ..ROOM };
    for mode in MODES {
        assert_eq!(batches(mode, ROOM), [5]);
        assert_eq!(batches(mode, Capacity { events: 2, ..ROOM }), [2, 2, 1]);
        assert_eq!(batches(mode, bytes(2 * weight())), [2, 2, 1], "{mode}");
        assert_eq!(batches(mode, bytes(3 * weight() - 1)), [2, 2, 1], "{mode}");
        assert_eq!(batches(mode, bytes(1)), [1; 5], "each alone");
    }
}

#[test]
fn calls_of_two_epochs_do_not_share_a_request() {
    let (mut pair, mut machine) = begins(Mode::Sync, ROOM);
    let like = pair.asks(0, LIKE).wrote();
    pair.sender_opens();
    let love = pair.asks(0, LOVE).wrote();
    let sent = pair.sends(&mut machine, at(0));
    let awaited = sent
        .into_iter()
        .filter(|sent| sent.urgency != Urgency::Background);
    let awaited: Vec<_> = awaited.map(|sent| ids(&[sent])).collect();
    assert_eq!(awaited, [[like], [love]]);
}

#[test]
fn no_request_goes_out_for_a_caller_who_has_stopped_waiting() {
    for (seconds, goes_out) in [(1, true), (2, false), (3, false)] {
        let (mut pair, mut machine) = begins(Mode::Sync, ROOM);
        pair.asks(0, LIKE).wrote();
        let sent = pair.sends(&mut machine, at(seconds));
        assert_eq!(!sent.is_empty(), goes_out, "{seconds} s");
    }
}

#[test]
fn no_more_messages_are_under_way_than_the_way_bears_repeated_ones_included() {
    let carries = Capacity {
        events: 1,
        in_flight: 2,
        ..ROOM
    };
    let (mut pair, mut machine) = begins(Mode::Async, carries);
    let events = [LIKE, LOVE, LIKE, LOVE].map(|value| pair.writes(value));
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!(ids(&sent), events[..2]);
    machine.transmitted(&notification(), sent[0].id, Sent::Stored(None), at(0));
    let third = pair.sends(&mut machine, at(0));
    assert_eq!(ids(&third), events[2..3]);

    // The second is not answered, and goes again; with the third that is all.
    machine.transmitted(&notification(), sent[1].id, Sent::Unknown, at(0));
    assert_eq!(ids(&pair.sends(&mut machine, at(10))), events[1..2]);
    machine.transmitted(&notification(), sent[1].id, Sent::Stored(None), at(10));
    assert_eq!(ids(&pair.sends(&mut machine, at(10))), events[3..]);
}

#[test]
fn where_a_share_takes_another_way_what_does_not_fill_a_batch_lingers_too() {
    let (mut pair, mut machine) = begins(Mode::Async, ROOM);
    let linger = Duration::from_millis(5);
    let canary = Canary {
        mode: Mode::Sync,
        percent: Percent::new(1).unwrap_or_default(),
    };
    let route = Route::new(Mode::Async, Some(canary));
    let policy = Policy {
        linger,
        ..carrying(ROOM, route)
    };
    machine.configure(policy, at(0));
    let like = pair.writes(LIKE);
    assert!(pair.sends(&mut machine, at(0)).is_empty());
    assert_eq!(ids(&pair.sends(&mut machine, at(0) + linger)), [like]);
}

#[test]
fn a_machine_is_woken_when_something_awaits_to_be_looked_through_and_else_for_a_hello() {
    let (mut pair, mut machine) = begins(Mode::Sync, ROOM);
    let hello = machine.poll_hello(at(0)).expect("one is said at start");
    machine.judged(&notification(), hello.id, None, at(0));
    let quiet = machine.wake_at();
    pair.writes(LIKE);
    let sent = pair.sends(&mut machine, at(0));
    assert_eq!(machine.wake_at(), quiet, "it is on its way");
    let applied = Sent::Answered(vec![Outcome::Applied(None)]);
    machine.transmitted(&notification(), sent[0].id, applied, at(0));
    let scans: Moment = at(0) + Timing::default().scan_every;
    assert_eq!(machine.wake_at(), Some(scans));
    assert_eq!(sent[0].path, Path::Call);
}
