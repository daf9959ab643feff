//! What a figure was to reach.

use super::Spread;
use serde::Serialize;
use std::fmt;

/// A figure and its bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::bench) struct Goal {
    /// What is held to it.
    pub(in crate::bench) of: String,
    pub(in crate::bench) is: Spread,
    #[serde(flatten)]
    bound: Bound,
    in_every_round: bool,
    met: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::bench) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// One that the median of the rounds decides.
    pub(in crate::bench) fn new(of: impl Into<String>, is: Spread, bound: Bound) -> Self {
        Self {
            of: of.into(),
            is,
            bound,
            in_every_round: false,
            met: bound.holds(is.median),
        }
    }

    /// One that no round may miss.
    pub(in crate::bench) fn in_every_round(
        of: impl Into<String>,
        is: Spread,
        bound: Bound,
    ) -> Self {
        Self {
            in_every_round: true,
            met: bound.holds(is.least) && bound.holds(is.most),
            ..Self::new(of, is, bound)
        }
    }
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Bound::AtMost(most) => figure <= most,
            Bound::AtLeast(least) => figure >= least,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, bound) = match self.bound {
            Bound::AtMost(bound) => ("at most", bound),
            Bound::AtLeast(bound) => ("at least", bound),
        };
        let when = match self.in_every_round {
            true => " in every round",
            false => "",
        };
        let met = if self.met { "met" } else { "NOT met" };
        write!(f, "{}: {}; {word} {bound}{when}: {met}", self.of, self.is)
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

    #[test]
    fn what_no_round_may_miss_is_missed_by_one() {
        let failed = |most| {
            let is = Spread {
                median: 0.0,
                least: 0.0,
                most,
            };
            Goal::in_every_round("failed", is, Bound::AtMost(0.0))
        };
        assert!(failed(0.0).met && !failed(2.0).met);
        let told = failed(2.0).to_string();
        assert!(
            told.ends_with("at most 0 in every round: NOT met"),
            "{told}"
        );
    }
}
