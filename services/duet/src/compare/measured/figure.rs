//! A figure, or why there is none.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error};
use serde_json::Value;

/// A figure, or why there is none. In JSON the figure itself, or `{"missing": "why"}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Figure<T> {
    /// It could not be had.
    Missing {
        /// As the end of a sentence that begins with what is missing: "not run: …".
        missing: String,
    },
    /// It was measured.
    Measured(T),
}

impl<T> Figure<T> {
    /// None, for this reason.
    pub(crate) fn missing(why: impl Into<String>) -> Self {
        Self::Missing {
            missing: why.into(),
        }
    }

    /// The figure, or why there is none.
    pub(crate) fn get(&self) -> Result<&T, &str> {
        match self {
            Self::Measured(figure) => Ok(figure),
            Self::Missing { missing } => Err(missing),
        }
    }
}

impl<T> From<T> for Figure<T> {
    fn from(figure: T) -> Self {
        Self::Measured(figure)
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Figure<T> {
    fn from(figure: Result<T, E>) -> Self {
        match figure {
            Ok(figure) => Self::Measured(figure),
            Err(why) => Self::missing(why.to_string()),
        }
    }
}

/// By hand: what serde makes of an untagged enum says of a mistake only that nothing matched.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Figure<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        if let Some(Value::String(missing)) = value.get("missing") {
            return Ok(Self::missing(missing));
        }
        serde_json::from_value(value)
            .map(Self::Measured)
            .map_err(D::Error::custom)
    }
}
