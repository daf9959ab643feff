//! The Channel, field by field. A field's doc comment is what `kubectl explain` says; its bounds and default are the schema's.
//!
//! Only what is in force is here. What is designed but not built is listed in [`NOT_IN_FORCE`], so that it is refused by name.

#![allow(clippy::duplicated_attributes)] // printer columns have their type in common

mod background; // how Async works
mod canary; // a share of the traffic that takes another mode
mod delivery; // what becomes of what a receiver can't apply
mod faults; // faults of a receiver, for demonstrations
mod sync; // how Sync works

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::transform::RecursiveTransform;
use serde::{Deserialize, Serialize};

use crate::names::{ChannelName, ServiceName};
use crate::rules;
use crate::schema::plain_enum;

pub use background::{
    AsyncBatch, AsyncSpec, AsyncTransport, ConsumerSpec, NatsJetStream, Storage, StreamSpec,
};
pub use canary::CanarySpec;
pub use delivery::{BackoffSpec, DeliverySpec};
pub use faults::FaultsSpec;
pub use sync::{OnFailure, SyncBatch, SyncSpec, SyncTransport};

/// The API group of everything Duet defines.
pub const GROUP: &str = "duet.dev";
/// The version of the Channel's type within [`GROUP`].
pub const VERSION: &str = "v1alpha1";
/// What a Channel's `apiVersion` says: [`GROUP`]/[`VERSION`].
pub const API_VERSION: &str = "duet.dev/v1alpha1";
/// What a Channel's `kind` says.
pub const KIND: &str = "Channel";

/// Fields of the design that nothing obeys yet, by path.
pub(crate) const NOT_IN_FORCE: &[&str] = &[
    "spec.sync.retry",
    "spec.sync.circuitBreaker",
    "spec.sync.concurrency",
    "spec.async.natsJetStream.stream.management",
];

/// Values of the design that nothing obeys yet, by path.
pub(crate) const VALUES_NOT_IN_FORCE: &[(&str, &str)] = &[("spec.sync.onFailure", "Async")];

/// Says how the events of one service reach another: whether the sender's callers wait for the receiver, and by what transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// The version of this document's type: duet.dev/v1alpha1.
    pub api_version: String,
    /// The type of this document: Channel.
    pub kind: String,
    /// Which Channel this is.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: Spec,
}

/// Which Channel this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The Channel's name.
    pub name: ChannelName,
    /// Counts the document's versions. The Kubernetes API sets it; in a file, leave it out and it is counted for you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 9_223_372_036_854_775_807_i64))]
    pub generation: Option<u64>,
    /// Tells this Channel from another that had its name before. The Kubernetes API sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub uid: Option<String>,
    /// The namespace that the Channel is in. Means nothing on a laptop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Labels, by key. They mean nothing to Duet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, by key. They mean nothing to Duet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(
    feature = "kubernetes",
    derive(kube::CustomResource),
    kube(
        group = "duet.dev",
        version = "v1alpha1",
        kind = "Channel",
        plural = "channels",
        shortname = "chan",
        category = "duet",
        namespaced,
        root = "ChannelResource",
        derive = "PartialEq",
        status = "crate::kubernetes::Status",
        doc = "Says how the events of one service reach another: whether the sender's callers wait for the receiver, and by what transport.",
        printcolumn(
            name = "Mode",
            type_ = "string",
            json_path = ".status.mode",
            description = "What the pods do: Sync, Async, Switching or Unknown."
        ),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status",
            description = "Whether every pod follows the spec and events flow."
        ),
        printcolumn(
            name = "Unacknowledged",
            type_ = "integer",
            json_path = ".status.unacknowledged",
            description = "Accepted events that no receiver is known to hold."
        ),
        printcolumn(
            name = "Oldest",
            type_ = "string",
            json_path = ".status.oldestAge",
            description = "The age of the oldest of them."
        ),
        printcolumn(
            name = "Lag",
            type_ = "integer",
            json_path = ".status.lag",
            description = "Messages that the broker holds."
        ),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp",
            description = "How long the Channel has been there."
        ),
        printcolumn(
            name = "From",
            type_ = "string",
            json_path = ".spec.from",
            priority = 1,
            description = "The Service that sends."
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].reason",
            priority = 1,
            description = "Why it is ready, or not."
        ),
        printcolumn(
            name = "Canary",
            type_ = "integer",
            json_path = ".status.canary.achievedPercent",
            priority = 1,
            description = "The share of requests, in hundredths, that took the canary's mode."
        ),
        printcolumn(
            name = "Guarantee",
            type_ = "string",
            json_path = ".status.guarantee",
            priority = 1,
            description = "What the settings in force promise."
        ),
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(
    transform = RecursiveTransform(plain_enum),
    extend("x-kubernetes-validations" = rules::spec())
)]
pub struct Spec {
    /// The name of the Service that sends. It may not change.
    #[schemars(extend("x-kubernetes-validations" = rules::from()))]
    pub from: ServiceName,
    /// The Services that receive, each on its own: 1 to 16. One that joins starts at what is accepted from then on; one that leaves is forgotten.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub to: Vec<Receiver>,
    /// Whether the sender's callers wait for the receiver. A change takes effect within a second and converts nothing: what was accepted before is delivered the new way.
    pub mode: Mode,
    /// A share of the traffic that takes another mode, so that a switch can be tried on few first. A change converts nothing either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CanarySpec")]
    pub canary: Option<CanarySpec>,
    /// How Sync works. Events that no caller waits for travel this way too while the mode is Sync.
    #[serde(default)]
    pub sync: SyncSpec,
    /// How Async works. Required when the mode is Async; a channel without it uses no broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AsyncSpec")]
    pub r#async: Option<AsyncSpec>,
    /// What becomes of an event that a receiver can't apply. It is kept apart, so that nothing waits behind it.
    #[serde(default)]
    pub delivery: DeliverySpec,
    /// What traces of the channel look like.
    #[serde(default)]
    pub traces: TracesSpec,
    /// What goes wrong on purpose where a receiver takes events, for demonstrations. Only a service that was started with --allow-faults obeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FaultsSpec")]
    pub faults: Option<FaultsSpec>,
    /// What becomes of the stream when the Channel is deleted. Means nothing on a laptop.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What becomes of the stream when the Channel is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays, with what it holds.
    #[default]
    Retain,
    /// It is deleted, with what it holds.
    Delete,
}

/// A Service that receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receiver {
    /// The Service's name.
    pub name: ServiceName,
}

/// Whether the sender's callers wait for the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// The caller waits for the receiver's answer.
    Sync,
    /// The caller is answered 202 as soon as its event is durable.
    Async,
}

/// What traces of the channel look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TracesSpec {
    /// How processing a message relates to the trace of the caller that caused it.
    pub r#async: TracesAsync,
}

impl Default for TracesSpec {
    fn default() -> Self {
        TracesSpec {
            r#async: TracesAsync::Continue,
        }
    }
}

/// How processing a message relates to the trace of the caller that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TracesAsync {
    /// It continues it: one trace from the caller to the receiver.
    Continue,
    /// It is a trace of its own that links to it.
    Link,
}
