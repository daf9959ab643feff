//! What is said of each mode, each statement held against a run: pure, from `Measured` alone.
//!
//! The words are those of Arpit Bhayani's essay "Synchronous and Asynchronous Communication between Microservices". A judgement
//! never rests on the machine's speed: what counts is how the two modes of one run differ, by the thresholds in `rules`.

mod consistency; // what the answer tells, and what a reader sees
mod failures; // what callers notice when something is away or fails
mod rules; // the thresholds, in one place
mod said; // the statements, and what Duet does about each
mod surges; // more than the receiver takes
mod view; // one mode of a run, and how a statement is weighed over both
mod waiting; // what callers wait for
mod way; // code, hops and traces

#[cfg(test)]
mod tests;

pub(crate) use rules::THRESHOLDS;
pub(crate) use said::{SAID, Said};
pub(crate) use view::{Done, View};

pub(super) use failures::{BROKER_AWAY, Noticed, RECEIVER_AWAY, noticed, unapplied as retries};
pub(super) use rules::{ENOUGH, OKAY_DELAY, Tail, least, same};
pub(super) use surges::{Peak, peak};
pub(super) use view::failed;
pub(super) use waiting::slowed;

use super::measured::Measured;
use serde::Serialize;

/// A statement, and what this run says of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claim {
    #[serde(flatten)]
    pub(crate) said: &'static Said,
    #[serde(flatten)]
    pub(crate) judged: Judged,
}

/// A statement's figures in both modes, and the verdict.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judged {
    /// This run's figure, or why there is none.
    pub(crate) sync: String,
    pub(crate) r#async: String,
    /// How they were measured.
    pub(crate) measured: Vec<Done>,
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// The reason, in figures: a sentence.
    pub(crate) because: String,
}

/// Whether a statement held in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    Held,
    HeldInPart,
    DidNotHold,
    TooLittleData,
}

impl Verdict {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::HeldInPart => "held in part",
            Self::DidNotHold => "did not hold",
            Self::TooLittleData => "too little data",
        }
    }
}

impl Judgement {
    fn new(verdict: Verdict, because: impl Into<String>) -> Self {
        Self {
            verdict,
            because: because.into(),
        }
    }
}

/// Every statement, judged.
pub(crate) fn judge(measured: &Measured) -> Vec<Claim> {
    SAID.iter()
        .map(|said| Claim {
            said,
            judged: (said.judge)(measured),
        })
        .collect()
}
