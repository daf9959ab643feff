//! What a sweep closes, what it takes, and in which order.

use bytes::Bytes;
use duet_protocol::event::{Body, Data, Event, Key, Seal, TraceContext};
use duet_protocol::receive::{Arrival, Outcome};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::sweep::{Sweep, Sweeping};
use duet_protocol::time::Timestamp;

use crate::pair::*;

fn event(lane: Lane, epoch: u64, sequence: u64, body: Body) -> Event {
    Event {
        source: lane.source(Epoch(epoch)),
        sequence: Sequence(sequence),
        time: Timestamp::default(),
        body,
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

/// A reaction of a key of its own, as another store would send it.
pub(crate) fn data(lane: Lane, epoch: u64, sequence: u64) -> Event {
    let (Lane { partitions, .. }, StoreId(store)) = (lane, lane.store);
    let key = format!("post/{store}-{partitions}-{epoch}-{sequence}");
    let data = Data {
        kind: "dev.duet.tested".into(),
        key: Key::new(key).expect("a short key"),
        json: Bytes::from_static(b"0"),
    };
    event(lane, epoch, sequence, Body::Data(data))
}

fn lane(store: u64, partitions: u16, partition: u16) -> Lane {
    Lane {
        store: StoreId(store),
        partitions,
        partition: Partition(partition),
    }
}

/// The opening and the sweep of an epoch in which nothing was told anew.
fn a_resync(lane: Lane, epoch: u64) -> [Event; 2] {
    let opened = Body::Opened {
        previous: None,
        joined: Vec::new(),
    };
    let sweep = Body::Sweep {
        below: Epoch(epoch),
    };
    [event(lane, epoch, 1, opened), event(lane, epoch, 2, sweep)]
}

impl Pair {
    fn gets(&mut self, event: &Event) -> Outcome {
        self.receives_event(event, Arrival::Background)
    }

    fn gets_all(&mut self, events: &[Event]) {
        events.iter().for_each(|event| drop(self.gets(event)));
    }

    /// Whether what such a lane sent under this epoch is new here.
    fn takes(&mut self, lane: Lane, epoch: u64) -> bool {
        self.gets(&data(lane, epoch, 7)) == Outcome::Applied(None)
    }

    /// Does a little of what sweeps have left to do; whether there is more.
    fn sweeps_one(&mut self) -> bool {
        must(self.with_receiving(|receiving| receiving.sweep(1)))
    }
}

#[test]
fn a_sweep_closes_what_is_older_of_every_store_heard_of_or_not_but_no_other_lane_of_its_own() {
    let mut pair = Pair::new();
    let (own, sibling) = (lane(1, 2, 0), lane(1, 2, 1));
    let (other, divided_anew) = (lane(2, 1, 0), lane(1, 1, 0));
    for heard_of in [sibling, other, divided_anew] {
        assert!(pair.takes(heard_of, 10), "{heard_of:?}");
    }
    pair.gets_all(&a_resync(own, 50));
    let unheard_of = lane(3, 1, 0);
    for closed in [own, other, divided_anew, unheard_of] {
        assert!(!pair.takes(closed, 49), "{closed:?}");
    }
    for newer in [other, divided_anew, unheard_of, lane(4, 1, 0)] {
        assert!(pair.takes(newer, 51), "{newer:?}");
    }
    assert!(pair.takes(sibling, 11), "its own sweep is still to come");
    assert!(pair.takes(lane(1, 2, 1), 12), "heard of or not");
}

#[test]
fn a_store_that_was_never_heard_of_is_closed_below_the_newest_of_all_sweeps() {
    for [first, second] in [[50, 60], [60, 50]] {
        let mut pair = Pair::new();
        for (store, epoch) in [(1, first), (2, second)] {
            let lane = lane(store, 1, 0);
            pair.gets_all(&a_resync(lane, epoch));
        }
        assert!(!pair.takes(lane(3, 1, 0), 59));
        assert!(pair.takes(lane(3, 1, 0), 60));
    }
}

#[test]
fn a_lane_of_a_store_whose_sweep_was_carried_out_in_another_lane_is_open() {
    let mut pair = Pair::new();
    pair.gets_all(&a_resync(lane(1, 2, 0), 50));
    assert!(pair.takes(lane(1, 2, 1), 10));
}

#[test]
fn parked_events_go_first_and_a_sweep_counts_all_that_it_takes() {
    let mut pair = Pair::new();
    let own = lane(1, 1, 0);
    for sequence in 2..=5 {
        let old = data(own, 10, sequence);
        if sequence > 3 {
            let key = &old.data().expect("a reaction").key;
            pair.receiver.rows.failing.insert(key.clone());
        }
        pair.gets(&old);
    }
    let [opening, sweep] = a_resync(own, 50);
    pair.gets(&opening);
    assert!(!pair.sweeps_one(), "there is nothing to do yet");
    pair.gets(&sweep);
    let left = |pair: &Pair| {
        let received = &pair.receiver.received;
        (received.parked.len(), pair.receiver.rows.rows.len())
    };
    let mut steps = vec![left(&pair)];
    let mut counted = None;
    while pair.sweeps_one() {
        steps.push(left(&pair));
        let received = &pair.receiver.received;
        counted = received.sweeping.get(&own).cloned().or(counted);
    }
    assert_eq!(steps, [(2, 2), (1, 2), (0, 2), (0, 1), (0, 0)]);
    let counted = counted.map(|Sweeping { rows, parked, .. }| (rows, parked));
    assert_eq!(counted, Some((2, 2)));
    assert!(pair.receiver.received.sweeping.is_empty());
}

#[test]
fn a_sweep_that_comes_after_the_next_epochs_opening_is_carried_out_all_the_same() {
    let mut pair = Pair::new();
    let own = lane(1, 1, 0);
    pair.gets(&data(own, 10, 2));
    let [opening, sweep] = a_resync(own, 50);
    let next = Body::Opened {
        previous: Some(Seal {
            epoch: Epoch(50),
            last: Sequence(2),
        }),
        joined: Vec::new(),
    };
    // The sweep was lost, and sent again after the sender was started anew.
    pair.gets_all(&[opening, event(own, 60, 1, next), sweep]);
    while pair.sweeps_one() {}
    assert!(pair.receiver.rows.rows.is_empty());
    assert_eq!(pair.receiver.received.inboxes[&own].sweep, None);
}

#[test]
fn while_a_sweep_waits_for_what_lies_before_it_the_state_is_not_told() {
    let mut pair = Pair::new();
    let own = lane(1, 1, 0);
    let [opening, sweep] = a_resync(own, 50);
    let is_told = |pair: &Pair| {
        pair.receipts()
            .iter()
            .all(|receipt| receipt.digest.is_some())
    };
    pair.gets(&data(own, 10, 2));
    assert!(is_told(&pair));
    pair.gets(&sweep);
    assert!(!is_told(&pair));
    pair.gets(&opening);
    while pair.sweeps_one() {}
    assert!(is_told(&pair));
}

#[test]
fn a_sweep_takes_what_is_older_of_its_lanes_keys_alone() {
    let key = Key::new("post/ana").expect("a short key");
    let partition = key.partition(16);
    let sweep = |partition| Sweep {
        lane: lane(1, 16, partition),
        below: Epoch(50),
    };
    let own = sweep(partition.0);
    assert!(own.takes(&key, Epoch(49)) && !own.takes(&key, Epoch(50)));
    assert!(!sweep((partition.0 + 1) % 16).takes(&key, Epoch(49)));
}
