//! How far a consumer has come.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::transport::Position;

/// A place among a consumer's deliveries. Redelivered messages come out of the stream's order, but each delivery has a number of its
/// own that only grows, so that "up to here" is exact.
///
/// Which messages are settled is the consumer's own knowledge, in the broker: the stored position tells a person where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The stream's name.
    pub(super) stream: String,
    /// When it was created, in nanoseconds since 1970 by the broker's clock.
    pub(super) created: u64,
    /// The last message's place in the stream.
    pub(super) sequence: u64,
    /// The last message's place among the consumer's deliveries.
    pub(super) delivery: u64,
}

impl Place {
    pub(super) fn position(&self) -> Position {
        // Plain data: its serialization can't fail.
        Position(Bytes::from(serde_json::to_vec(self).unwrap_or_default()))
    }

    pub(super) fn read(position: &Position) -> Option<Self> {
        serde_json::from_slice(&position.0).ok()
    }
}
