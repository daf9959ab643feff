//! Durations as JSON numbers; the field's name carries the unit.

macro_rules! unit {
    ($name:ident, $per_second:literal) => {
        pub(super) mod $name {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};
            use std::time::Duration;

            pub(in super::super) fn serialize<S: Serializer>(
                duration: &Duration,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_f64(duration.as_secs_f64() * $per_second)
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Duration, D::Error> {
                let number = f64::deserialize(from)?;
                // Through whole nanoseconds, so that what is read again is what was written.
                let nanos = (number * (1e9 / $per_second)).round() / 1e9;
                Duration::try_from_secs_f64(nanos).map_err(D::Error::custom)
            }
        }
    };
}

unit!(micros, 1e6);
unit!(millis, 1e3);
unit!(seconds, 1.0);
