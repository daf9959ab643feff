//! How long callers waited.

use crate::failure::{Doing, Failure};
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest wait that is told apart; what is longer counts as this.
const LONGEST: Duration = Duration::from_secs(3600);
/// Waits are right to one in a hundred.
const DIGITS: u8 = 2;

/// A histogram of waits, of a few KiB however many they are.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    micros: Histogram<u64>,
}

impl Waits {
    pub(crate) fn new() -> Result<Self, Failure> {
        let micros = Histogram::new_with_max(micros(LONGEST), DIGITS);
        Ok(Self {
            micros: micros.doing(|| "count waits".to_owned())?,
        })
    }

    pub(crate) fn record(&mut self, wait: Duration) {
        self.micros.saturating_record(micros(wait));
    }

    pub(crate) fn add(&mut self, part: &Self) -> Result<(), Failure> {
        let added = self.micros.add(&part.micros);
        added.doing(|| "add waits up".to_owned())
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The wait that this share of them stayed within; 1.0 is the longest.
    pub(crate) fn within(&self, share: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_quantile(share))
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
