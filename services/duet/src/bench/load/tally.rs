//! What was answered: how often which status, and how long callers waited.

use super::turns::Turn;
use crate::{failure::Failure, waits::Waits};
use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

/// The answers of one load, or of one thread's share of it.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Tally {
    pub(in crate::bench) started: Instant,
    /// From the first request to the last answer.
    pub(in crate::bench) took: Duration,
    /// How often each status was answered.
    pub(in crate::bench) statuses: BTreeMap<u16, u64>,
    /// From when each was due, or was sent where nothing is due.
    pub(in crate::bench) waits: Waits,
    /// How late requests were sent though a connection was free for them.
    pub(in crate::bench) lag: Waits,
    /// In an open loop every single one, so that it can be told what was answered when.
    each: Option<Vec<Answered>>,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Answered {
    /// Since the load began.
    pub(in crate::bench) due: Duration,
    /// From when it was due.
    pub(in crate::bench) waited: Duration,
    /// How late it was sent though a connection was free for it; none where it found one at once, or had to wait for one.
    pub(in crate::bench) lag: Option<Duration>,
    pub(in crate::bench) status: u16,
}

impl Answered {
    pub(in crate::bench) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What answers come to.
#[derive(Debug)]
pub(in crate::bench) struct Part {
    pub(in crate::bench) accepted: u64,
    pub(in crate::bench) failed: u64,
    pub(in crate::bench) waits: Waits,
    /// As a [`Tally`]'s.
    pub(in crate::bench) lag: Waits,
}

impl Part {
    pub(in crate::bench) fn of<'a>(
        answers: impl Iterator<Item = &'a Answered>,
    ) -> Result<Self, Failure> {
        let mut part = Self {
            accepted: 0,
            failed: 0,
            waits: Waits::new()?,
            lag: Waits::new()?,
        };
        for answered in answers {
            match answered.is_accepted() {
                true => part.accepted += 1,
                false => part.failed += 1,
            }
            part.waits.record(answered.waited);
            if let Some(lag) = answered.lag {
                part.lag.record(lag);
            }
        }
        Ok(part)
    }
}

impl Tally {
    pub(super) fn new(started: Instant, each: bool) -> Result<Self, Failure> {
        Ok(Self {
            started,
            took: Duration::ZERO,
            statuses: BTreeMap::new(),
            waits: Waits::new()?,
            lag: Waits::new()?,
            each: each.then(Vec::new),
        })
    }

    pub(super) fn count(&mut self, turn: Turn, status: u16, now: Instant) {
        let Turn { since, lag } = turn;
        let waited = now - since;
        *self.statuses.entry(status).or_default() += 1;
        self.waits.record(waited);
        if let Some(lag) = lag {
            self.lag.record(lag);
        }
        if let Some(each) = &mut self.each {
            let due = since.saturating_duration_since(self.started);
            each.push(Answered {
                due,
                waited,
                lag,
                status,
            });
        }
    }

    pub(super) fn add(&mut self, part: Self) -> Result<(), Failure> {
        for (status, times) in &part.statuses {
            *self.statuses.entry(*status).or_default() += times;
        }
        if let Some(each) = &mut self.each {
            each.extend(part.each.into_iter().flatten());
        }
        self.lag.add(&part.lag)?;
        self.waits.add(&part.waits)
    }

    /// Requests that were answered with 2xx.
    pub(in crate::bench) fn accepted(&self) -> u64 {
        self.statuses.range(200..300).map(|(_, times)| times).sum()
    }

    /// All that were answered.
    pub(in crate::bench) fn answered(&self) -> u64 {
        self.waits.count()
    }

    /// Those that were answered otherwise than with 2xx.
    pub(in crate::bench) fn failed(&self) -> u64 {
        self.answered() - self.accepted()
    }

    /// The wait that this share of the requests stayed within.
    pub(in crate::bench) fn wait(&self, share: f64) -> Duration {
        self.waits.within(share)
    }

    /// Of an open loop, every answer, in no order.
    pub(in crate::bench) fn each(&self) -> &[Answered] {
        self.each.as_deref().unwrap_or_default()
    }

    /// Of an open loop, what was due within that time.
    pub(in crate::bench) fn within(&self, time: Range<Duration>) -> Result<Part, Failure> {
        Part::of(self.each().iter().filter(|it| time.contains(&it.due)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_when_they_were_due() {
        let started = Instant::now();
        let second = Duration::from_secs(1);
        let mut whole = Tally::new(started, true).unwrap();
        for (due, waited, status) in [(0, 1, 202), (1, 3, 503), (2, 1, 202)] {
            let mut part = Tally::new(started, true).unwrap();
            let since = started + second * due;
            let turn = Turn { since, lag: None };
            part.count(turn, status, since + second * waited);
            whole.add(part).unwrap();
        }
        assert_eq!((whole.accepted(), whole.failed()), (2, 1));
        let middle = whole.within(second..second * 2).unwrap();
        assert_eq!((middle.accepted, middle.failed), (0, 1));
        assert!(middle.waits.within(1.0) >= 2 * second);
        let rest = whole.within(second * 2..Duration::MAX).unwrap();
        assert_eq!((rest.accepted, rest.failed), (1, 0));
    }
}
