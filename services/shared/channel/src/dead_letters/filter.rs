use std::fmt::Display;
use std::str::FromStr;

use duet_protocol::delivery::Fingerprint;
use duet_protocol::event::EventId;
use duet_protocol::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which letters: those that meet all that it says. By default all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Filter {
    /// These events, by name: then a redrive passes over none of them. Empty means any; at most [`Filter::MAX_IDS`] count.
    #[serde(with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<EventId>,
    /// Whose latest attempt failed of this cause.
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub cause: Option<Fingerprint>,
    /// That stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Only>,
    /// Of this CloudEvents `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
    /// Whose key begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<Box<str>>,
    /// Whose latest attempt was before this time, by the receiver's wall clock.
    #[serde(with = "micros", skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
}

impl Filter {
    /// The most events that a filter names.
    pub const MAX_IDS: usize = 1_000;

    /// Only these events.
    pub fn of(ids: impl IntoIterator<Item = EventId>) -> Self {
        Filter {
            ids: ids.into_iter().collect(),
            ..Filter::default()
        }
    }

    /// Only dead letters.
    pub fn dead() -> Self {
        Filter {
            state: Some(Only::Dead),
            ..Filter::default()
        }
    }
}

/// One of the two ways in which a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Only {
    /// It waits for its next attempt.
    Parked,
    /// It is a dead letter.
    Dead,
}

fn read<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(text: &str) -> Result<T, D::Error> {
    text.parse().map_err(serde::de::Error::custom)
}

mod texts {
    use super::*;

    pub(super) fn serialize<S: Serializer>(ids: &[EventId], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(ids.iter().map(EventId::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<EventId>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| read::<D, _>(text)).collect()
    }
}

mod text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        cause: &Option<Fingerprint>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        cause.map(|cause| cause.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Fingerprint>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| read::<D, _>(&text)).transpose()
    }
}

mod micros {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::micros).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_micros))
    }
}
