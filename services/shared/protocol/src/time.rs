//! The two clocks, always arguments: [`Moment`] (monotonic) for windows, [`Timestamp`] (wall) for what is stored.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a process's monotonic clock, as the time since that clock's own start. Never stored, never sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The clock's start.
    pub const START: Moment = Moment(Duration::ZERO);

    /// The moment this long after the clock's start.
    pub const fn after_start(since: Duration) -> Self {
        Moment(since)
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, wait: Duration) -> Moment {
        Moment(self.0.saturating_add(wait))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, back: Duration) -> Moment {
        Moment(self.0.saturating_sub(back))
    }
}

/// Wall-clock time in microseconds since the Unix epoch. It may jump; nothing is decided by it but how a late thing is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch; zero for times before it.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, wait: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_it_was_read_also_one_before_1970() {
        let told = |micros| {
            let time = Timestamp::from_micros(micros);
            (time.micros(), time.millis())
        };
        assert_eq!(told(1_234_567), (1_234_567, 1_234));
        assert_eq!(told(-5_000), (-5_000, 0));
    }
}
