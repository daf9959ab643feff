//! The thresholds. A report prints them, so that a reader can disagree.

use crate::compare::measured::{Figure, Quantiles};
use std::{fmt, time::Duration};

/// Samples below which no median, no p90 and no share is judged.
pub(crate) const ENOUGH: u64 = 20;
/// Samples below which a p99 is only the longest of them; the p90 stands for it then.
const ENOUGH_FOR_P99: u64 = 100;
/// Traces below which none is judged: each is whole or not, and alike.
pub(super) const ENOUGH_TRACES: u64 = 3;
/// Two times are the same if the longer is at most so many times the shorter …
const NOISE: f64 = 1.25;
/// … or if they are no further apart than this.
const SLACK: Duration = Duration::from_millis(2);
/// A tail still holds if it has at most doubled …
const HOLDS: f64 = 2.0;
/// … or grown by no more than this: on a shared machine one of 3 ms doubles by itself.
const HOLDS_SLACK: Duration = Duration::from_millis(25);
/// Failures up to this share are noise.
pub(super) const FEW: f64 = 0.01;
/// From this share on they are the rule.
pub(super) const MANY: f64 = 0.05;
/// From this share of a receiver's added time on, a caller is said to wait for it.
pub(super) const WAITS: f64 = 0.5;
/// Up to this share it is said not to.
pub(super) const MOVES_ON: f64 = 0.1;
/// Nearly all.
pub(super) const NEARLY_ALL: f64 = 0.99;
/// A delay that nobody minds, where the user does not say: of a notification.
pub(crate) const OKAY_DELAY: Duration = Duration::from_secs(2);

/// The thresholds as sentences.
pub(crate) const THRESHOLDS: &[&str] = &[
    "Fewer than 20 samples (3 traces) are too little data; of fewer than 100, the p90 stands for the p99.",
    "Two times differ if one is over 1.25 times the other and more than 2 ms apart.",
    "A p99 (p90) holds while it is at most twice what it was, or at most 25 ms more.",
    "Failures up to 1 % are noise; from 5 % on callers notice.",
    "A caller waits for a receiver if it pays half or more of the time added there, and moves on if it pays a tenth or less.",
];

/// Whether the difference is noise.
pub(crate) fn same(one: Duration, other: Duration) -> bool {
    let (shorter, longer) = (one.min(other), one.max(other));
    longer <= shorter + SLACK || longer.as_secs_f64() <= shorter.as_secs_f64() * NOISE
}

/// Whether a tail that was `before` still holds.
pub(super) fn holds(before: Duration, now: Duration) -> bool {
    now <= before + HOLDS_SLACK || now.as_secs_f64() <= before.as_secs_f64() * HOLDS
}

/// The quantiles, if there are enough samples of `what`.
pub(crate) fn least<'a>(
    figure: &'a Figure<Quantiles>,
    what: &str,
) -> Result<&'a Quantiles, String> {
    let quantiles = figure.get().map_err(|why| format!("{what}: {why}"))?;
    match quantiles.samples {
        samples if samples < ENOUGH => {
            Err(format!("{what}: {samples} samples, fewer than {ENOUGH}"))
        }
        _ => Ok(quantiles),
    }
}

/// The quantile that tells how long nearly all took: the highest that the samples bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    P90,
    P99,
}

impl Tail {
    /// The highest that each of these bears, so that they can be compared.
    pub(crate) fn of<'a>(all: impl IntoIterator<Item = &'a Quantiles>) -> Self {
        let enough = |it: &Quantiles| it.samples >= ENOUGH_FOR_P99;
        match all.into_iter().all(enough) {
            true => Self::P99,
            false => Self::P90,
        }
    }

    /// That quantile.
    pub(crate) fn time(self, quantiles: &Quantiles) -> Duration {
        match self {
            Self::P90 => quantiles.p90,
            Self::P99 => quantiles.p99,
        }
    }

    /// Its field in `report.json`.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::P90 => "p90Ms",
            Self::P99 => "p99Ms",
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P90 => "p90",
            Self::P99 => "p99",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_is_noise_and_what_is_a_difference() {
        for (one, other, noise) in [
            (0, 0, true),
            (1, 3, true),
            (3, 1, true),
            (3, 6, false),
            (100, 125, true),
            (125, 100, true),
            (100, 126, false),
        ] {
            assert_eq!(same(ms(one), ms(other)), noise, "{one} and {other} ms");
        }
    }

    #[test]
    fn when_a_tail_holds() {
        for (before, now, held) in [
            (0, 25, true),
            (2, 27, true),
            (2, 28, false),
            (100, 200, true),
            (100, 201, false),
            (50, 10, true),
        ] {
            assert_eq!(holds(ms(before), ms(now)), held, "{before} to {now} ms");
        }
    }
}
