//! What a figure was to reach.

use super::Spread;
use serde::Serialize;
use std::fmt;

/// A figure and its bound. Whether it is met is decided by the median.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::bench) struct Goal {
    /// What is held to it.
    pub(in crate::bench) of: String,
    pub(in crate::bench) is: Spread,
    #[serde(flatten)]
    bound: Bound,
    met: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::bench) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(in crate::bench) fn new(of: impl Into<String>, is: Spread, bound: Bound) -> Self {
        let met = match bound {
            Bound::AtMost(most) => is.median <= most,
            Bound::AtLeast(least) => is.median >= least,
        };
        Self {
            of: of.into(),
            is,
            bound,
            met,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, bound) = match self.bound {
            Bound::AtMost(bound) => ("at most", bound),
            Bound::AtLeast(bound) => ("at least", bound),
        };
        let met = if self.met { "met" } else { "NOT met" };
        write!(f, "{}: {}; {word} {bound}: {met}", self.of, self.is)
    }
}

/// A line for each.
pub(in crate::bench) fn goals(f: &mut fmt::Formatter<'_>, goals: &[Goal]) -> fmt::Result {
    if !goals.is_empty() {
        writeln!(f)?;
    }
    goals.iter().try_for_each(|goal| writeln!(f, "{goal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides_and_the_bound_itself_is_met() {
        let goal = |bound| {
            Goal::new(
                "async",
                Spread {
                    median: 2.0,
                    least: 1.0,
                    most: 9.0,
                },
                bound,
            )
        };
        for (bound, met) in [
            (Bound::AtMost(2.0), true),
            (Bound::AtMost(1.9), false),
            (Bound::AtLeast(2.0), true),
            (Bound::AtLeast(2.1), false),
        ] {
            assert_eq!(goal(bound).met, met, "{bound:?}");
        }
        let told = goal(Bound::AtMost(1.5)).to_string();
        assert_eq!(told, "async: 2.00 (1.00 to 9.00); at most 1.5: NOT met");
        let json = serde_json::to_value(goal(Bound::AtMost(1.5))).unwrap();
        assert_eq!(
            (&json["atMost"], &json["met"]),
            (&1.5.into(), &false.into())
        );
    }
}
