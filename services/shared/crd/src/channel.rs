//! The Channel, field by field. A field's doc comment is what `kubectl explain` says; its bounds and default are the schema's.
//!
//! Only what is in force is here. What is designed but not built is listed in [`NOT_IN_FORCE`], so that it is refused by name.

#![allow(clippy::duplicated_attributes)] // printer columns have their type in common

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::transform::RecursiveTransform;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::names::{ChannelName, ServiceName, StreamName, Subject};
use crate::quantity::Bytes;
use crate::rules;
use crate::schema::plain_enum;

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
    "status",
    "spec.canary",
    "spec.delivery",
    "spec.faults",
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
    /// The Services that receive. One, for now.
    #[schemars(length(min = 1, max = 1), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub to: Vec<Receiver>,
    /// Whether the sender's callers wait for the receiver. A change takes effect within a second and converts nothing: what was accepted before is delivered the new way.
    pub mode: Mode,
    /// How Sync works. Events that no caller waits for travel this way too while the mode is Sync.
    #[serde(default)]
    pub sync: SyncSpec,
    /// How Async works. Required when the mode is Async; a channel without it uses no broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AsyncSpec")]
    pub r#async: Option<AsyncSpec>,
    /// What traces of the channel look like.
    #[serde(default)]
    pub traces: TracesSpec,
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

/// How Sync works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncSpec {
    /// What carries a call.
    pub transport: SyncTransport,
    /// How long the whole call may take, 10ms to 5m. A caller whose deadline passes is answered 504.
    #[schemars(extend("x-kubernetes-validations" = rules::duration("10ms", "5m")))]
    pub deadline: Duration,
    /// What becomes of the event of a call that failed.
    pub on_failure: OnFailure,
    /// What shares a request.
    pub batch: SyncBatch,
}

impl Default for SyncSpec {
    fn default() -> Self {
        SyncSpec {
            transport: SyncTransport::Http,
            deadline: Duration::from_secs(2),
            on_failure: OnFailure::Fail,
            batch: SyncBatch::default(),
        }
    }
}

/// What carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncTransport {
    /// HTTP/1.1 with keep-alive.
    #[serde(rename = "HTTP")]
    Http,
}

/// What becomes of the event of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// It is taken back before the caller is answered.
    Fail,
}

/// What shares a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncBatch {
    /// The most events that one request carries, 1 to 512; 1 gives each call a request of its own. No call waits for others to join it.
    #[schemars(with = "i32", range(min = 1, max = 512))]
    pub max_events: u32,
}

impl Default for SyncBatch {
    fn default() -> Self {
        SyncBatch { max_events: 256 }
    }
}

/// How Async works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::transport()))]
pub struct AsyncSpec {
    /// What carries messages. Names the one member beside it that must be there, and no other may be.
    pub transport: AsyncTransport,
    /// What NATS JetStream is asked for. Required when the transport is NATSJetStream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NatsJetStream")]
    pub nats_jet_stream: Option<NatsJetStream>,
    /// What shares a message.
    #[serde(default)]
    pub batch: AsyncBatch,
}

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AsyncTransport {
    /// NATS JetStream, of server 2.14 or later.
    #[serde(rename = "NATSJetStream")]
    NatsJetStream,
}

/// What NATS JetStream is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::ack_wait()))]
pub struct NatsJetStream {
    /// The stream that holds messages until the receiver has them. It keeps no message that all receivers have, and refuses new ones when it is full.
    pub stream: StreamSpec,
    /// The receiver's durable pull consumer.
    #[serde(default)]
    pub consumer: ConsumerSpec,
}

/// The stream that holds messages until the receiver has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::stream()))]
pub struct StreamSpec {
    /// The stream's name. One Channel owns a stream.
    pub name: StreamName,
    /// The subject that messages are published on.
    pub subject: Subject,
    /// Copies of each message in a cluster of servers, 1 to 5. An even number survives no more than the odd one below it.
    #[serde(default = "StreamSpec::default_replicas")]
    #[schemars(with = "i32", range(min = 1, max = 5))]
    pub replicas: u32,
    /// Where messages are held. It may not change while the stream keeps its name.
    #[serde(default = "StreamSpec::default_storage")]
    pub storage: Storage,
    /// The most that the stream holds, 1Mi to 1Pi. Beyond it new messages are refused and wait in the sender's outbox.
    #[schemars(extend("x-kubernetes-validations" = rules::bytes("1Mi", "1Pi")))]
    pub max_bytes: Bytes,
    /// A message older than this is dropped, 10s to 8760h; its sender sends it again.
    #[serde(default = "StreamSpec::default_max_age")]
    #[schemars(extend("x-kubernetes-validations" = rules::duration("10s", "8760h")))]
    pub max_age: Duration,
    /// For how long a repeated publish is recognized as the same, 1s to 24h, and not over maxAge. A duplicate beyond it costs a message, never a second delivery.
    #[serde(default = "StreamSpec::default_duplicate_window")]
    #[schemars(extend("x-kubernetes-validations" = rules::duration("1s", "24h")))]
    pub duplicate_window: Duration,
}

impl StreamSpec {
    const fn default_replicas() -> u32 {
        1
    }
    const fn default_storage() -> Storage {
        Storage::File
    }
    const fn default_max_age() -> Duration {
        Duration::from_secs(72 * 3600)
    }
    const fn default_duplicate_window() -> Duration {
        Duration::from_secs(120)
    }
}

/// Where messages are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Storage {
    /// In files.
    File,
    /// In memory: gone when the server stops, and then sent again.
    Memory,
}

/// The receiver's durable pull consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerSpec {
    /// A message that is not settled for this long is delivered again, 1s to 1h, and not over the stream's maxAge.
    #[schemars(extend("x-kubernetes-validations" = rules::duration("1s", "1h")))]
    pub ack_wait: Duration,
    /// The most messages that are delivered and not settled yet, 1 to 65536.
    #[schemars(with = "i32", range(min = 1, max = 65536))]
    pub max_ack_pending: u32,
}

impl Default for ConsumerSpec {
    fn default() -> Self {
        ConsumerSpec {
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 4096,
        }
    }
}

/// What shares a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AsyncBatch {
    /// The most events that one message carries, 1 to 512; 1 gives each event a message of its own.
    #[schemars(with = "i32", range(min = 1, max = 512))]
    pub max_events: u32,
    /// How long a message that is not full waits for more events, 0s to 1s. Callers never wait for it.
    #[schemars(extend("x-kubernetes-validations" = rules::duration("0s", "1s")))]
    pub linger: Duration,
}

impl Default for AsyncBatch {
    fn default() -> Self {
        AsyncBatch {
            max_events: 256,
            linger: Duration::from_millis(5),
        }
    }
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
