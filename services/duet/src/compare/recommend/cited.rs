//! Sentences that can't be without a figure: a reader can look each of them up.

use crate::compare::{
    claims::Tail,
    measured::Quantiles,
    printed::{Count, PerSecond, Share, Time},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeSet, fmt, time::Duration};

/// A figure of the report, as it is printed, and where it stands in `report.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cited {
    shown: String,
    /// A JSON pointer (RFC 6901).
    at: String,
}

impl Cited {
    fn new(at: impl fmt::Display, shown: impl fmt::Display) -> Self {
        Self {
            shown: shown.to_string(),
            at: format!("/{at}"),
        }
    }

    pub(super) fn time(at: impl fmt::Display, time: Duration) -> Self {
        Self::new(at, Time(time))
    }

    pub(super) fn share(at: impl fmt::Display, share: Share) -> Self {
        Self::new(at, share)
    }

    pub(super) fn count(at: impl fmt::Display, count: u64) -> Self {
        Self::new(at, Count(count))
    }

    pub(super) fn rate(at: impl fmt::Display, rate: PerSecond) -> Self {
        Self::new(at, rate)
    }

    /// What the user said, or a word of the report itself ("nothing was run" is one too).
    pub(super) fn word(at: impl fmt::Display, word: impl fmt::Display) -> Self {
        Self::new(at, word)
    }

    /// As it is printed.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Where it stands in `report.json`.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// The scenario that it is of, or what else it is, for a reader.
    pub(crate) fn source(&self) -> &str {
        let mut steps = self.at.split('/').skip(1);
        match (steps.next(), steps.next(), steps.next()) {
            (Some("answers"), ..) => "your answer",
            (Some("measured"), Some("scenarios"), Some(scenario)) => scenario,
            _ => "terms",
        }
    }
}

/// How long nearly all took, with its place.
#[derive(Debug, Clone)]
pub(super) struct Nearly {
    pub(super) time: Duration,
    /// Which quantile that is.
    pub(super) tail: Tail,
    pub(super) cited: Cited,
}

impl Nearly {
    /// Of the quantiles that stand at a place.
    pub(super) fn all(at: &str, quantiles: &Quantiles) -> Self {
        let tail = Tail::of([quantiles]);
        let time = tail.time(quantiles);
        Self {
            time,
            tail,
            cited: Cited::time(format!("{at}/{}", tail.field()), time),
        }
    }
}

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    Text(String),
    Figure(Cited),
}

/// The beginning of a sentence: no sentence yet, for it cites nothing.
#[derive(Debug)]
pub(super) struct Opening(String);

/// A sentence with at least one figure. There is no other way to make one than [`say`] and [`Opening::figure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    spans: Vec<Span>,
}

/// Begins a sentence.
pub(super) fn say(text: impl Into<String>) -> Opening {
    Opening(text.into())
}

impl Opening {
    pub(super) fn figure(self, cited: Cited) -> Sentence {
        Sentence {
            spans: vec![Span::Text(self.0), Span::Figure(cited)],
        }
    }
}

impl Sentence {
    pub(super) fn say(mut self, text: impl Into<String>) -> Self {
        self.spans.push(Span::Text(text.into()));
        self
    }

    pub(super) fn figure(mut self, cited: Cited) -> Self {
        self.spans.push(Span::Figure(cited));
        self
    }

    /// Its parts, in order.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The figures in it: at least one.
    pub(crate) fn cited(&self) -> impl Iterator<Item = &Cited> {
        self.spans.iter().filter_map(|span| match span {
            Span::Figure(cited) => Some(cited),
            Span::Text(_) => None,
        })
    }
}

impl Sentence {
    /// What its figures are of, each once.
    pub(crate) fn sources(&self) -> Vec<&str> {
        let mut sources: Vec<_> = self.cited().map(Cited::source).collect();
        let mut seen = BTreeSet::new();
        sources.retain(|source| seen.insert(*source));
        sources
    }
}

/// The words alone.
impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spans.iter().try_for_each(|span| {
            f.write_str(match span {
                Span::Text(text) => text,
                Span::Figure(cited) => cited.shown(),
            })
        })
    }
}

/// The words, and the figures that they rest on.
impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Said<'a> {
            text: String,
            cited: Vec<&'a Cited>,
        }
        Said {
            text: self.to_string(),
            cited: self.cited().collect(),
        }
        .serialize(to)
    }
}
