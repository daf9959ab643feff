//! Moments as RFC 3339 writes them, with their offset from UTC: `2026-11-24T09:27:00Z`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use duet_protocol::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::rules;

/// A moment of the wall clock, to the microsecond; what is below is cut off. Written in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(jiff::Timestamp);

/// Why a text is no moment, as the end of a sentence that begins with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Time::MUST)]
pub struct NotATime;

impl Time {
    /// The texts that are moments, but for days that a month doesn't have.
    pub const PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";
    /// The longest text, in bytes.
    pub const MAX_LENGTH: usize = 35;
    /// What such a text must be, as the end of a sentence.
    pub(crate) const MUST: &str = "must be a time of RFC 3339, written like 2026-11-24T09:27:00Z";
}

impl From<Timestamp> for Time {
    /// The latest there is for what lies beyond it.
    fn from(time: Timestamp) -> Self {
        let time = jiff::Timestamp::from_microsecond(time.micros());
        Time(time.unwrap_or(jiff::Timestamp::MAX))
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Timestamp::from_micros(time.0.as_microsecond())
    }
}

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        text.parse().map(Time).map_err(|_| NotATime)
    }
}

impl TryFrom<String> for Time {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Without a format: the API server would then hand rules a time in place of the text.
        json_schema!({
            "type": "string",
            "minLength": 20,
            "maxLength": Self::MAX_LENGTH,
            "pattern": Self::PATTERN,
            "x-kubernetes-validations": rules::name(Self::PATTERN, Self::MUST),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_pattern_admits_is_read_and_written_in_utc() {
        let pattern = regex_lite::Regex::new(Time::PATTERN).unwrap();
        for (text, canonical) in [
            ("2026-11-24T09:27:00Z", "2026-11-24T09:27:00Z"),
            ("2026-11-24T10:27:00+01:00", "2026-11-24T09:27:00Z"),
            ("2026-11-24T09:27:00.25-00:00", "2026-11-24T09:27:00.25Z"),
        ] {
            assert!(pattern.is_match(text), "{text}");
            let time: Time = text.parse().unwrap();
            assert_eq!(time.to_string(), canonical);
            assert_eq!(Time::from(Timestamp::from(time)), time);
        }
        for text in [
            "",
            "now",
            "2026-11-24",
            "2026-11-24T09:27:00",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(!pattern.is_match(text), "{text}");
            assert_eq!(text.parse::<Time>(), Err(NotATime), "{text}");
        }
        assert_eq!("2026-02-30T00:00:00Z".parse::<Time>(), Err(NotATime));
    }
}
