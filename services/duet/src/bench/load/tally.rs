//! What was answered: how often which status, and how long callers waited.

use crate::{failure::Failure, waits::Waits};
use std::{collections::BTreeMap, time::Duration};

/// The answers of one load, or of one thread's share of it.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Tally {
    /// From the first request to the last answer.
    pub(in crate::bench) took: Duration,
    /// How often each status was answered.
    pub(in crate::bench) statuses: BTreeMap<u16, u64>,
    /// No wait is longer than a wait can be told: see `LAST_ANSWERS`.
    waits: Waits,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            took: Duration::ZERO,
            statuses: BTreeMap::new(),
            waits: Waits::new()?,
        })
    }

    pub(super) fn count(&mut self, status: u16, wait: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.waits.record(wait);
    }

    pub(super) fn add(&mut self, part: &Self) -> Result<(), Failure> {
        for (status, times) in &part.statuses {
            *self.statuses.entry(*status).or_default() += times;
        }
        self.waits.add(&part.waits)
    }

    /// Requests that were answered with 2xx.
    pub(in crate::bench) fn accepted(&self) -> u64 {
        self.statuses.range(200..300).map(|(_, times)| times).sum()
    }

    /// The wait that this share of the requests stayed within.
    pub(in crate::bench) fn wait(&self, share: f64) -> Duration {
        self.waits.within(share)
    }
}
