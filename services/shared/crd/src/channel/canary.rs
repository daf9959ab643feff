//! A share of the traffic that takes another mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;

/// A share of the traffic that takes another mode, so that a switch can be tried on few first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanarySpec {
    /// The mode that the share takes in place of spec.mode. The same as spec.mode is allowed, and has no effect.
    pub mode: Mode,
    /// How many of a hundred pairs of post and user take it, 0 to 100. A pair always takes the same side; a larger share keeps the pairs of the smaller.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub percent: u32,
}
