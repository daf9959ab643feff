//! Durations as Gateway API writes them (GEP-2257): `2s`, `1h30m`, `250ms`.
//!
//! One to four numbers of at most five digits, each with a unit: `h`, `m`, `s` or `ms`. The longest is
//! `99999h59m59s999ms`. No sign, no fraction, no space, nothing below a millisecond.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration as StdDuration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration of whole milliseconds, up to 99,999 hours.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    millis: u64,
}

/// Why a text is no duration, as the end of a sentence that begins with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// Not of the form that GEP-2257 gives.
    #[error("must be a duration like 2s, 250ms or 1h30m")]
    Malformed,
    /// Beyond 99999h59m59s999ms.
    #[error("must be at most 99999h59m59s999ms")]
    TooLong,
}

/// The units from long to short, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// GEP-2257's own pattern.
    pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
    /// The longest text, in bytes: four times five digits and `ms`.
    pub const MAX_LENGTH: usize = 28;
    /// The longest: 99999h59m59s999ms.
    pub const MAX: Duration = Duration {
        millis: 100_000 * 3_600_000 - 1,
    };

    /// From whole milliseconds; the longest where there are more.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.millis {
            Self::MAX
        } else {
            Duration { millis }
        }
    }

    /// From whole seconds; the longest where there are more.
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1_000))
    }

    /// In whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        StdDuration::from_millis(duration.millis)
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let mut rest = text;
        let mut millis = 0;
        for _ in 0..4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            if !(1..=5).contains(&digits) {
                return Err(NotADuration::Malformed);
            }
            // `ms` before `m`, which it begins with.
            let (unit, size) = UNITS
                .into_iter()
                .rev()
                .find(|(unit, _)| after.starts_with(unit))
                .ok_or(NotADuration::Malformed)?;
            let number: u64 = number.parse().map_err(|_| NotADuration::Malformed)?;
            millis += number * size;
            rest = &after[unit.len()..];
            if rest.is_empty() {
                return if millis <= Self::MAX.millis {
                    Ok(Duration { millis })
                } else {
                    Err(NotADuration::TooLong)
                };
            }
        }
        Err(NotADuration::Malformed)
    }
}

impl TryFrom<String> for Duration {
    type Error = NotADuration;
    fn try_from(text: String) -> Result<Self, NotADuration> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

/// In GEP-2257's canonical form: each unit at most once, long before short, none of them zero; nothing is `0s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.millis;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
            }
            rest %= size;
        }
        Ok(())
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": Self::MAX_LENGTH,
            "pattern": Self::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<u64> {
        text.parse::<Duration>().ok().map(Duration::as_millis)
    }

    #[test]
    fn every_valid_example_of_gep_2257_is_read() {
        for (text, expected) in [
            ("0h", 0),
            ("0s", 0),
            ("1h", 3_600_000),
            ("30m", 1_800_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("2h30m", 9_000_000),
            ("150m", 9_000_000),
            ("7230s", 7_230_000),
            ("1h30m10s", 5_410_000),
            ("10s30m1h", 5_410_000),
            ("100ms200ms300ms", 600),
            ("99999h59m59s999ms", 359_999_999_999),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_gep_2257_forbids_is_refused() {
        for text in [
            "",
            "1",
            "1d",
            "1.5h",
            "-1h",
            "+1h",
            "h",
            "1 h",
            " 1h",
            "1h ",
            "100000h",
            "10us",
            "1ns",
            "1h1m1s1ms1h",
            "1H",
            "0",
            "1m1",
            "١h",
        ] {
            assert_eq!(
                text.parse::<Duration>(),
                Err(NotADuration::Malformed),
                "{text}"
            );
        }
        assert_eq!("99999h60m".parse::<Duration>(), Err(NotADuration::TooLong));
    }

    #[test]
    fn a_duration_is_written_in_its_canonical_form() {
        for (text, canonical) in [
            ("0h0m", "0s"),
            ("150m", "2h30m"),
            ("10s30m1h", "1h30m10s"),
            ("1000ms", "1s"),
            ("1500ms", "1s500ms"),
            ("99999h59m59s999ms", "99999h59m59s999ms"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(duration));
        }
    }

    #[test]
    fn the_pattern_admits_what_is_read_and_nothing_else() {
        let pattern = regex_lite::Regex::new(Duration::PATTERN).unwrap();
        for text in [
            "0s",
            "1h30m",
            "1h1m1s1ms1h",
            "",
            "1d",
            "123456s",
            "12345s",
            "5ms5m",
            "5mss",
            "\n1s",
            "99999h60m",
        ] {
            let read = text.parse::<Duration>();
            assert_eq!(
                pattern.is_match(text),
                read != Err(NotADuration::Malformed),
                "{text:?}"
            );
        }
    }
}
