//! How Sync works.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::rules;

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
