//! A budget a second, shared by all threads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A token bucket that holds a second's worth, kept as the moment when it would be full again (GCRA): one word, no lock, and a
/// refusal writes nothing.
///
/// What never exceeds the rate in any second is never refused; in any `t` seconds at most `rate * (t + 1)` are permitted.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Nanoseconds in which one token comes back.
    interval: u64,
    /// How far ahead of now `full_at` may be for one more.
    tolerance: u64,
    full_at: AtomicU64,
}

impl RateLimit {
    /// A full bucket for `rate` a second, at least 1.
    pub(crate) fn per_second(rate: u32) -> Self {
        let rate = u64::from(rate.max(1));
        let interval = 1_000_000_000 / rate;
        Self {
            interval,
            tolerance: interval * (rate - 1),
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes a token if there is one. `now` is the time since some fixed moment.
    pub(crate) fn permit(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            if full_at.saturating_sub(now) > self.tolerance {
                return false;
            }
            let next = full_at.max(now).saturating_add(self.interval);
            match self.full_at.compare_exchange_weak(
                full_at,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => full_at = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_stretch_of_time_has_more_than_its_rate_and_one_seconds_worth() {
        for mut random in (0..200).map(StdRng::seed_from_u64) {
            let limit = RateLimit::per_second(20);
            let mut now = SECOND;
            let mut permitted = Vec::new();
            for _ in 0..5_000 {
                now += Duration::from_nanos(random.random_range(0..4_000_000));
                if limit.permit(now) {
                    permitted.push(now);
                }
            }
            for (first, start) in permitted.iter().enumerate() {
                for (last, end) in permitted.iter().enumerate().skip(first) {
                    let most = 20.0 * ((*end - *start).as_secs_f64() + 1.0) + 1e-6;
                    assert!((last - first + 1) as f64 <= most);
                }
            }
        }
    }

    #[test]
    fn threads_that_ask_at_once_share_one_budget() {
        let limit = RateLimit::per_second(20);
        let permitted = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..1_000 {
                        permitted.fetch_add(limit.permit(SECOND).into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(permitted.into_inner(), 20);
    }

    #[test]
    fn a_clock_that_stands_still_gives_a_seconds_worth_and_one_that_goes_back_no_more() {
        let still = RateLimit::per_second(5);
        assert_eq!((0..100).filter(|_| still.permit(SECOND)).count(), 5);
        let back = RateLimit::per_second(5);
        let permitted = (0..100)
            .filter(|n| back.permit(SECOND - Duration::from_nanos(*n)))
            .count();
        assert!(permitted <= 5, "{permitted}");
    }
}
