//! What the operator observed: the Channel's status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use schemars::transform::RecursiveTransform;
use serde::{Deserialize, Serialize};

use crate::schema::plain_enum;

/// What the operator observed, last. What it could not observe is absent or Unknown, never what it was before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = RecursiveTransform(plain_enum))]
pub struct Status {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,
    /// What the pods do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "StatusMode")]
    pub mode: Option<StatusMode>,
    /// The share that takes another mode, and what it came to; absent where there is no canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CanaryStatus")]
    pub canary: Option<CanaryStatus>,
    /// What the settings in force promise, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub guarantee: Option<String>,
    /// How many accepted events no receiver is known to hold, at all senders together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub unacknowledged: Option<i64>,
    /// The age of the oldest of them, as 12s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub oldest_age: Option<String>,
    /// How many messages the broker holds that the receiver has not settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub lag: Option<i64>,
    /// Accepted: this Channel is the one in force. Ready: every pod follows it, Async has its broker where that is the mode, and nothing keeps events waiting. BrokerReady: the stream and the consumer are as asked for. Drained: no unreceived event was accepted under an older generation. Degraded: something keeps events waiting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The pods behind the Services that the spec names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Participants")]
    pub participants: Option<Participants>,
}

/// What the pods do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatusMode {
    /// Callers wait for the receiver.
    Sync,
    /// Callers are answered as soon as their event is durable.
    Async,
    /// Some pods follow the spec's mode already, others not yet.
    Switching,
    /// No pod could be asked.
    Unknown,
}

/// The share that takes another mode, and what it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStatus {
    /// The share that is wanted, in hundredths.
    #[schemars(with = "i32")]
    pub percent: u32,
    /// The share of requests that it was since the spec is in force, in hundredths, at all senders together. Absent while there was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32")]
    pub achieved_percent: Option<u32>,
}

/// The pods behind the Services that a Channel names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Participants {
    /// How many of them follow the spec.
    #[schemars(with = "i32")]
    pub ready: u32,
    /// How many there are.
    #[schemars(with = "i32")]
    pub total: u32,
    /// Those that do not follow the spec, or could not be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub diverging: Vec<Diverging>,
}

/// A pod that does not follow the spec, or could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diverging {
    /// The pod's name.
    pub pod: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When this was observed.
    pub observed_at: Time,
}
