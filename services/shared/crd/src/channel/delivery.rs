//! What becomes of an event that a receiver can't apply.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::rules;

/// What becomes of an event that a receiver can't apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliverySpec {
    /// The attempts that it has, the first one included, 1 to 1000. The last makes it a dead letter, which is kept with its cause until it is redriven or discarded. An event of a type that is unknown to the receiver is tried without end: a newer sender may be rolling out.
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub max_attempts: u32,
    /// How far its attempts are apart.
    pub backoff: BackoffSpec,
}

impl Default for DeliverySpec {
    fn default() -> Self {
        DeliverySpec {
            max_attempts: 8,
            backoff: BackoffSpec::default(),
        }
    }
}

/// How far attempts are apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::backoff()))]
pub struct BackoffSpec {
    /// The longest wait after the first attempt, 10ms to 1h, and not over max. It doubles with each further attempt; each wait is a random share of it.
    #[schemars(extend("x-kubernetes-validations" = rules::duration("10ms", "1h")))]
    pub initial: Duration,
    /// The longest wait between two attempts, 10ms to 24h.
    #[schemars(extend("x-kubernetes-validations" = rules::duration("10ms", "24h")))]
    pub max: Duration,
}

impl Default for BackoffSpec {
    fn default() -> Self {
        BackoffSpec {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(600),
        }
    }
}
