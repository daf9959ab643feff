use std::num::NonZeroU32;

use duet_protocol::receive::{Outcome, Redriven};
use duet_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cursor, Filter};

/// How far a redrive has come. It is kept in the store, with what it has done: a restart goes on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether it goes on.
    pub state: Redriving,
    /// What it is of.
    pub filter: Filter,
    /// At most so many events a second; none means as fast as it goes.
    pub rate: Option<NonZeroU32>,
    /// When it was begun, in microseconds since 1970 by the receiver's wall clock.
    pub started: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// How many letters matched when it was begun.
    pub matching: u64,
    /// How many were tried: applied, superseded, or failed again.
    pub tried: u64,
    /// How many of those are applied now.
    pub applied: u64,
    /// How many of those were older than what is stored: they changed nothing, and are done with.
    pub superseded: u64,
    /// How many of those failed, and wait for their next attempt; or are dead letters, where there is but one attempt.
    pub failed_again: u64,
    /// How many are jobs, which now wait for their turn.
    pub queued: u64,
    /// How many were passed over: each had been redriven time after time, and had died of the same cause. One that is named is tried.
    pub passed_over: u64,
}

/// Whether a redrive goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Redriving {
    /// It does.
    Running,
    /// All that matched was looked at.
    Finished,
    /// It was cancelled: what it had not come to stays as it was.
    Cancelled,
}

impl Progress {
    /// When it was begun.
    pub fn started(&self) -> Timestamp {
        Timestamp::from_micros(self.started)
    }

    pub(crate) fn count(&mut self, what: &Redriven) {
        match what {
            Redriven::Tried(outcome) => {
                self.tried += 1;
                match outcome {
                    Outcome::Applied(_) => self.applied += 1,
                    Outcome::Superseded | Outcome::Refused => self.superseded += 1,
                    _ => self.failed_again += 1,
                }
            }
            Redriven::Queued => self.queued += 1,
            Redriven::PassedOver => self.passed_over += 1,
            Redriven::Gone => {}
        }
    }
}

/// A redrive, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// What it has done.
    pub progress: Progress,
    /// It has come so far,
    pub at: Cursor,
    /// and goes no further: what was parked later is not its business.
    pub up_to: Cursor,
}
