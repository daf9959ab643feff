//! The process's two clocks, read here and nowhere else.

use std::sync::OnceLock;
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
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(micros.saturating_add(off()))
    }
}

/// How far the wall clock is made to be off, in microseconds: by `DUET_CLOCK_OFF`, in seconds, for tests of a clock that jumps. A build
/// for use doesn't obey it.
fn off() -> i64 {
    static OFF: OnceLock<i64> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return 0;
    }
    *OFF.get_or_init(|| {
        let seconds = std::env::var("DUET_CLOCK_OFF").ok();
        let seconds = seconds.and_then(|it| it.parse::<i64>().ok());
        seconds.unwrap_or(0).saturating_mul(1_000_000)
    })
}
