//! What a sender's machine keeps in memory and reads back, and what it lets go.

use std::time::Duration;

use duet_protocol::event::EventId;
use duet_protocol::record::{Asked, HELLO_EPOCHS};
use duet_protocol::route::Route;
use duet_protocol::sender::{BrokerPlace, Load, Path, Policy, Sender, Sent, Timing, Transmission};
use duet_protocol::settings::{Canary, Mode, Percent};
use duet_protocol::time::Moment;

use crate::pair::*;
use crate::tables::Appended;

impl Pair {
    /// A machine that keeps so many events.
    fn keeps(&mut self, max_kept: usize) -> Sender {
        self.times(Timing {
            max_kept,
            ..Timing::default()
        })
    }

    fn times(&mut self, timing: Timing) -> Sender {
        self.machine_with(Path::Broker, timing)
    }

    /// The machine hears of what was committed, and sends nothing yet.
    fn tells(&mut self, machine: &mut Sender) {
        let appended = std::mem::take(&mut self.sender.outbox.appended);
        Appended::tell(machine, appended, at(0));
    }

    fn asked(&mut self, machine: &mut Sender, now: Moment) -> Asked {
        let hello = machine.poll_hello(now).expect("one is due");
        machine.asked(&notification(), hello.id).expect("it waits")
    }

    /// All of these arrive, and the machine hears of it.
    fn all_arrives(&mut self, machine: &mut Sender, ids: &[EventId]) {
        for id in ids {
            self.receives(*id);
        }
        let receipts = self.receipts();
        for recorded in self.hears(&receipts) {
            machine.recorded(&notification(), &recorded, at(0));
        }
    }
}

fn all_stored(machine: &mut Sender, sent: &[Transmission]) {
    for (place, sent) in (1..).zip(sent) {
        let stored = Sent::Stored(Some(BrokerPlace(place)));
        machine.transmitted(&notification(), sent.id, stored, at(0));
    }
}

fn kept(machine: &Sender) -> usize {
    machine.standing().kept
}

#[test]
fn no_more_is_kept_than_there_is_room_for_and_what_went_out_is_let_go() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.keeps(2);
    let writes = [LIKE, LOVE, LIKE, LOVE].map(|value| pair.writes(value));
    pair.tells(&mut machine);
    assert_eq!(kept(&machine), 2);
    let sent = pair.sends(&mut machine, at(0));
    let [first, second, third, fourth] = writes;
    assert_eq!(ids(&sent), [opening, first, second, third, fourth]);
    all_stored(&mut machine, &sent);
    assert_eq!(kept(&machine), 0);
}

#[test]
fn what_is_read_back_takes_the_place_of_what_is_sent_last() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.keeps(2);
    for value in [LIKE, LOVE, LIKE] {
        pair.writes(value);
    }
    pair.tells(&mut machine);
    assert!(
        machine.poll_transmit(at(0)).is_none(),
        "the first is not here"
    );
    let load = machine.poll_load().expect("it is read back");
    assert_eq!(
        (load.source, load.after),
        (opening.source, opening.sequence.previous())
    );
    assert_eq!(load.limit, 16, "a batch, whatever there is room for");
    let read = pair.sender.outbox.read(load.source, load.after, 1);
    machine.loaded(load, read, at(0));
    assert_eq!(kept(&machine), 2);
    let first = machine
        .poll_transmit(at(0))
        .expect("the first two are here");
    assert_eq!(first.events.len(), 2);
    assert_eq!(machine.poll_load(), None, "nothing is read before its turn");
}

/// Else memory is full of what another receiver waits for by the time that it has lingered again, and so on for ever.
#[test]
fn beside_a_canary_what_had_to_be_read_back_has_lingered_already() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.keeps(1);
    let canary = Canary {
        mode: Mode::Sync,
        percent: Percent::new(50).unwrap_or_default(),
    };
    let policy = Policy {
        linger: Duration::from_secs(1),
        ..policy(Route::new(Mode::Async, Some(canary)))
    };
    machine.configure(policy, at(0));
    pair.tells(&mut machine);
    assert!(machine.poll_transmit(at(1)).is_none(), "it is not here");
    let load = machine.poll_load().expect("it is read back");
    let read = pair.sender.outbox.read(load.source, load.after, load.limit);
    machine.loaded(load, read, at(1));
    let sent = machine.poll_transmit(at(1)).expect("it goes at once");
    assert_eq!(ids(&[sent]), [opening]);
}

