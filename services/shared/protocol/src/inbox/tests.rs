use std::collections::BTreeSet;

use super::*;
use crate::event::TraceContext;
use crate::sequence::{Source, StoreId};
use crate::settings::Generation;
use crate::time::Timestamp;

/// Three epochs of 2, 1 and 2 events: each opens with its seal of the one before.
const LASTS: [u64; 3] = [2, 1, 2];

fn lane() -> Lane {
    Lane {
        store: StoreId(1),
        partitions: 1,
        ..Lane::default()
    }
}

fn epoch(index: usize) -> Epoch {
    Epoch(10 * (index as u64 + 1))
}

fn event(source: Source, sequence: u64, body: Body) -> Event {
    Event {
        source,
        sequence: Sequence(sequence),
        time: Timestamp::default(),
        body,
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

/// What an epoch's event at a place says; only `opened` matters to the inbox.
fn numbered(index: usize, sequence: u64) -> Event {
    let previous = index.checked_sub(1).map(|before| Seal {
        epoch: epoch(before),
        last: Sequence(LASTS[before]),
    });
    let data = crate::event::Data {
        kind: "set".into(),
        key: crate::event::Key::new("key").unwrap(),
        json: bytes::Bytes::new(),
    };
    let body = match sequence {
        1 => Body::Opened {
            previous,
            joined: Vec::new(),
        },
        _ => Body::Data(data),
    };
    event(lane().source(epoch(index)), sequence, body)
}

fn name() -> ReceiverName {
    ReceiverName::new("n").unwrap()
}

/// Epoch `index`'s first event, with which this receiver joins.
fn joins(index: usize) -> Event {
    let mut opened = numbered(index, 1);
    if let Body::Opened { joined, .. } = &mut opened.body {
        joined.push(name());
    }
    opened
}

fn receive(inbox: &mut Inbox, event: &Event) -> Standing {
    let standing = inbox.standing(event, Inbox::MAX_RUNS, &Rules::default());
    if standing == Standing::New {
        inbox.insert(event, &name(), &Rules::default());
    }
    standing
}

fn every_order(left: &mut Vec<Event>, taken: &mut Vec<Event>, check: &impl Fn(&[Event])) {
    check(taken);
    for at in 0..left.len() {
        taken.push(left.remove(at));
        every_order(left, taken, check);
        left.insert(at, taken.pop().unwrap());
    }
}

#[test]
fn in_every_order_the_inbox_holds_what_it_received_and_closes_only_what_is_complete() {
    let all: Vec<Event> = (0..LASTS.len())
        .flat_map(|index| (1..=LASTS[index]).map(move |sequence| numbered(index, sequence)))
        .collect();
    every_order(&mut all.clone(), &mut Vec::new(), &|taken| {
        let mut inbox = Inbox::default();
        for event in taken {
            assert_eq!(receive(&mut inbox, event), Standing::New);
        }
        let held: BTreeSet<Version> = taken.iter().map(Event::version).collect();
        let holds = |event: &&Event| held.contains(&event.version());
        let lowest_open = inbox.lowest_open();
        let below = all.iter().filter(|event| event.source.epoch < lowest_open);
        assert!(below.clone().all(|event| holds(&event)), "{taken:?}");
        let complete = inbox.complete_up_to();
        let up_to = all.iter().filter(|event| event.version() <= complete);
        assert!(up_to.clone().all(|event| holds(&event)), "{taken:?}");
        for event in &all {
            let standing = inbox.standing(event, Inbox::MAX_RUNS, &Rules::default());
            let seen = matches!(standing, Standing::Copy | Standing::Closed);
            assert_eq!(seen, holds(&event), "{standing:?}");
        }
        for receipt in inbox.receipts(lane(), &name(), Epoch(1)) {
            let up_to = taken.iter().filter(|event| {
                event.source == receipt.source && event.sequence <= receipt.watermark
            });
            let hash = up_to.fold(RollingHash::default(), |sum, event| sum + event.hash());
            assert_eq!(hash, receipt.hash);
        }
        if taken.len() == all.len() {
            assert_eq!(inbox.epochs.len(), 1, "all but the last are closed");
            assert_eq!(lowest_open, epoch(2));
        }
    });
}

#[test]
fn what_lies_beyond_an_end_or_between_linked_epochs_is_from_a_store_that_is_gone() {
    let mut inbox = Inbox::default();
    receive(&mut inbox, &numbered(0, 1));
    receive(&mut inbox, &numbered(1, 1));
    assert_eq!(receive(&mut inbox, &numbered(0, 3)), Standing::Gone);
    let between = lane().source(Epoch(15));
    let opened = Body::Opened {
        previous: None,
        joined: Vec::new(),
    };
    assert_eq!(
        receive(&mut inbox, &event(between, 1, opened)),
        Standing::Gone
    );
    assert_eq!(receive(&mut inbox, &numbered(0, 2)), Standing::New);
}

#[test]
fn an_epoch_that_holds_more_than_its_end_is_never_closed() {
    let mut inbox = Inbox::default();
    for event in [
        numbered(0, 1),
        numbered(0, 2),
        numbered(0, 3),
        numbered(1, 1),
    ] {
        receive(&mut inbox, &event);
    }
    assert_eq!(inbox.lowest_open(), epoch(0));
}

#[test]
fn a_receiver_begins_with_the_epoch_that_it_joined_with() {
    for before in [vec![], vec![numbered(0, 1)], vec![numbered(2, 2)]] {
        let mut inbox = Inbox::default();
        for event in before.iter().chain([&joins(2)]) {
            assert_eq!(receive(&mut inbox, event), Standing::New);
        }
        assert_eq!(inbox.lowest_open(), epoch(2), "{before:?}");
        assert_eq!(receive(&mut inbox, &numbered(1, 1)), Standing::Closed);
        assert_eq!(receive(&mut inbox, &numbered(0, 2)), Standing::Closed);
    }
}

#[test]
fn over_the_cap_only_what_opens_a_run_is_left_out() {
    let mut inbox = Inbox::default();
    let standing =
        |inbox: &Inbox, sequence| inbox.standing(&numbered(2, sequence), 1, &Rules::default());
    receive(&mut inbox, &numbered(2, 5));
    assert_eq!(standing(&inbox, 9), Standing::OverCap);
    assert_eq!(standing(&inbox, 6), Standing::New);
    assert_eq!(standing(&inbox, 1), Standing::New);
}

/// All three epochs up to a sweep of what is older than the first of them.
fn up_to_a_sweep() -> Vec<Event> {
    let sweep = Body::Sweep { below: epoch(0) };
    vec![
        numbered(0, 1),
        numbered(0, 2),
        numbered(1, 1),
        numbered(2, 1),
        event(lane().source(epoch(2)), 2, sweep),
    ]
}

fn received(events: &[Event]) -> Inbox {
    let mut inbox = Inbox::default();
    for event in events {
        assert_eq!(receive(&mut inbox, event), Standing::New);
    }
    inbox
}

#[test]
fn a_sweep_is_carried_out_once_all_from_its_epoch_up_to_it_is_received_in_whatever_order() {
    let all = up_to_a_sweep();
    every_order(&mut all.clone(), &mut Vec::new(), &|taken| {
        let mut inbox = received(taken);
        let is_all = taken.len() == all.len();
        let due = inbox.carry_out(&Rules::default());
        assert_eq!(due, is_all.then_some(epoch(0)), "{taken:?}");
        assert_eq!(inbox.swept, due.unwrap_or_default());
        assert_eq!(inbox.carry_out(&Rules::default()), None, "once");
    });
}

#[test]
fn a_sweep_is_carried_out_though_its_epoch_was_closed_in_the_meantime() {
    let seal = Seal {
        epoch: epoch(2),
        last: Sequence(2),
    };
    let opened = Body::Opened {
        previous: Some(seal),
        joined: Vec::new(),
    };
    let mut inbox = received(&up_to_a_sweep());
    receive(&mut inbox, &event(lane().source(epoch(3)), 1, opened));
    assert_eq!(inbox.lowest_open(), epoch(3));
    assert_eq!(inbox.carry_out(&Rules::default()), Some(epoch(0)));
}

#[test]
fn what_is_missing_of_older_epochs_holds_up_no_sweep_and_what_is_missing_in_between_does() {
    let sweep = Body::Sweep { below: epoch(1) };
    let sweep = event(lane().source(epoch(2)), 2, sweep);
    let all = [numbered(1, 1), numbered(2, 1), sweep.clone()];
    let carried_out = |inbox: &mut Inbox| inbox.carry_out(&Rules::default());
    assert_eq!(carried_out(&mut received(&all)), Some(epoch(1)));
    assert_eq!(carried_out(&mut received(&all[1..])), None);

    // Nor is its own epoch whole because it is the first that concerns this receiver.
    let later = event(lane().source(epoch(2)), 3, sweep.body);
    let mut inbox = received(&[joins(2), later]);
    assert_eq!(inbox.floor, epoch(2));
    assert_eq!(carried_out(&mut inbox), None);
}

#[test]
fn of_two_sweeps_the_newer_is_the_one_that_waits() {
    let sweep = |sequence, below| {
        let body = Body::Sweep {
            below: epoch(below),
        };
        event(lane().source(epoch(2)), sequence, body)
    };
    for order in [[2, 3], [3, 2]] {
        let inbox = received(&order.map(|at| sweep(at, at as usize - 2)));
        let waits = inbox.sweep.map(|sweep| (sweep.below, sweep.at.sequence));
        assert_eq!(waits, Some((epoch(1), Sequence(3))), "{order:?}");
    }
}

#[test]
fn what_is_received_is_told_and_counted_event_by_event_also_above_gaps() {
    let taken = [
        numbered(1, 1),
        numbered(2, 3),
        numbered(2, 4),
        numbered(2, 6),
    ];
    let inbox = received(&taken);
    let counts: Vec<u64> = inbox.epochs.values().map(EpochInbox::received).collect();
    assert_eq!(counts, [0, 1, 3], "of the first only its end is known");
    assert!(taken.iter().all(|event| inbox.holds(event.id())));
    for missing in [
        numbered(0, 1),
        numbered(2, 1),
        numbered(2, 5),
        numbered(2, 7),
    ] {
        assert!(!inbox.holds(missing.id()), "{:?}", missing.id());
    }
}

#[test]
fn what_lies_in_a_closed_epoch_is_held_and_is_counted_elsewhere() {
    let mut inbox = received(&[numbered(0, 1), numbered(0, 2), numbered(1, 1)]);
    assert_eq!(inbox.lowest_open(), epoch(1));
    let (closed, open) = (numbered(0, 2), numbered(1, 1));
    assert!(inbox.holds(closed.id()) && inbox.holds(open.id()));
    assert!(!inbox.holds(numbered(1, 2).id()));
    assert!(!received(&[joins(1)]).holds(numbered(1, 2).id()));
    assert!(!inbox.count(&closed, Ending::Applied, true));
    assert!(inbox.count(&open, Ending::Applied, true));
    assert!(inbox.count(&numbered(2, 1), Ending::Own, false), "it opens");
    let applied = |at| inbox.epochs[&at].endings.applied;
    assert_eq!((applied(epoch(1)), applied(epoch(2))), (1, 0));
    assert_eq!(inbox.epochs[&epoch(2)].endings.own, 1);
}

#[test]
fn the_digest_is_of_all_rows_since_it_joined_and_is_told_only_where_it_can_be_compared() {
    let mut inbox = received(&[joins(1), numbered(1, 2)]);
    inbox.state.is_told = true;
    let digest = |inbox: &Inbox| inbox.digest().map(|hash| hash.0);
    inbox.state_changed(epoch(0), RollingHash(1)); // of a row from before
    inbox.state_changed(epoch(1), RollingHash(2));
    assert_eq!(digest(&inbox), Some(2));
    inbox.close_below(epoch(2));
    assert_eq!(digest(&inbox), Some(2), "the rows of what is closed stand");
    inbox.state_changed(epoch(1), RollingHash(4));
    assert_eq!(digest(&inbox), Some(6));
    inbox.state.discarded = 1;
    assert_eq!(digest(&inbox), None);
    inbox.state.discarded = 0;
    inbox.state.is_told = false;
    assert_eq!(digest(&inbox), None);
}

#[test]
fn one_that_joins_proves_and_tells_nothing_of_what_it_had_before() {
    let mut inbox = received(&[numbered(0, 1), numbered(0, 2), numbered(1, 1)]);
    inbox.state.is_told = true;
    inbox.state.discarded = 1;
    assert_ne!(inbox.closed, Closed::default());
    receive(&mut inbox, &joins(2));
    let begins = Closed {
        since: epoch(2),
        ..Closed::default()
    };
    assert_eq!(inbox.closed, begins);
    let state = State {
        since: epoch(2),
        is_told: true,
        ..State::default()
    };
    assert_eq!(inbox.state, state);
}

#[test]
fn what_is_closed_unproven_begins_what_can_be_proven_anew() {
    let mut inbox = received(&[numbered(0, 1), numbered(0, 2), numbered(1, 1)]);
    inbox.state.discarded = 1;
    inbox.close_below(epoch(2));
    assert_eq!(inbox.closed.since, epoch(2));
    assert_eq!(inbox.closed.hash, RollingHash::default());
    assert_eq!(inbox.state.discarded, 0);
    assert_eq!((inbox.floor, inbox.highest()), (epoch(2), Epoch(29)));
}

#[test]
fn one_that_joins_is_not_swept_by_what_came_before() {
    let sweep = |index| {
        let body = Body::Sweep {
            below: epoch(index),
        };
        event(lane().source(epoch(index)), 2, body)
    };
    for (before, waits) in [(1, None), (2, Some(epoch(2)))] {
        let mut inbox = received(&[sweep(before)]);
        receive(&mut inbox, &joins(2));
        assert_eq!(inbox.sweep.map(|sweep| sweep.below), waits);
    }
}
