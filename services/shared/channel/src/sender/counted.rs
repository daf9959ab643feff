//! What is counted of the sending, for status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use duet_protocol::event::Key;
use duet_protocol::sender::Repair;
use duet_protocol::settings::{Generation, Mode, Settings};
use duet_protocol::time::Timestamp;

use crate::mended::Mended;

/// Which way an accepted change took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) mode: Mode,
    generation: Generation,
    /// Where there is a canary, whether it belongs to that.
    is_canary: Option<bool>,
}

impl Way {
    pub(super) fn of(settings: &Settings, key: &Key) -> Self {
        Way {
            mode: settings.mode_of(key),
            generation: settings.generation,
            is_canary: settings.canary.map(|canary| canary.covers(key)),
        }
    }
}

/// How many changes were accepted since the process began, by the mode that they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedByMode {
    /// In Sync.
    pub sync: u64,
    /// In Async.
    pub asynchronous: u64,
}

/// What a canary achieved since the settings with it are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Achieved {
    /// How many changes were accepted.
    pub requests: u64,
    /// How many of them belong to the canary.
    pub canary: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Counted {
    sync: AtomicU64,
    asynchronous: AtomicU64,
    /// Under the newest generation that something was accepted under; held for a few instructions a request, and only where there is a canary.
    canary: Mutex<(Generation, Achieved)>,
    retransmissions: AtomicU64,
    repaired: Mutex<Option<Mended>>,
    /// The longest wait that ended under a generation, the newest that one ended under. Held for a few instructions a request.
    slowest: Mutex<Option<(Generation, Duration)>>,
}

impl Counted {
    pub(super) fn accepted(&self, way: Way) {
        let mode = match way.mode {
            Mode::Sync => &self.sync,
            Mode::Async => &self.asynchronous,
        };
        mode.fetch_add(1, Ordering::Relaxed);
        let Some(is_canary) = way.is_canary else {
            return;
        };
        let mut counted = self.canary.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0 < way.generation {
            *counted = (way.generation, Achieved::default());
        }
        if counted.0 == way.generation {
            counted.1.requests += 1;
            counted.1.canary += u64::from(is_canary);
        }
    }

    pub(super) fn by_mode(&self) -> AcceptedByMode {
        AcceptedByMode {
            sync: self.sync.load(Ordering::Relaxed),
            asynchronous: self.asynchronous.load(Ordering::Relaxed),
        }
    }

    /// What was achieved under this generation.
    pub(super) fn achieved(&self, generation: Generation) -> Achieved {
        let (under, achieved) = *self.canary.lock().unwrap_or_else(PoisonError::into_inner);
        match under == generation {
            true => achieved,
            false => Achieved::default(),
        }
    }

    pub(super) fn sent_again(&self, events: usize) {
        self.retransmissions
            .fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn retransmissions(&self) -> u64 {
        self.retransmissions.load(Ordering::Relaxed)
    }

    /// What had been lost is received.
    pub(super) fn repaired(&self, repair: &Repair, now: Timestamp) {
        let mut repaired = self.repaired.lock().unwrap_or_else(PoisonError::into_inner);
        let why = format!("on the way to {}: {}", repair.receiver, repair.why);
        *repaired = Some(Mended::more(repaired.as_ref(), repair.events, now, why));
    }

    pub(super) fn all_repaired(&self) -> Option<Mended> {
        let repaired = self.repaired.lock().unwrap_or_else(PoisonError::into_inner);
        repaired.clone()
    }

    /// A caller's wait ended while this generation was in force.
    pub(super) fn waited(&self, generation: Generation, wait: Duration) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = (*slowest).max(Some((generation, wait)));
    }

    /// The longest wait that ended while this generation, the newest, was in force.
    pub(super) fn slowest(&self, generation: Generation) -> Option<Duration> {
        let slowest = *self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        slowest
            .filter(|(under, _)| *under == generation)
            .map(|(_, wait)| wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_counted_by_the_generation_that_is_in_force() {
        let counted = Counted::default();
        let way = |generation, is_canary| Way {
            mode: if is_canary == Some(true) {
                Mode::Async
            } else {
                Mode::Sync
            },
            generation: Generation(generation),
            is_canary,
        };
        for is_canary in [true, false, false, false] {
            counted.accepted(way(2, Some(is_canary)));
        }
        let achieved = |requests, canary| Achieved { requests, canary };
        assert_eq!(counted.achieved(Generation(2)), achieved(4, 1));
        counted.accepted(way(3, Some(true)));
        // One that was accepted before and is told late.
        counted.accepted(way(2, Some(true)));
        counted.accepted(way(4, None));
        assert_eq!(counted.achieved(Generation(3)), achieved(1, 1));
        assert_eq!(counted.achieved(Generation(4)), achieved(0, 0));
        let (sync, asynchronous) = (4, 3);
        let by_mode = AcceptedByMode { sync, asynchronous };
        assert_eq!(counted.by_mode(), by_mode);
    }

    #[test]
    fn the_slowest_caller_is_that_of_the_newest_generation() {
        let counted = Counted::default();
        let [first, second] = [1, 2].map(Generation);
        let ms = Duration::from_millis;
        assert_eq!(counted.slowest(first), None);
        for (generation, wait) in [(first, 3), (first, 9), (first, 5)] {
            counted.waited(generation, ms(wait));
        }
        assert_eq!(counted.slowest(first), Some(ms(9)));
        assert_eq!(counted.slowest(second), None);
        for (generation, wait) in [(second, 2), (first, 20), (second, 4)] {
            counted.waited(generation, ms(wait));
        }
        assert_eq!(counted.slowest(second), Some(ms(4)));
    }
}
