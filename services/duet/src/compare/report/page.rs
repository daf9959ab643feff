//! What the templates show.

use super::{
    Report, pictures,
    summary::{self, Row},
    terms,
    text::fits,
};
use crate::{
    compare::{
        claims::{Claim, Verdict},
        recommend::{Criterion, Fits, Sentence, Span},
    },
    pictures::Picture,
};
use duet_crd::Mode;

/// What the templates show.
#[derive(Debug)]
pub(super) struct Page<'a> {
    report: &'a Report,
    pub(super) pictures: Vec<Picture>,
}

/// A piece of prose: what stands between backticks is code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) code: bool,
    pub(super) text: &'a str,
}

/// A sentence, and what its figures are of.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) spans: &'a [Span],
    pub(super) sources: String,
}

impl Report {
    pub(super) fn page(&self) -> Page<'_> {
        Page {
            report: self,
            pictures: pictures::all(&self.measured),
        }
    }
}

impl<'a> Page<'a> {
    pub(super) fn line(&self) -> String {
        terms::line(&self.report.measured.terms)
    }

    pub(super) fn summary(&self) -> Vec<Row> {
        summary::rows(&self.report.measured)
    }

    pub(super) fn terms(&self) -> Vec<(&'static str, String)> {
        terms::rows(&self.report.measured.terms)
    }

    pub(super) fn tally(&self) -> String {
        self.report.tally()
    }

    /// The statements by the mode that they are said of.
    pub(super) fn claims(&self) -> [(&'static str, &'static str, Vec<&'a Claim>); 2] {
        [
            (Mode::Sync, "sync", "synchronous"),
            (Mode::Async, "async", "asynchronous"),
        ]
        .map(|(mode, id, words)| {
            (
                id,
                words,
                self.report
                    .claims
                    .iter()
                    .filter(|it| it.said.of == mode)
                    .collect(),
            )
        })
    }

    pub(super) fn criteria(&self) -> Vec<(&'a Criterion, &'static str, String, &'static str)> {
        let criterion = |it: &'a Criterion| {
            let (fits, why) = fits(it);
            let class = match it.fits {
                Fits::Yes => "held",
                Fits::No => "not",
                Fits::Unknown(_) => "unknown",
            };
            (it, fits, why, class)
        };
        self.report
            .recommendation
            .criteria
            .iter()
            .map(criterion)
            .collect()
    }

    pub(super) fn choice(&self) -> &'static str {
        self.report.recommendation.choice.words()
    }

    pub(super) fn because(&self) -> Vec<Said<'a>> {
        self.report
            .recommendation
            .because
            .iter()
            .map(said)
            .collect()
    }

    pub(super) fn changes(&self) -> Vec<(&'a str, &'a str, Option<Said<'a>>)> {
        let changes = self.report.recommendation.document.changes.iter();
        changes
            .map(|it| {
                let because = it.because.as_ref().map(said);
                (
                    it.field.as_str(),
                    it.value.as_deref().unwrap_or("left out"),
                    because,
                )
            })
            .collect()
    }

    pub(super) fn yaml(&self) -> &'a str {
        &self.report.recommendation.document.yaml
    }

    pub(super) fn apply(&self) -> &'a str {
        &self.report.recommendation.document.apply
    }

    pub(super) fn notes(&self) -> &'a [String] {
        &self.report.measured.notes
    }

    pub(super) fn thresholds(&self) -> &'static [&'static str] {
        self.report.thresholds
    }

    pub(super) fn prose<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        prose(text)
    }

    /// A statement's figures by mode: class, name, text.
    pub(super) fn figures<'c>(
        &self,
        claim: &'c Claim,
    ) -> [(&'static str, &'static str, &'c str); 2] {
        let judged = &claim.judged;
        [
            ("sync", "Sync", &judged.sync),
            ("async", "Async", &judged.r#async),
        ]
    }

    pub(super) fn class(&self, claim: &Claim) -> &'static str {
        match claim.judged.judgement.verdict {
            Verdict::Held => "held",
            Verdict::HeldInPart => "part",
            Verdict::DidNotHold => "not",
            Verdict::TooLittleData => "unknown",
        }
    }
}

fn said(sentence: &Sentence) -> Said<'_> {
    Said {
        spans: sentence.spans(),
        sources: sentence.sources().join(", "),
    }
}

fn prose(text: &str) -> Vec<Piece<'_>> {
    let pieces = text.split('`').enumerate().map(|(nth, text)| Piece {
        code: nth % 2 == 1,
        text,
    });
    pieces.filter(|it| !it.text.is_empty()).collect()
}
