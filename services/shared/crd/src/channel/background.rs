//! How Async works: the transport's own settings are a member of its name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::names::{StreamName, Subject};
use crate::quantity::Bytes;
use crate::rules;

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
