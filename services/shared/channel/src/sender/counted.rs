//! What is counted of the sending, for status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use duet_protocol::settings::Generation;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Counted {
    retransmissions: AtomicU64,
    /// The longest wait that ended under a generation, the newest that one ended under. Held for a few instructions a request.
    slowest: Mutex<Option<(Generation, Duration)>>,
}

impl Counted {
    pub(super) fn sent_again(&self, events: usize) {
        self.retransmissions
            .fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn retransmissions(&self) -> u64 {
        self.retransmissions.load(Ordering::Relaxed)
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
