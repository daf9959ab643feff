//! Whose turn it is to ask: whoever was answered, or whoever is due.

use super::Tally;
use crate::load::{Rate, pace::Pace};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// When requests are made.
#[derive(Debug, Clone)]
pub(in crate::bench) enum When {
    /// Closed loop: each caller's next once its last is answered; for so long.
    Answered(Duration),
    /// The same, until so many were made.
    Made(u64),
    /// Open loop: when they are due, whatever is answered; for so long. A caller's wait counts from then.
    Due(Vec<Rate>, Duration),
}

impl When {
    /// At one rate.
    pub(in crate::bench) fn at(per_second: u32, lasts: Duration) -> Self {
        Self::Due(vec![Rate { per_second, lasts }], lasts)
    }

    pub(in crate::bench) fn is_open(&self) -> bool {
        matches!(self, Self::Due(..))
    }
}

/// Gives turns out, to all threads alike.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    kind: Arc<Kind>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Kind {
    Until(Instant),
    Count(AtomicU64, u64),
    Due(Due),
}

#[derive(Debug)]
struct Due {
    pace: Pace,
    total: u64,
    taken: AtomicU64,
    /// As many as are due and not yet begun.
    due: Semaphore,
}

impl Turns {
    pub(super) fn starting(when: When, started: Instant, stop: Arc<AtomicBool>) -> Self {
        let kind = match when {
            When::Answered(lasts) => Kind::Until(started + lasts),
            When::Made(count) => Kind::Count(AtomicU64::new(0), count),
            When::Due(rates, lasts) => {
                let pace = Pace::of(started.into(), &rates);
                Kind::Due(Due {
                    total: pace.due_before((started + lasts).into()),
                    pace,
                    taken: AtomicU64::new(0),
                    due: Semaphore::new(0),
                })
            }
        };
        let kind = Arc::new(kind);
        Self { kind, stop }
    }

    /// Since when the next caller waits; none once it is over. `tally` learns how late a turn came to a connection that was free
    /// for it: that is the generator's own doing.
    pub(super) async fn next(&self, tally: &RefCell<Tally>) -> Option<Instant> {
        if self.stop.load(Relaxed) {
            return None;
        }
        match &*self.kind {
            Kind::Until(end) => Some(Instant::now()).filter(|now| now < end),
            Kind::Count(made, count) => (made.fetch_add(1, Relaxed) < *count).then(Instant::now),
            Kind::Due(due) => due.next(tally).await,
        }
    }

    /// Lets requests become due, from a thread of its own: a runtime's clock is too coarse for what takes less than a millisecond.
    pub(super) fn tick(&self) {
        let Kind::Due(due) = &*self.kind else { return };
        let mut given = 0;
        while given < due.total && !self.stop.load(Relaxed) {
            let now = due.pace.due_before(Instant::now().into()).min(due.total);
            due.due.add_permits((now - given) as usize);
            given = now;
            let next = due.pace.due(given).into_std();
            // No longer than this, so that a stop is seen.
            let pause = next.saturating_duration_since(Instant::now());
            std::thread::sleep(pause.min(Duration::from_millis(100)));
        }
        if given < due.total {
            due.due.close();
        }
    }
}

impl Due {
    async fn next(&self, tally: &RefCell<Tally>) -> Option<Instant> {
        let number = self.taken.fetch_add(1, Relaxed);
        if number >= self.total {
            return None;
        }
        let due = self.pace.due(number).into_std();
        match self.due.try_acquire() {
            Ok(turn) => turn.forget(),
            Err(_) => {
                self.due.acquire().await.ok()?.forget();
                tally.borrow_mut().lag.record(due.elapsed());
            }
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// All turns that are given, without waiting for any that is to come.
    async fn turns(when: When, started: Instant) -> (Vec<Duration>, Tally) {
        let turns = Turns::starting(when, started, Arc::default());
        turns.tick();
        let tally = RefCell::new(Tally::new(started, true).unwrap());
        let mut given = Vec::new();
        while let Some(since) = turns.next(&tally).await {
            given.push(since.saturating_duration_since(started));
        }
        (given, tally.into_inner())
    }

    #[tokio::test]
    async fn a_caller_who_is_due_while_none_could_ask_waits_from_when_it_was_due() {
        // All were due before the first connection is free.
        let started = Instant::now() - 10 * MILLI;
        let (given, tally) = turns(When::at(1_000, 5 * MILLI), started).await;
        assert_eq!(
            given,
            [Duration::ZERO, MILLI, MILLI * 2, MILLI * 3, MILLI * 4]
        );
        assert_eq!(tally.lag.count(), 0, "that is not the generator's doing");
    }

    #[tokio::test]
    async fn so_many_turns_are_given_as_were_asked_for_and_none_after_the_end() {
        let now = Instant::now();
        assert_eq!(turns(When::Made(3), now).await.0.len(), 3);
        assert_eq!(
            turns(When::Answered(MILLI), now - 2 * MILLI).await.0.len(),
            0
        );
    }

    #[tokio::test]
    async fn a_load_that_is_stopped_gives_no_turn_and_lets_nobody_wait_for_one() {
        let stop = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let when = When::at(1, Duration::from_secs(3600));
        let turns = Turns::starting(when, started, stop.clone());
        let tally = RefCell::new(Tally::new(started, true).unwrap());
        let first = turns.next(&tally);
        let second = turns.next(&tally);
        let ticking = std::thread::spawn({
            let turns = turns.clone();
            move || turns.tick()
        });
        assert!(first.await.is_some());
        stop.store(true, Relaxed);
        assert!(second.await.is_none());
        ticking.join().unwrap();
    }
}
