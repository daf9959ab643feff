//! Faults of a receiver, for demonstrations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::names::ServiceName;
use crate::rules;
use crate::time::Time;

/// What goes wrong on purpose where a receiver takes events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultsSpec {
    /// How long each batch of events waits before it is applied, 0s to 1m.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = rules::duration("0s", "1m")))]
    pub delay: Duration,
    /// By how much the delay is longer or shorter at random, 0s to 1m; never shorter than nothing.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = rules::duration("0s", "1m")))]
    pub jitter: Duration,
    /// The share of events that can't be applied, 0 to 100. In Sync the caller's call fails; in Async the event is parked and tried again.
    #[serde(default)]
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub error_percent: u32,
    /// The share of requests and messages that get no answer, 0 to 100, until whoever sent them has given up.
    #[serde(default)]
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub hang_percent: u32,
    /// The most events a second that each pod of the receiver takes, 1 to 1000000; others wait their turn. Without it there is no such bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1_000_000))]
    pub max_per_second: Option<u32>,
    /// Which of the Services in spec.to this happens at. Without it, at all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceName")]
    pub receiver: Option<ServiceName>,
    /// When it ends by itself. Without it, it goes on until this section is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub until: Option<Time>,
}
