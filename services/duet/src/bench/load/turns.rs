//! Whose turn it is to ask: whoever was answered, or whoever is due.

use crate::load::{Rate, pace::Pace};
use std::{
    sync::{
        Arc, OnceLock,
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

/// One caller's turn to ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Since when the caller waits: when the request was due, or now where none is due.
    pub(super) since: Instant,
    /// How late it came to a connection that was free for it: that is the generator's own doing.
    pub(super) lag: Option<Duration>,
}

/// Gives turns out, to all threads alike.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    kind: Arc<Kind>,
    /// Since when nothing more is due.
    ended: Arc<OnceLock<Instant>>,
    /// Nobody waits for what is due.
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
    /// How many there are: fewer once it has ended before its time.
    total: AtomicU64,
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
                    total: pace.due_before((started + lasts).into()).into(),
                    pace,
                    taken: AtomicU64::new(0),
                    due: Semaphore::new(0),
                })
            }
        };
        Self {
            kind: Arc::new(kind),
            ended: Arc::default(),
            stop,
        }
    }

    /// Lets nothing more become due. What was due before is still asked: its wait counts.
    pub(super) fn end(&self) {
        self.ended.get_or_init(Instant::now);
    }

    /// The next caller's; none once it is over.
    pub(super) async fn next(&self) -> Option<Turn> {
        if self.stop.load(Relaxed) {
            return None;
        }
        let now = match &*self.kind {
            Kind::Due(due) => return due.next().await,
            _ if self.ended.get().is_some() => None,
            Kind::Until(end) => Some(Instant::now()).filter(|now| now < end),
            Kind::Count(made, count) => (made.fetch_add(1, Relaxed) < *count).then(Instant::now),
        };
        now.map(|since| Turn { since, lag: None })
    }

    /// Lets requests become due, from a thread of its own: a runtime's clock is too coarse for what takes less than a millisecond.
    pub(super) fn tick(&self) {
        let Kind::Due(due) = &*self.kind else { return };
        let (mut given, total) = (0, due.total.load(Relaxed));
        while given < total && !self.stop.load(Relaxed) {
            let ended = self.ended.get();
            let now = ended.copied().unwrap_or_else(Instant::now);
            let now = due.pace.due_before(now.into()).min(total);
            due.due.add_permits(now.saturating_sub(given) as usize);
            given = given.max(now);
            if ended.is_some() {
                break;
            }
            let next = due.pace.due(given).into_std();
            // No longer than this, so that a stop is seen.
            let pause = next.saturating_duration_since(Instant::now());
            std::thread::sleep(pause.min(Duration::from_millis(100)));
        }
        due.end_at(given);
    }
}

impl Due {
    /// No more than these. Whoever waits for more, of whom there is one a connection, is let through to learn that.
    fn end_at(&self, given: u64) {
        self.total.store(given, Relaxed);
        self.due.add_permits(u16::MAX.into());
    }

    async fn next(&self) -> Option<Turn> {
        let at_once = self.due.try_acquire().ok();
        let waited = at_once.is_none();
        match at_once {
            Some(turn) => turn.forget(),
            None => self.due.acquire().await.ok()?.forget(),
        }
        // Only now: so many as are due have a number, whoever comes first.
        let number = self.taken.fetch_add(1, Relaxed);
        if number >= self.total.load(Relaxed) {
            return None;
        }
        let since = self.pace.due(number).into_std();
        let lag = waited.then(|| since.elapsed());
        Some(Turn { since, lag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// All turns that are given, without waiting for any that is to come.
    async fn turns(when: When, started: Instant) -> Vec<(Duration, Option<Duration>)> {
        let turns = Turns::starting(when, started, Arc::default());
        turns.tick();
        let mut given = Vec::new();
        while let Some(turn) = turns.next().await {
            given.push((turn.since.saturating_duration_since(started), turn.lag));
        }
        given
    }

    #[tokio::test]
    async fn a_caller_who_is_due_while_none_could_ask_waits_from_when_it_was_due() {
        // All were due before the first connection is free.
        let started = Instant::now() - 10 * MILLI;
        let given = turns(When::at(1_000, 5 * MILLI), started).await;
        // That is not the generator's doing: no lag.
        assert_eq!(given, [0, 1, 2, 3, 4].map(|nth| (MILLI * nth, None)));
    }

    #[tokio::test]
    async fn so_many_turns_are_given_as_were_asked_for_and_none_after_the_end() {
        let now = Instant::now();
        assert_eq!(turns(When::Made(3), now).await.len(), 3);
        assert_eq!(turns(When::Answered(MILLI), now - 2 * MILLI).await, []);
    }

    #[tokio::test]
    async fn what_was_due_before_the_end_is_still_asked() {
        let started = Instant::now() - 10 * MILLI;
        let when = When::at(1_000, Duration::from_secs(3600));
        let turns = Turns::starting(when, started, Arc::default());
        let ticking = std::thread::spawn({
            let turns = turns.clone();
            move || turns.tick()
        });
        let mut given = vec![turns.next().await.unwrap().since];
        turns.end();
        ticking.join().unwrap();
        while let Some(turn) = turns.next().await {
            given.push(turn.since);
        }
        let each_since_its_own = (0..).map(|nth| started + MILLI * nth);
        assert!(given.len() >= 10, "{}", given.len());
        assert!(
            given
                .iter()
                .copied()
                .eq(each_since_its_own.take(given.len()))
        );
    }

    #[tokio::test]
    async fn a_load_that_is_stopped_gives_no_turn_and_lets_nobody_wait_for_one() {
        let stop = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let when = When::at(1, Duration::from_secs(3600));
        let turns = Turns::starting(when, started, stop.clone());
        let waits = tokio::spawn({
            let turns = turns.clone();
            async move { (turns.next().await, turns.next().await) }
        });
        let ticking = std::thread::spawn({
            let turns = turns.clone();
            move || turns.tick()
        });
        let Kind::Due(due) = &*turns.kind else {
            unreachable!()
        };
        while due.taken.load(Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        stop.store(true, Relaxed);
        let (first, second) = waits.await.unwrap();
        assert!(first.is_some() && second.is_none());
        assert!(turns.next().await.is_none());
        ticking.join().unwrap();
    }
}
