//! A table of figures beside its baseline, and what it was to reach.

use super::{Figure, Goal, Ground, Spread, figure::micros, goal::goals};
use crate::waits::Waits;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// What one question's rounds have brought.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Findings {
    pub(in crate::bench) question: &'static str,
    pub(in crate::bench) terms: Terms,
    pub(in crate::bench) baseline: Rows,
    pub(in crate::bench) modes: Rows,
    pub(in crate::bench) goals: Vec<Goal>,
}

/// On what terms the figures stand.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Terms {
    /// The question's own, in words.
    #[serde(skip)]
    pub(in crate::bench) words: String,
    /// The same as data.
    #[serde(flatten)]
    pub(in crate::bench) own: BTreeMap<&'static str, f64>,
    #[serde(flatten)]
    pub(in crate::bench) ground: Ground,
}

/// Rows by name, each with what every round brought.
#[derive(Debug, Default)]
pub(in crate::bench) struct Rows(Vec<Row>);

#[derive(Debug)]
struct Row {
    name: String,
    figures: Vec<(Figure, Vec<f64>)>,
}

impl Rows {
    /// What one more round has brought.
    pub(in crate::bench) fn add(
        &mut self,
        name: &str,
        figures: impl IntoIterator<Item = (Figure, f64)>,
    ) {
        let at = self.0.iter().position(|row| row.name == name);
        let at = at.unwrap_or_else(|| {
            self.0.push(Row {
                name: name.to_owned(),
                figures: Vec::new(),
            });
            self.0.len() - 1
        });
        let row = &mut self.0[at].figures;
        for (figure, value) in figures {
            match row.iter_mut().find(|(of, _)| *of == figure) {
                Some((_, rounds)) => rounds.push(value),
                None => row.push((figure, vec![value])),
            }
        }
    }

    /// The median of a figure in the row of this name.
    pub(in crate::bench) fn median(&self, name: &str, figure: Figure) -> Option<f64> {
        let row = self.0.iter().find(|row| row.name == name)?;
        let (_, rounds) = row.figures.iter().find(|(of, _)| *of == figure)?;
        Some(Spread::of(rounds.iter().copied()).median)
    }

    /// The figures that any row has, in the order in which they came.
    fn heads(&self) -> Vec<Figure> {
        let mut heads = Vec::new();
        for (figure, _) in self.0.iter().flat_map(|row| &row.figures) {
            if !heads.contains(figure) {
                heads.push(*figure);
            }
        }
        heads
    }
}

/// The usual quantiles.
pub(in crate::bench) fn quantiles(waits: &Waits) -> [(Figure, f64); 5] {
    [
        (Figure::P50, 0.5),
        (Figure::P90, 0.9),
        (Figure::P99, 0.99),
        (Figure::P999, 0.999),
        (Figure::MAX, 1.0),
    ]
    .map(|(figure, share)| (figure, micros(waits.within(share))))
}

/// How late the load generator was, if it ever had to wait until a request was due.
pub(in crate::bench) fn lag(lag: &Waits) -> Option<(Figure, f64)> {
    (lag.count() > 0).then(|| (Figure::LAG, micros(lag.within(0.99))))
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(&self.0)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.figures.len() + 1))?;
        map.serialize_entry("name", &self.name)?;
        for (figure, rounds) in &self.figures {
            map.serialize_entry(figure.key, &Spread::of(rounds.iter().copied()))?;
        }
        map.end()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { words, ground, .. } = &self.terms;
        writeln!(f, "{words} {ground}")?;
        for rows in [&self.baseline, &self.modes] {
            if !rows.0.is_empty() {
                write!(f, "\n{rows}")?;
            }
        }
        goals(f, &self.goals)
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = self.heads();
        let names = self.0.iter().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or_default();
        let mut line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            let mut line = format!("{name:<width$}");
            for cell in cells {
                write!(line, " {cell:>11}")?;
            }
            writeln!(f, "{}", line.trim_end())
        };
        line("", &mut heads.iter().map(|it| it.head.to_owned()))?;
        for row in &self.0 {
            let cell = |head: &Figure| {
                let rounds = row.figures.iter().find(|(figure, _)| figure == head);
                rounds.map_or_else(String::new, |(Figure { scale, digits, .. }, rounds)| {
                    let median = Spread::of(rounds.iter().copied()).median * scale;
                    format!("{median:.digits$}")
                })
            };
            line(&row.name, &mut heads.iter().map(cell))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::default();
        rows.add("commit", [(Figure::P50, 200.0)]);
        for (p50, max) in [(1_000.0, 9_000.0), (3_000.0, 4_000.0), (2_000.0, 5_000.0)] {
            rows.add("Sync", [(Figure::P50, p50), (Figure::MAX, max)]);
        }
        rows
    }

    #[test]
    fn a_table_shows_medians_and_leaves_out_what_a_row_has_not() {
        let told = rows().to_string();
        let lines: Vec<Vec<_>> = told
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [
                vec!["p50", "ms", "max", "ms"],
                vec!["commit", "0.20"],
                vec!["Sync", "2.00", "5.00"],
            ]
        );
    }

    #[test]
    fn json_has_the_spread_of_each_figure_in_its_own_unit() {
        let json = serde_json::to_value(rows()).unwrap();
        assert_eq!(json[1]["name"], "Sync");
        let spread = serde_json::json!({"median": 2000.0, "least": 1000.0, "most": 3000.0});
        assert_eq!(json[1]["p50Micros"], spread);
    }
}
