//! Which letters are meant: by query parameters or as JSON, each field checked either way.

use std::fmt;
use std::str::FromStr;

use duet_channel::transport::cloudevents::MAX_TYPE;
use duet_protocol::delivery::Fingerprint;
use duet_protocol::event::{EventId, Key};
use duet_protocol::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{State, maybe};
use crate::page::invalid;
use crate::problem::{FieldError, Problem};

/// The most ids that a filter names.
pub const MAX_IDS: usize = 500;

/// Which letters: those that fit all that is given. Without anything it is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// These alone; at most [`MAX_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "ids")]
    pub ids: Vec<Text<EventId>>,
    /// Those that failed for this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Text<Fingerprint>>,
    /// Those that stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Those of this CloudEvents `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text<KindName>>,
    /// Those whose key begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<Text<KeyPrefix>>,
    /// Those that failed last before this time.
    #[serde(skip_serializing_if = "Option::is_none", with = "maybe")]
    pub before: Option<Timestamp>,
}

/// What is written as a text, and means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Text).map_err(serde::de::Error::custom)
    }
}

/// A text of 1 to `MAX` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within<const MAX: usize>(Box<str>);

/// A CloudEvents `type`.
pub type KindName = Within<MAX_TYPE>;

/// What a key begins with.
pub type KeyPrefix = Within<{ Key::MAX }>;

/// A text that is too long, or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has 1 to {0} bytes")]
pub struct NotWithin(usize);

impl<const MAX: usize> FromStr for Within<MAX> {
    type Err = NotWithin;

    fn from_str(text: &str) -> Result<Self, NotWithin> {
        let is_within = (1..=MAX).contains(&text.len());
        is_within.then(|| Within(text.into())).ok_or(NotWithin(MAX))
    }
}

impl<const MAX: usize> From<Within<MAX>> for Box<str> {
    fn from(text: Within<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> fmt::Display for Within<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Text<EventId>>, D::Error> {
    let ids = Vec::deserialize(deserializer)?;
    match ids.len() {
        0..=MAX_IDS => Ok(ids),
        _ => Err(serde::de::Error::custom(format_args!(
            "a filter names at most {MAX_IDS} ids"
        ))),
    }
}

impl Filter {
    /// From a query's parameters: `id` may be given several times.
    ///
    /// # Errors
    /// A problem that names the parameter.
    pub(crate) fn from_parameters(parameters: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut fields = Map::new();
        let mut ids = Vec::new();
        for (name, value) in parameters {
            if name == "id" {
                ids.push(Value::String(value));
                continue;
            }
            if name == "ids" {
                let instead = "there is no such parameter: give `id`, as often as you like";
                return Err(invalid(FieldError::of(name, instead)));
            }
            if fields.insert(name.clone(), Value::String(value)).is_some() {
                return Err(invalid(FieldError::of(name, "it is given twice")));
            }
        }
        fields.insert("ids".to_owned(), Value::Array(ids));
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
            let path = error.path().to_string();
            let name = match path.starts_with("ids") {
                true => "id".to_owned(),
                false => path,
            };
            invalid(FieldError::of(name, error.into_inner().to_string()))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "000000000000feed.0010.0003.000000000000002a.0000000000000007";

    fn from(query: &[(&str, &str)]) -> Result<Filter, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Filter::from_parameters(query.iter().map(owned).collect()).map_err(|it| it.to_string())
    }

    #[test]
    fn a_query_and_a_body_mean_the_same() {
        let query = [
            ("id", ID),
            ("cause", "00000000000000ab"),
            ("state", "dead"),
            ("kind", "dev.duet.reaction.set"),
            ("keyPrefix", "walk/"),
            ("before", "2026-11-30T02:00:00Z"),
        ];
        let body = json!({
            "ids": [ID], "cause": "00000000000000ab", "state": "dead", "kind": "dev.duet.reaction.set",
            "keyPrefix": "walk/", "before": "2026-11-30T02:00:00Z",
        });
        let filter: Filter = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(from(&query), Ok(filter.clone()));
        assert_eq!(serde_json::to_value(&filter).unwrap(), body);
        assert_eq!(from(&[]), Ok(Filter::default()));
        assert_eq!(serde_json::to_value(Filter::default()).unwrap(), json!({}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "x".repeat(Key::MAX + 1);
        for (name, value) in [
            ("id", "7"),
            ("cause", "xyz"),
            ("cause", ""),
            ("state", "alive"),
            ("kind", ""),
            ("kind", &long),
            ("keyPrefix", ""),
            ("keyPrefix", &long),
            ("before", "yesterday"),
            ("ids", ID),
            ("colour", "red"),
        ] {
            let told = from(&[(name, value)]).unwrap_err();
            assert!(
                told.contains(&format!("{name}: ")),
                "{name}={value}: {told}"
            );
        }
        let twice = from(&[("state", "dead"), ("state", "dead")]).unwrap_err();
        assert!(twice.contains("state: it is given twice"), "{twice}");
        let many = vec![("id", ID); MAX_IDS + 1];
        let told = from(&many).unwrap_err();
        assert!(told.contains("id: ") && told.contains("500"), "{told}");
    }
}
