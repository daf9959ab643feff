//! Between two attempts to reach something that does not answer.

use std::time::Duration;

/// Pauses that double from the first to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Pauses {
    /// The pause after so many attempts in a row; half of it is left to chance.
    pub(crate) fn after(self, attempts: usize) -> Duration {
        let doublings = u32::try_from(attempts)
            .unwrap_or(u32::MAX)
            .saturating_sub(1)
            .min(16);
        let most = self.first.saturating_mul(1 << doublings).min(self.longest);
        most.mul_f64(rand::random_range(0.5..=1.0))
    }
}
