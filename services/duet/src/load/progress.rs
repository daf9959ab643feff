//! What was sent and answered so far.

use super::{ask::End, modes::Modes};
use crate::{failure::Failure, took::Took, waits::Waits};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Counts, and how long callers waited.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) sent: u64,
    /// Answered 200: the notification was stored.
    pub(super) delivered: u64,
    /// Answered 202: it will be.
    pub(super) accepted: u64,
    /// Everything else, by status or by what came instead of one.
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) modes: Modes,
    /// How long callers waited for a success, by mode.
    pub(super) waits: BTreeMap<String, Waits>,
    /// The same since the last line.
    lately: Waits,
}

impl Progress {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            sent: 0,
            delivered: 0,
            accepted: 0,
            failed: BTreeMap::new(),
            modes: Modes::default(),
            waits: BTreeMap::new(),
            lately: Waits::new()?,
        })
    }

    /// A request that was due then, after the traffic began, and was answered so much later.
    pub(super) fn count(
        &mut self,
        end: &End,
        due: Duration,
        waited: Duration,
    ) -> Result<(), Failure> {
        let End::Stands { delivered, mode } = end else {
            *self.failed.entry(end.to_string()).or_default() += 1;
            return Ok(());
        };
        match delivered {
            true => self.delivered += 1,
            false => self.accepted += 1,
        }
        self.modes.told(mode, due, jiff::Timestamp::now());
        self.lately.record(waited);
        if !self.waits.contains_key(mode) {
            self.waits.insert(mode.clone(), Waits::new()?);
        }
        if let Some(waits) = self.waits.get_mut(mode) {
            waits.record(waited);
        }
        Ok(())
    }

    /// A line about now; the waits in it begin anew.
    pub(super) fn line(&mut self) -> Result<String, Failure> {
        let line = self.to_string();
        self.lately = Waits::new()?;
        Ok(line)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            delivered,
            accepted,
            ..
        } = self;
        write!(
            f,
            "sent {sent}  delivered {delivered}  accepted {accepted}  failed {}",
            self.failures()
        )?;
        if self.lately.count() > 0 {
            let [p50, p99] = [0.5, 0.99].map(|share| Took(self.lately.within(share)));
            write!(f, "  p50 {p50}  p99 {p99}")?;
        }
        match self.modes.now() {
            Some(mode) => write!(f, "  {mode}"),
            None => Ok(()),
        }
    }
}
