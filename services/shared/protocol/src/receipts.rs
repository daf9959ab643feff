//! When a receiver tells its senders what it holds: soon after that advanced, and again now and then.
//!
//! Said again, so that a lost last receipt costs nothing. What is said is read from the store when it is due
//! ([`crate::inbox::Inbox::receipts`]): receipts that are coalesced are never stale.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sequence::Lane;
use crate::time::Moment;

/// How receipts are coalesced and repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptTiming {
    /// An advance is told at most this long after it was committed.
    pub within: Duration,
    /// It is told at once when so many events have advanced.
    pub events: usize,
    /// What a lane's senders were told is told again this often.
    pub repeat: Duration,
}

impl Default for ReceiptTiming {
    /// 50 ms or 256 events; again every 10 s.
    fn default() -> Self {
        ReceiptTiming {
            within: Duration::from_millis(50),
            events: 256,
            repeat: Duration::from_secs(10),
        }
    }
}

/// What was not told yet of one lane.
#[derive(Clone, Copy, Debug)]
struct Untold {
    due: Moment,
    events: usize,
}

/// The receiver's machine for receipts, over all lanes it has received of.
#[derive(Debug, Default)]
pub struct Receipts {
    timing: ReceiptTiming,
    lanes: BTreeMap<Lane, Untold>,
}

impl Receipts {
    /// One that knows no lane yet.
    pub fn new(timing: ReceiptTiming) -> Self {
        Receipts {
            timing,
            lanes: BTreeMap::new(),
        }
    }

    /// A lane that the store holds an inbox of. Given at start: it is told at once, so that senders learn of the new incarnation.
    pub fn known(&mut self, lane: Lane, now: Moment) {
        self.lanes.insert(
            lane,
            Untold {
                due: now,
                events: 0,
            },
        );
    }

    /// A transaction that received so many events of a lane was committed.
    pub fn advanced(&mut self, lane: Lane, events: usize, now: Moment) {
        let soon = now + self.timing.within;
        let untold = self.lanes.entry(lane).or_insert(Untold {
            due: soon,
            events: 0,
        });
        untold.events = untold.events.saturating_add(events);
        untold.due = untold.due.min(if untold.events >= self.timing.events {
            now
        } else {
            soon
        });
    }

    /// An answer carried the lane's receipts: nothing is untold.
    pub fn told(&mut self, lane: Lane, now: Moment) {
        let due = now + self.timing.repeat;
        self.lanes.insert(lane, Untold { due, events: 0 });
    }

    /// A lane whose receipts are to be told now; it counts as told.
    pub fn poll(&mut self, now: Moment) -> Option<Lane> {
        let due = |(lane, untold): (&Lane, &Untold)| (untold.due <= now).then_some(*lane);
        let lane = self.lanes.iter().find_map(due)?;
        self.told(lane, now);
        Some(lane)
    }

    /// When to poll again though nothing advanced.
    pub fn wake_at(&self) -> Option<Moment> {
        self.lanes.values().map(|untold| untold.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Partition, StoreId};

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    fn lane(partition: u16) -> Lane {
        Lane {
            store: StoreId(1),
            partitions: 2,
            partition: Partition(partition),
        }
    }

    #[test]
    fn an_advance_is_told_after_fifty_milliseconds_however_often_it_goes_on() {
        let mut receipts = Receipts::default();
        let start = Moment::START;
        receipts.advanced(lane(0), 1, start);
        receipts.advanced(lane(0), 1, start + 40 * MILLI);
        assert_eq!(receipts.poll(start + 49 * MILLI), None);
        assert_eq!(receipts.wake_at(), Some(start + 50 * MILLI));
        assert_eq!(receipts.poll(start + 50 * MILLI), Some(lane(0)));
        assert_eq!(receipts.poll(start + 50 * MILLI), None);
    }

    #[test]
    fn many_events_are_told_at_once() {
        let mut receipts = Receipts::default();
        receipts.advanced(lane(1), 200, Moment::START);
        receipts.advanced(lane(1), 56, Moment::START + MILLI);
        assert_eq!(receipts.poll(Moment::START + MILLI), Some(lane(1)));
    }

    #[test]
    fn what_was_told_is_told_again() {
        let mut receipts = Receipts::default();
        receipts.known(lane(0), Moment::START);
        assert_eq!(receipts.poll(Moment::START), Some(lane(0)));
        assert_eq!(receipts.poll(Moment::START + 9 * SECOND), None);
        assert_eq!(receipts.poll(Moment::START + 10 * SECOND), Some(lane(0)));
    }

    #[test]
    fn an_answer_that_carried_the_receipts_leaves_nothing_to_tell() {
        let mut receipts = Receipts::default();
        receipts.advanced(lane(0), 1, Moment::START);
        receipts.told(lane(0), Moment::START);
        assert_eq!(receipts.poll(Moment::START + SECOND), None);
    }
}
