//! What is measured, and in which unit it is shown.

use std::time::Duration;

/// A column of a table, and a key of its JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::bench) struct Figure {
    /// In JSON, with its unit.
    pub(super) key: &'static str,
    /// Above its column, with its unit.
    pub(super) head: &'static str,
    /// From JSON's unit to the column's.
    pub(super) scale: f64,
    pub(super) digits: usize,
}

impl Figure {
    pub(in crate::bench) const P50: Self = millis("p50Micros", "p50 ms");
    pub(in crate::bench) const P90: Self = millis("p90Micros", "p90 ms");
    pub(in crate::bench) const P99: Self = millis("p99Micros", "p99 ms");
    pub(in crate::bench) const P999: Self = millis("p999Micros", "p99.9 ms");
    pub(in crate::bench) const MAX: Self = millis("maxMicros", "max ms");
    pub(in crate::bench) const PER_SECOND: Self = whole("perSecond", "requests/s");
    pub(in crate::bench) const ACCEPTED: Self = whole("accepted", "accepted");
    pub(in crate::bench) const FAILED: Self = whole("failed", "failed");
    /// From the last answer, or from when the broker is back, until all is stored at both ends.
    pub(in crate::bench) const DRAIN: Self = shown("drainSeconds", "drain s", 1.0, 2);
    /// The generator's own: how late it sent what a free connection waited for.
    pub(in crate::bench) const LAG: Self = millis("lagP99Micros", "lag p99 ms");
    pub(in crate::bench) const REST: Self = mib("restBytes", "rest MiB");
    pub(in crate::bench) const LOADED: Self = mib("loadedBytes", "loaded MiB");
    pub(in crate::bench) const PEAK: Self = mib("peakBytes", "peak MiB");
    pub(in crate::bench) const AFTER: Self = mib("afterBytes", "after MiB");
}

pub(in crate::bench) const fn millis(key: &'static str, head: &'static str) -> Figure {
    shown(key, head, 1e-3, 2)
}

pub(in crate::bench) const fn whole(key: &'static str, head: &'static str) -> Figure {
    shown(key, head, 1.0, 0)
}

const fn mib(key: &'static str, head: &'static str) -> Figure {
    shown(key, head, 1.0 / (1 << 20) as f64, 1)
}

pub(in crate::bench) const fn shown(
    key: &'static str,
    head: &'static str,
    scale: f64,
    digits: usize,
) -> Figure {
    Figure {
        key,
        head,
        scale,
        digits,
    }
}

/// As JSON has it.
pub(in crate::bench) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
