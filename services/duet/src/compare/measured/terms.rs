//! On what terms the figures stand.

use super::units;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// On what terms the figures stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    /// The whole command line of this run.
    pub(crate) command: String,
    pub(crate) began: jiff::Timestamp,
    #[serde(rename = "tookSeconds", with = "units::seconds")]
    pub(crate) took: Duration,
    pub(crate) length: Length,
    pub(crate) place: PairPlace,
    /// Where `duet compare` and its load ran; on a laptop the pair too.
    pub(crate) machine: Machine,
    /// By name: "duet", "nats-server", "kubernetes", …
    pub(crate) versions: BTreeMap<String, String>,
    /// Requests a second where a scenario says nothing else.
    pub(crate) per_second: f64,
    /// `sync.deadline` of the run.
    #[serde(rename = "deadlineMs", with = "units::millis")]
    pub(crate) deadline: Duration,
    /// The receivers in `spec.to` before the run.
    pub(crate) receivers: Vec<String>,
}

/// How much was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Length {
    /// `--quick`: two minutes.
    Quick,
    Full,
}

/// Where the pair was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum PairPlace {
    /// On the machine that measured, its load beside it.
    Laptop {
        /// Whether it was started for the run and ended after it.
        own: bool,
    },
    /// In a cluster; requests went through a forwarded port, whose own time is in every wait.
    Cluster {
        context: String,
        namespace: String,
        /// Pods, by Service.
        pods: BTreeMap<String, u32>,
    },
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// The operating system and its version.
    pub(crate) system: String,
    /// The processor's name, where the system tells it.
    pub(crate) processor: Option<String>,
    pub(crate) cores: usize,
}
