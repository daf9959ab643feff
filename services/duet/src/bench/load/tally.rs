//! What was answered: how often which status, and how long callers waited.

use crate::failure::{Doing, Failure};
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// The longest wait that is told apart; what is longer counts as this. Nothing waits longer: see `LAST_ANSWERS`.
const LONGEST: Duration = Duration::from_secs(60);
/// Waits are right to one in a hundred.
const DIGITS: u8 = 2;

/// The answers of one load, or of one thread's share of it.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Tally {
    /// From the first request to the last answer.
    pub(in crate::bench) took: Duration,
    /// How often each status was answered.
    pub(in crate::bench) statuses: BTreeMap<u16, u64>,
    /// In microseconds.
    waits: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let waits = Histogram::new_with_max(micros(LONGEST), DIGITS);
        Ok(Self {
            took: Duration::ZERO,
            statuses: BTreeMap::new(),
            waits: waits.doing(|| "count waits".to_owned())?,
        })
    }

    pub(super) fn count(&mut self, status: u16, wait: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.waits.saturating_record(micros(wait));
    }

    pub(super) fn add(&mut self, part: &Self) -> Result<(), Failure> {
        for (status, times) in &part.statuses {
            *self.statuses.entry(*status).or_default() += times;
        }
        let added = self.waits.add(&part.waits);
        added.doing(|| "add waits up".to_owned())
    }

    /// Requests that were answered with 2xx.
    pub(in crate::bench) fn accepted(&self) -> u64 {
        self.statuses.range(200..300).map(|(_, times)| times).sum()
    }

    /// The wait that this share of the requests stayed within.
    pub(in crate::bench) fn wait(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.waits.value_at_quantile(quantile))
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
