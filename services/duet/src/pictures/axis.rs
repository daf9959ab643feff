//! From figures to places, and what is written beside an axis.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// About so many numbers stand along an axis.
const NUMBERS: f64 = 5.0;

/// An axis with a title, a unit in it, and round numbers along it.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// What is shown, with its unit.
    pub(super) title: &'static str,
    range: Range<f64>,
    log: bool,
    numbers: Vec<f64>,
}

impl Axis {
    /// From 0 to at least `most`.
    pub(crate) fn linear(title: &'static str, most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 {
            most
        } else {
            1.0
        };
        let step = round_step(most / NUMBERS);
        let count = (most * 1.02 / step).ceil() as u32;
        Self {
            title,
            range: 0.0..step * f64::from(count),
            log: false,
            numbers: (0..=count).map(|nth| step * f64::from(nth)).collect(),
        }
    }

    /// From 0 to `most` and no further: for what a line's end stands at.
    pub(crate) fn up_to(title: &'static str, most: f64) -> Self {
        let Self { mut numbers, .. } = Self::linear(title, most);
        let most = most.max(f64::MIN_POSITIVE);
        numbers.retain(|number| *number <= most * 1.001);
        Self {
            title,
            range: 0.0..most,
            log: false,
            numbers,
        }
    }

    /// From the power of ten at or below `least` to one above `most`.
    pub(crate) fn log(title: &'static str, least: f64, most: f64) -> Self {
        let least = if least.is_finite() {
            least.max(0.01)
        } else {
            1.0
        };
        let most = most.max(least * 1.01);
        let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Self {
            title,
            range: 10f64.powi(from)..10f64.powi(to),
            log: true,
            numbers: (from..=to).map(|power| 10f64.powi(power)).collect(),
        }
    }

    /// As it is written at a number of this axis.
    pub(super) fn written(number: f64) -> String {
        match number {
            whole if whole.fract().abs() < 1e-9 => {
                crate::compare::printed::Count(whole.round() as u64).to_string()
            }
            part => format!("{part:.3}").trim_end_matches('0').to_owned(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, at or above `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|times| times * power);
    steps
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let Range { start, end } = self.range;
        let share = match self.log {
            true => (value.max(start).log10() - start.log10()) / (end.log10() - start.log10()),
            false => (value - start) / (end - start),
        };
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.numbers.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_numbers_and_holds_all() {
        for (most, last, step) in [
            (0.0, 1.2, 0.2),
            (412.3, 500.0, 100.0),
            (100.0, 120.0, 20.0),
            (1.7, 2.0, 0.5),
            (7_300.0, 8_000.0, 2_000.0),
        ] {
            let axis = Axis::linear("t", most);
            assert!(
                (axis.range.end - last).abs() < 1e-9,
                "{most}: {:?}",
                axis.range
            );
            assert!(
                (axis.numbers[1] - step).abs() < 1e-9,
                "{most}: {:?}",
                axis.numbers
            );
        }
        assert_eq!(
            Axis::log("t", 6.8, 2_080.0).numbers,
            [1.0, 10.0, 100.0, 1_000.0, 10_000.0]
        );
        assert_eq!(Axis::log("t", f64::INFINITY, 0.0).range, 1.0..10.0);
    }

    #[test]
    fn figures_land_where_they_belong() {
        let linear = Axis::linear("t", 400.0);
        assert_eq!(linear.map(&0.0, (0, 500)), 0);
        assert_eq!(linear.map(&250.0, (0, 500)), 250);
        let log = Axis::log("t", 1.0, 100.0);
        assert_eq!(log.map(&10.0, (100, 0)), 50);
        assert_eq!(log.map(&0.0, (100, 0)), 100, "below the axis is at its end");
        assert_eq!(Axis::written(1_500.0), "1,500");
        assert_eq!(Axis::written(0.5), "0.5");
    }
}
