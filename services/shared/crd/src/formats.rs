//! What a text's format demands beyond being a text: the schema's `format`, read by the type that the field has.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::duration::Duration;
use crate::names::{ChannelName, ServiceName, StreamName, Subject};
use crate::quantity::Bytes;

/// One format.
pub(crate) struct Format {
    name: &'static str,
    /// What such a value is, for a sentence.
    pub(crate) what: &'static str,
    /// The value as a number that bounds can be compared with (0 where there is nothing to compare), or why it isn't one.
    pub(crate) read: fn(&Value) -> Result<u64, String>,
}

const FORMATS: [Format; 6] = [
    Format {
        name: Duration::FORMAT,
        what: "a duration",
        read: |value| read(value).map(Duration::as_millis),
    },
    Format {
        name: Bytes::FORMAT,
        what: "a number of bytes",
        read: |value| read(value).map(Bytes::get),
    },
    Format {
        name: ChannelName::FORMAT,
        what: "the Channel's name",
        read: |value| read(value).map(|_: ChannelName| 0),
    },
    Format {
        name: ServiceName::FORMAT,
        what: "a Service's name",
        read: |value| read(value).map(|_: ServiceName| 0),
    },
    Format {
        name: StreamName::FORMAT,
        what: "a stream's name",
        read: |value| read(value).map(|_: StreamName| 0),
    },
    Format {
        name: Subject::FORMAT,
        what: "a subject",
        read: |value| read(value).map(|_: Subject| 0),
    },
];

impl Format {
    /// The format that a schema names; none if it names none.
    pub(crate) fn of(schema: &Value) -> Option<&'static Format> {
        let name = schema.get("format")?.as_str()?;
        FORMATS.iter().find(|format| format.name == name)
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}
