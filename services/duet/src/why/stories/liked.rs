//! ana's like of post-1, as each store tells it, and what may differ.

use crate::why::{AtReceiver, Facts};
use duet_channel::life::{
    Applied, Arrival, Generation, Holds, Kept, Name, Received, ResyncStage, Resynced, Row, Sent,
    When,
};
use duet_crd::Channel;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId, Version};
use duet_protocol::time::Timestamp;

/// Second 0 of the stories.
const START: i64 = 1_795_512_420_000_000;

pub(super) fn at(millis: i64) -> When {
    When(Timestamp::from_micros(START + millis * 1_000))
}

/// Half an hour after all of it.
fn now() -> When {
    at(1_800_000)
}

pub(super) fn event(sequence: u64) -> Name {
    of_store(0xfeed, sequence)
}

pub(super) fn of_store(store: u64, sequence: u64) -> Name {
    of(store, 0x2a, sequence)
}

/// Of the epoch that a resync opened.
pub(super) fn anew(sequence: u64) -> Name {
    of(0xfeed, 0x2b, sequence)
}

fn of(store: u64, epoch: u64, sequence: u64) -> Name {
    let lane = Lane {
        store: StoreId(store),
        partitions: 1,
        partition: Partition(0),
    };
    let version = Version {
        epoch: Epoch(epoch),
        sequence: Sequence(sequence),
    };
    Name::of(lane, version)
}

/// Generation 7 is Sync, 8 is Async from second 600 on; 9, where it is wanted, is Sync with a canary.
pub(super) fn generation(number: u64) -> Generation {
    let mode = if number == 8 { "Async" } else { "Sync" };
    let mut document = duet_crd::EXAMPLE.replace("mode: Sync ", &format!("mode: {mode} "));
    if number == 9 {
        document += "  canary: {mode: Async, percent: 100}\n";
    }
    Generation {
        generation: number,
        resource: None,
        since: at(if number == 8 { 600_000 } else { -60_000 }),
        until: (number == 7).then(|| at(600_000)),
        document: Channel::from_yaml(&document).unwrap(),
    }
}

/// ana likes post-1 in Sync, and all went well.
pub(super) fn liked() -> Facts {
    Facts {
        post: "post-1".to_owned(),
        user: "ana".to_owned(),
        sender: Ok(Sent {
            now: now(),
            row: Some(Row {
                value: Some("like".to_owned()),
                event: event(5),
                accepted: at(0),
                generation: Some(7),
                provisional: true,
                restores: false,
                trace: None,
                receivers: vec![holds("notification", true)],
            }),
            waiting: Vec::new(),
            waiting_cut: false,
            generations: vec![generation(7)],
            resync: None,
            process: Some(Vec::new()),
        }),
        receivers: vec![AtReceiver {
            name: "notification".to_owned(),
            told: Ok(Received {
                now: now(),
                row: Some(applied(5, Some("notified"))),
                kept: Vec::new(),
                arrival: Some(Arrival::Received),
                generation: Some(generation(7)),
            }),
            asked: None,
        }],
        asked: None,
        trace: None,
    }
}

pub(super) fn holds(receiver: &str, holds: bool) -> Holds {
    Holds {
        receiver: receiver.to_owned(),
        holds,
    }
}

pub(super) fn applied(sequence: u64, decision: Option<&str>) -> Applied {
    Applied {
        event: event(sequence),
        value: Some("like".to_owned()),
        decision: decision.map(str::to_owned),
        owner: Some("bob".to_owned()),
        applied: Some(at(4)),
    }
}

pub(super) fn kept(sequence: u64, next_attempt: Option<When>) -> Kept {
    Kept {
        event: event(sequence),
        accepted: at(0),
        attempts: 3,
        first_failure: at(4),
        next_attempt,
        cause: "the disk is full".to_owned(),
        job: false,
    }
}

impl Facts {
    pub(super) fn sent(&mut self) -> &mut Sent {
        self.sender.as_mut().unwrap()
    }

    pub(super) fn own(&mut self) -> &mut Row {
        self.sent().row.as_mut().unwrap()
    }

    pub(super) fn came(&mut self) -> &mut Received {
        self.receivers[0].told.as_mut().unwrap()
    }

    /// It never came to Notification, which did not say that it did.
    pub(super) fn is_under_way(&mut self) {
        self.own().receivers = vec![holds("notification", false)];
        self.came().row = None;
        self.came().arrival = Some(Arrival::NotYet);
    }

    /// A resync came after it, and is so far.
    pub(super) fn is_resynced(&mut self, stage: ResyncStage) {
        self.own().receivers.clear();
        self.sent().resync = Some(Resynced {
            begun: at(900_000),
            stage,
            opened: vec![anew(1)],
        });
    }

    /// It is asked about by name, and stands so at Notification.
    pub(super) fn is_asked(&mut self, event: Name, arrival: Arrival) {
        self.asked = Some(event);
        self.receivers[0].asked = Some(arrival);
    }

    /// It was accepted in Async.
    pub(super) fn in_async(&mut self) {
        let row = self.own();
        (row.generation, row.provisional, row.accepted) = (Some(8), false, at(700_000));
        self.sent().generations = vec![generation(8)];
        let row = self.came().row.as_mut().unwrap();
        row.applied = Some(at(700_009));
    }
}
