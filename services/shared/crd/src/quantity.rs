//! Sizes as Kubernetes writes quantities: `1Gi`, `500M`, `1.5Gi`, `1e9`, `1073741824`.
//!
//! Binary suffixes `Ki Mi Gi Ti Pi Ei`, decimal ones `k M G T P E`, a decimal exponent, or none. A part of a byte counts
//! as a whole one, as in Kubernetes. The suffixes below one (`m`, `u`, `n`) and signs mean nothing for bytes and are refused.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number of bytes, at most 2^63 - 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "Written", into = "String")]
pub struct Bytes(u64);

/// Why a text is no number of bytes, as the end of a sentence that begins with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBytes {
    /// Not of the form that Kubernetes gives.
    #[error("must be a number of bytes like 1Gi, 500M or 1073741824")]
    Malformed,
    /// Beyond 2^63 - 1.
    #[error("must be at most 2^63 - 1 bytes")]
    TooMany,
}

/// Either of the two ways in which a document may write a quantity.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

/// The binary suffixes from small to large, each 1,024 times the one before.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// The decimal suffixes from small to large, each 1,000 times the one before.
const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

impl Bytes {
    /// The texts that are read.
    pub const PATTERN: &str =
        "^([0-9]{1,19}(\\.[0-9]{0,9})?|\\.[0-9]{1,9})([KMGTPE]i|[kMGTPE]|[eE]1?[0-9])?$";
    /// The longest text, in bytes: 19 digits, a point, nine more, and `e19`.
    pub const MAX_LENGTH: usize = 32;

    /// This many bytes, or 2^63 - 1 where there are more.
    pub const fn new(bytes: u64) -> Self {
        if bytes > i64::MAX as u64 {
            Bytes(i64::MAX as u64)
        } else {
            Bytes(bytes)
        }
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a suffix multiplies by; `None` if there is no such suffix.
fn factor(suffix: &str) -> Option<u128> {
    let power = |of: u128, in_list: &[&str]| {
        let place = in_list.iter().position(|known| *known == suffix)?;
        of.checked_pow(u32::try_from(place).ok()? + 1)
    };
    if suffix.is_empty() {
        return Some(1);
    }
    power(1024, &BINARY)
        .or_else(|| power(1000, &DECIMAL))
        .or_else(|| {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let plain = exponent.bytes().all(|b| b.is_ascii_digit())
                && (exponent.len() == 1 || exponent.len() == 2 && exponent.starts_with('1'));
            10u128.checked_pow(exponent.parse().ok().filter(|_| plain)?)
        })
}

impl FromStr for Bytes {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, NotBytes> {
        let malformed = NotBytes::Malformed;
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();

        let (whole, rest) = text.split_at(digits(text));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits(rest)),
            None => ("", rest),
        };
        if whole.len() + fraction.len() == 0 || whole.len() > 19 || fraction.len() > 9 {
            return Err(malformed);
        }
        let factor = factor(suffix).ok_or(malformed)?;
        let number = |digits: &str| {
            if digits.is_empty() {
                Ok(0)
            } else {
                digits.parse::<u128>()
            }
        };
        let (whole, part) = (
            number(whole).map_err(|_| malformed)?,
            number(fraction).map_err(|_| malformed)?,
        );
        let parts = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(9));
        let bytes = whole
            .checked_mul(factor)
            .and_then(|bytes| bytes.checked_add((part * factor).div_ceil(parts)))
            .ok_or(NotBytes::TooMany)?;
        i64::try_from(bytes)
            .map(|bytes| Bytes(bytes.unsigned_abs()))
            .map_err(|_| NotBytes::TooMany)
    }
}

impl TryFrom<Written> for Bytes {
    type Error = NotBytes;
    fn try_from(written: Written) -> Result<Self, NotBytes> {
        match written {
            Written::Number(bytes) if i64::try_from(bytes).is_ok() => Ok(Bytes(bytes)),
            Written::Number(_) => Err(NotBytes::TooMany),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

/// With the largest binary suffix that leaves a whole number.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.0;
        let mut suffix = "";
        for larger in BINARY {
            if number == 0 || !number.is_multiple_of(1024) {
                break;
            }
            number /= 1024;
            suffix = larger;
        }
        write!(f, "{number}{suffix}")
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": Self::MAX_LENGTH,
            "pattern": Self::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<u64> {
        text.parse().ok().map(Bytes::get)
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("1Gi", 1 << 30),
            ("1.5Gi", 3 << 29),
            ("1.Ki", 1024),
            (".5Ki", 512),
            ("0.1", 1),
            ("500M", 500_000_000),
            ("1k", 1_000),
            ("1e3", 1_000),
            ("1.5e3", 1_500),
            ("2E", 2_000_000_000_000_000_000),
            ("7Ei", 7 << 60),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_bytes_is_refused() {
        for text in [
            "",
            "Gi",
            ".",
            ".Ki",
            "1K",
            "1gi",
            "1GiB",
            "1 Gi",
            "-1",
            "+1",
            "1m",
            "1u",
            "1e",
            "1e+3",
            "1e-3",
            "1e20",
            "1e05",
            "1e100",
            "1.2.3",
            "0x10",
            "1.0000000001",
        ] {
            assert_eq!(text.parse::<Bytes>(), Err(NotBytes::Malformed), "{text}");
        }
        for text in [
            "8Ei",
            "9223372036854775808",
            "9999999999999999999Ei",
            "1e19",
            "9999999999999999999.999999999e19",
        ] {
            assert_eq!(text.parse::<Bytes>(), Err(NotBytes::TooMany), "{text}");
        }
    }

    #[test]
    fn a_quantity_is_written_as_short_as_it_can_be_exactly() {
        for (number, text) in [
            (0, "0"),
            (1, "1"),
            (1023, "1023"),
            (1 << 30, "1Gi"),
            (3 << 29, "1536Mi"),
            (1 << 60, "1Ei"),
        ] {
            assert_eq!(Bytes::new(number).to_string(), text);
            assert_eq!(bytes(text), Some(number));
        }
    }

    #[test]
    fn the_pattern_admits_what_is_read_and_nothing_else() {
        let pattern = regex_lite::Regex::new(Bytes::PATTERN).unwrap();
        for text in [
            "0",
            "1.",
            ".5",
            ".",
            "",
            "1Gi",
            "1K",
            "1Ki",
            "1e3",
            "1E3",
            "1e19",
            "1e20",
            "1e09",
            "1E",
            "1e",
            "1e100",
            "8Ei",
            "1.0000000001",
            "1\n",
        ] {
            let read = text.parse::<Bytes>();
            assert_eq!(
                pattern.is_match(text),
                read != Err(NotBytes::Malformed),
                "{text:?}"
            );
        }
    }
}
