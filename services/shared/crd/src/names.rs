//! Names that a Channel may hold, each as narrow as the strictest system it reaches.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::rules;

/// Why a text is not such a name, as the end of a sentence that begins with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(&'static str);

/// A newtype over text that only `$valid` texts of up to `$max` bytes can be made into.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $pattern:literal, $valid:expr, $must:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The texts that are such names.
            pub const PATTERN: &str = $pattern;
            /// What such a text must be, as the end of a sentence.
            pub(crate) const MUST: &str = $must;
            /// The longest, in bytes.
            pub const MAX_LENGTH: usize = $max;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;
            fn try_from(text: String) -> Result<Self, NotAName> {
                let valid: fn(&str) -> bool = $valid;
                if (1..=$max).contains(&text.len()) && valid(&text) {
                    Ok($name(text))
                } else {
                    Err(NotAName(Self::MUST))
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": Self::MAX_LENGTH,
                    "pattern": Self::PATTERN,
                    "x-kubernetes-validations": rules::name(Self::PATTERN, Self::MUST),
                })
            }
        }
    };
}

name!(
    /// A Channel's name: a DNS subdomain (RFC 1123), as every Kubernetes resource's.
    ChannelName,
    253,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    |text| text.split('.').all(is_label),
    "must be the Channel's name, 1 to 253 of a-z 0-9 - . where each part between dots begins and ends with a letter or digit"
);

name!(
    /// A Service's name: a DNS label that begins with a letter (RFC 1035), as Kubernetes demands.
    ServiceName,
    63,
    "^[a-z]([-a-z0-9]*[a-z0-9])?$",
    |text| text.starts_with(|first: char| first.is_ascii_lowercase()) && is_label(text),
    "must be a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit"
);

name!(
    /// A JetStream stream's name. The server also forbids whitespace, dots, wildcards and path separators; Duet takes letters, digits, `_` and `-`.
    StreamName,
    64,
    "^[A-Za-z0-9_-]+$",
    is_token,
    "must be a stream's name, 1 to 64 of A-Z a-z 0-9 _ - (no spaces, dots or wildcards)"
);

name!(
    /// A subject that one publishes on: tokens between dots, no wildcards, and not in the server's own space (`$…`, `_…`).
    Subject,
    128,
    "^[A-Za-z0-9-][A-Za-z0-9_-]*(\\.[A-Za-z0-9_-]+)*$",
    |text| !text.starts_with('_') && text.split('.').all(is_token),
    "must be a subject, 1 to 128 of A-Z a-z 0-9 _ - in parts between dots (no spaces, no wildcards), not beginning with _"
);

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, by the type and by its pattern: they must agree.
    fn admits<T: TryFrom<String>>(pattern: &str, max: usize, text: &str) -> bool {
        let read = T::try_from(text.to_owned()).is_ok();
        let matches = regex_lite::Regex::new(pattern).unwrap().is_match(text) && text.len() <= max;
        assert_eq!(read, matches, "{text:?} against {pattern}");
        read
    }

    macro_rules! admits {
        ($name:ident: [$($good:expr),*], but_not: [$($bad:expr),* $(,)?]) => {
            $(assert!(admits::<$name>($name::PATTERN, $name::MAX_LENGTH, $good), "{:?}", $good);)*
            $(assert!(!admits::<$name>($name::PATTERN, $name::MAX_LENGTH, $bad), "{:?}", $bad);)*
        };
    }

    #[test]
    fn a_channel_is_named_as_a_kubernetes_resource() {
        admits!(ChannelName: ["reactions", "a", "1", "a.b-c.d", &"a".repeat(253)],
            but_not: ["", ".", "a.", ".a", "a..b", "A", "-a", "a-", "a-.b", "a_b", "a b", "ä", "a\n", &"a".repeat(254)]);
    }

    #[test]
    fn a_service_is_named_as_a_kubernetes_service() {
        admits!(ServiceName: ["reaction", "a", "a-1", &"a".repeat(63)],
            but_not: ["", "1a", "a.b", "a-", "-a", "A", &"a".repeat(64)]);
    }

    #[test]
    fn a_streams_name_has_no_spaces_dots_or_wildcards() {
        admits!(StreamName: ["REACTIONS", "r_1-x", &"A".repeat(64)],
            but_not: ["", "a.b", "a b", "a*", "a>", "a/b", "a\\b", "a\t", "é", &"A".repeat(65)]);
    }

    #[test]
    fn a_subject_has_no_wildcards_and_no_empty_part() {
        admits!(Subject: ["duet.reactions", "duet", "a._b.c"],
            but_not: ["", ".", "a.", ".a", "a..b", "duet.*", "duet.>", "a b", "$JS.API", "_INBOX.x", &"a".repeat(129)]);
    }
}
