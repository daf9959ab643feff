//! A time that something took, as it is printed.

use std::{fmt, time::Duration};

/// In microseconds, milliseconds or seconds, whichever reads best.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took(pub(crate) Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.as_micros() {
            micros @ 0..1_000 => format!("{micros} µs"),
            1_000..1_000_000 => format!("{:.1} ms", self.0.as_secs_f64() * 1e3),
            _ => format!("{:.2} s", self.0.as_secs_f64()),
        };
        f.pad(&text)
    }
}
