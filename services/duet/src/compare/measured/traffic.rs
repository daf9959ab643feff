//! One stretch of load, and how long things took.

use super::{Figure, units};
use crate::waits::Waits;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Requests that were sent when they were due, whatever was answered (an open loop). Where a load has several stretches, `unsent`, `lost`
/// and `surplus` are those of the whole load: of a single reaction nobody knows in which stretch it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Traffic {
    /// Requests that were due a second.
    pub(crate) per_second: f64,
    /// From the first request that was due to the last.
    #[serde(rename = "seconds", with = "units::seconds")]
    pub(crate) length: Duration,
    pub(crate) sent: u64,
    /// Answered 200: the receivers had it.
    pub(crate) delivered: u64,
    /// Answered 202: they will.
    pub(crate) accepted: u64,
    /// Everything else, by status ("503", "504"), or `unreachable`, or `unanswered`.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Due and not sent, since too many were under way.
    pub(crate) unsent: u64,
    /// How long callers waited, from the time that their request was due: successes.
    pub(crate) waits: Figure<Quantiles>,
    /// The same of all answers, failures included: a caller that is told "no" has waited too.
    pub(crate) waits_of_all: Figure<Quantiles>,
    /// How long it took until the owner was shown it.
    pub(crate) freshness: Figure<Freshness>,
    /// Told as a success, and not with the owner in the end.
    pub(crate) lost: Figure<u64>,
    /// With the owner, though told as a failure or never sent, or there twice.
    pub(crate) surplus: Figure<u64>,
}

impl Traffic {
    /// Answered with a success.
    pub(crate) fn succeeded(&self) -> u64 {
        self.delivered + self.accepted
    }

    /// Answered with anything else, or not at all.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// From the time that a request was due until the owner's inbox showed it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Freshness {
    #[serde(flatten)]
    pub(crate) took: Quantiles,
    /// How exact each is: the time between two looks.
    #[serde(rename = "everyMs", with = "units::millis")]
    pub(crate) every: Duration,
}

/// How long things took. A hundred samples are needed for a p99 that means anything; who judges looks at `samples`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quantiles {
    pub(crate) samples: u64,
    #[serde(rename = "p50Ms", with = "units::millis")]
    pub(crate) p50: Duration,
    #[serde(rename = "p90Ms", with = "units::millis")]
    pub(crate) p90: Duration,
    #[serde(rename = "p99Ms", with = "units::millis")]
    pub(crate) p99: Duration,
    #[serde(rename = "longestMs", with = "units::millis")]
    pub(crate) longest: Duration,
}

/// Of none there is no figure.
impl From<&Waits> for Figure<Quantiles> {
    fn from(waits: &Waits) -> Self {
        match waits.count() {
            0 => Self::missing("there was none"),
            samples => Self::Measured(Quantiles {
                samples,
                p50: waits.within(0.5),
                p90: waits.within(0.9),
                p99: waits.within(0.99),
                longest: waits.within(1.0),
            }),
        }
    }
}
