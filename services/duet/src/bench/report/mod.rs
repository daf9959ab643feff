//! What all reports are made of, whatever the question.

mod figure; // what is measured, and in which unit it is shown
mod findings; // a table of figures beside its baseline, and what it was to reach
mod goal; // what a figure was to reach

pub(super) use figure::{Figure, micros as in_micros, shown};
pub(super) use findings::{Findings, Rows, Terms, lag, quantiles};
pub(super) use goal::{Bound, Goal, goals};

use super::{disk::Disk, pair::Traces};
use serde::{Serialize, Serializer};
use std::{fmt, time::Duration};

/// What everything is measured on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ground {
    pub(super) rounds: u16,
    /// Threads that serve HTTP, in the baseline and in each service.
    pub(super) workers: usize,
    pub(super) cores: usize,
    pub(super) traces: Traces,
    pub(super) disk: Disk,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rounds,
            workers,
            cores,
            traces,
            disk,
        } = self;
        writeln!(
            f,
            "Medians of {rounds} rounds; {cores} cores, {workers} HTTP workers each."
        )?;
        let traces = match traces {
            Traces::Default => {
                "traces sampled as by default and sent to Jaeger's pages in `duet up`"
            }
            Traces::Off => "no traces",
        };
        write!(
            f,
            "Stores on {} with synchronous=FULL, a flush takes {:.2} ms; {traces}.",
            disk.file_system,
            disk.flush.as_secs_f64() * 1e3
        )
    }
}

/// The median of the rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Over the rounds; all zero if there are none.
    pub(super) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or_default();
        let last = rounds.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            least: at(0),
            most: at(last),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

pub(super) fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

pub(super) fn micros<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let spread = |rounds: &[f64]| Spread::of(rounds.iter().copied());
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                least: 1.0,
                most: 3.0
            }
        );
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(spread(&[7.0]).median, 7.0);
        assert_eq!(spread(&[]).median, 0.0);
    }
}