#[test]
fn reads_that_are_under_way_at_once_share_the_room_that_is_left() {
    let mut pair = Pair::new();
    pair.sender_opens();
    pair.sender_opens();
    let mut machine = pair.keeps(600);
    pair.writes(LIKE);
    pair.tells(&mut machine);
    assert!(machine.poll_transmit(at(0)).is_none());
    let loads: Vec<Load> = std::iter::from_fn(|| machine.poll_load()).collect();
    let limits: Vec<usize> = loads.iter().map(|load| load.limit).collect();
    assert_eq!(limits, [256, 256, 600 - 1 - 512]);
    // Each gives back its share.
    for load in loads {
        let read = pair.sender.outbox.read(load.source, load.after, load.limit);
        machine.loaded(load, read, at(0));
    }
    assert_eq!(pair.sends(&mut machine, at(0)).len(), 3, "one a source");
}

#[test]
fn a_store_that_can_not_be_read_is_asked_again_only_after_a_while() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.times(Timing::default());
    assert!(machine.poll_transmit(at(0)).is_none());
    let load = machine.poll_load().expect("it is read back");
    assert!(machine.poll_transmit(at(0)).is_none());
    assert_eq!(machine.poll_load(), None, "one read is under way");
    machine.loaded(load, Vec::new(), at(0));
    assert!(machine.poll_transmit(at(0)).is_none());
    assert_eq!(machine.poll_load(), None);
    let again = at(0) + Timing::default().backoff_initial;
    assert!(
        machine.poll_hello(at(0)).is_some(),
        "else that would wake it"
    );
    assert_eq!(machine.wake_at(), Some(again));
    assert_eq!(ids(&pair.sends(&mut machine, again)), [opening]);
}

#[test]
fn what_is_received_is_known_by_watermark_and_by_runs() {
    let mut pair = Pair::new();
    let opening = pair.opening();
    let mut machine = pair.times(Timing::default());
    let [like, love] = [LIKE, LOVE].map(|value| pair.writes(value));
    let sent = pair.sends(&mut machine, at(0));
    all_stored(&mut machine, &sent);
    let received = |machine: &Sender| [opening, like, love].map(|id| machine.is_received(id));
    assert_eq!(received(&machine), [false, false, false]);
    pair.all_arrives(&mut machine, &[opening, love]);
    assert_eq!(received(&machine), [true, false, true]);
    pair.all_arrives(&mut machine, &[like]);
    assert_eq!(received(&machine), [true, true, true]);
    pair.writes(LIKE);
    pair.tells(&mut machine);
    assert_eq!(machine.unacknowledged(), 1);
}

#[test]
fn sources_that_are_received_whole_are_forgotten_but_for_the_newest_that_a_hello_is_about() {
    let mut pair = Pair::new();
    let mut machine = pair.times(Timing::default());
    let mut openings = vec![pair.opening()];
    for _ in 0..20 {
        pair.sender_opens();
        openings.push(pair.opening());
    }
    let mut gone_out = Vec::new();
    while gone_out.len() < openings.len() {
        let sent = pair.sends(&mut machine, at(0));
        all_stored(&mut machine, &sent);
        gone_out.extend(ids(&sent));
    }
    gone_out.sort();
    assert_eq!(gone_out, openings);
    // The third oldest is still to come, and what follows it is above a gap.
    let missing = openings.remove(2);
    pair.all_arrives(&mut machine, &openings);
    let asked = pair.asked(&mut machine, at(1));
    let sources: Vec<_> = asked.forgotten.iter().map(|(source, _)| *source).collect();
    assert_eq!(sources.len(), HELLO_EPOCHS + 1);
    assert_eq!(sources[0], missing.source);
    pair.all_arrives(&mut machine, &[missing]);
    machine.reconnected(Path::Broker, at(10));
    let asked = pair.asked(&mut machine, at(20));
    assert_eq!(asked.forgotten.len(), HELLO_EPOCHS);
    assert!(machine.is_received(missing));
}

#[test]
fn each_hello_has_a_name_of_its_own() {
    let mut pair = Pair::new();
    let mut machine = pair.times(Timing::default());
    let first = machine.poll_hello(at(0)).expect("one is said at start");
    let second = machine.poll_hello(at(10)).expect("nobody answered");
    assert!(second.id > first.id);
    // Nor does the next process give a name that an answer under way may bear.
    pair.sender_opens();
    let mut next = pair.times(Timing::default());
    let third = next.poll_hello(at(0)).expect("one is said at start");
    assert!(third.id > second.id);
}
