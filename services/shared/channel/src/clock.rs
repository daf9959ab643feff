//! The process's two clocks, read here and nowhere else.

use std::time::{Duration, Instant, SystemTime};

use duet_protocol::time::{Moment, Timestamp};

/// Reads the monotonic and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now. One for each process: its [`Moment`]s mean nothing to another's.
    pub fn start() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    /// Now, on the monotonic clock.
    pub fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    /// The instant of a moment.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since(Moment::START)
    }

    /// Now, on the wall clock.
    pub fn wall(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
