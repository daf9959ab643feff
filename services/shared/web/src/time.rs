//! Times as RFC 3339 text in UTC, to the microsecond: `2026-11-24T09:27:00.123456Z`.

use duet_protocol::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For serde's `serialize_with`.
pub fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let time =
        jiff::Timestamp::from_microsecond(time.micros()).map_err(serde::ser::Error::custom)?;
    time.serialize(serializer)
}

/// For a sentence; to the second.
pub fn text(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.micros() / 1_000_000)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// For serde's `deserialize_with`. What is below a microsecond is cut off.
pub fn from_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let time = jiff::Timestamp::deserialize(deserializer)?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}
