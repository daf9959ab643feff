//! When requests are due.

use std::time::Duration;
use tokio::time::Instant;

/// So many requests a second, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    /// Until the next rate; the last one goes on.
    pub(crate) lasts: Duration,
}

/// One rate after the other, from a start, without drift.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    started: Instant,
    stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Since the start.
    from: Duration,
    per_second: u32,
    /// The number of its first request.
    first: u64,
}

impl Pace {
    /// Without any rate, one request a second.
    pub(crate) fn of(started: Instant, rates: &[Rate]) -> Self {
        let mut stretches = Vec::new();
        let (mut from, mut first) = (Duration::ZERO, 0);
        for Rate { per_second, lasts } in rates {
            let per_second = (*per_second).max(1);
            stretches.push(Stretch {
                from,
                per_second,
                first,
            });
            first = first.saturating_add(due_within(per_second, *lasts));
            from = from.saturating_add(*lasts);
        }
        if stretches.is_empty() {
            stretches.push(Stretch {
                from,
                per_second: 1,
                first,
            });
        }
        Self { started, stretches }
    }

    /// When the request of this number is due, from 0.
    pub(crate) fn due(&self, number: u64) -> Instant {
        let stretch = self.last_where(|it| it.first <= number);
        let (number, each) = (number - stretch.first, u64::from(stretch.per_second));
        let rest = Duration::from_secs(number % each) / stretch.per_second;
        self.started + stretch.from + Duration::from_secs(number / each) + rest
    }

    /// How many are due before that instant.
    pub(crate) fn due_before(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.started);
        let stretch = self.last_where(|it| it.from <= passed);
        stretch.first + due_within(stretch.per_second, passed - stretch.from)
    }

    /// The first one always is.
    fn last_where(&self, is: impl Fn(&Stretch) -> bool) -> Stretch {
        let at = self.stretches.partition_point(is);
        self.stretches[at.saturating_sub(1)]
    }
}

fn due_within(per_second: u32, time: Duration) -> u64 {
    let due = time
        .as_nanos()
        .saturating_mul(per_second.into())
        .div_ceil(1_000_000_000);
    due.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rates: &[(u32, u64)]) -> Pace {
        let rates: Vec<_> = rates
            .iter()
            .map(|(per_second, millis)| Rate {
                per_second: *per_second,
                lasts: Duration::from_millis(*millis),
            })
            .collect();
        Pace::of(Instant::now(), &rates)
    }

    fn due_ms(pace: &Pace, number: u64) -> u128 {
        (pace.due(number) - pace.started).as_millis()
    }

    #[test]
    fn requests_are_due_evenly_and_without_drift() {
        let pace = pace(&[(3, 1_000_000_000_000)]);
        for (number, millis) in [
            (0, 0),
            (1, 333),
            (2, 666),
            (3, 1_000),
            (3_000_000, 1_000_000_000),
        ] {
            assert_eq!(due_ms(&pace, number), millis, "{number}");
        }
        for number in [0, 1, 2, 3, 1_000_000, 1_000_001] {
            let due = pace.due(number);
            assert_eq!(pace.due_before(due), number);
            assert_eq!(pace.due_before(due + Duration::from_millis(1)), number + 1);
        }
    }

    #[test]
    fn one_rate_follows_the_other_and_the_last_goes_on() {
        let pace = pace(&[(2, 1_000), (10, 500), (4, 1_000)]);
        for (number, millis) in [
            (0, 0),
            (1, 500),
            (2, 1_000),
            (6, 1_400),
            (7, 1_500),
            (8, 1_750),
            (15, 3_500),
        ] {
            assert_eq!(due_ms(&pace, number), millis, "{number}");
            assert_eq!(pace.due_before(pace.due(number)), number);
        }
    }
}
