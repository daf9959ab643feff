//! Which mode to use: the essay's seven criteria held against a run, what follows from them, and the Channel document for it.
//!
//! Pure. What only the user knows comes as `Answers`; what they did not say is taken from the figures, and said to be assumed.

mod answers; // what only the user knows
mod cited; // sentences that can't be without a figure
mod criteria; // the essay's seven
mod decide; // from the criteria to a recommendation
mod document; // the Channel to apply

#[cfg(test)]
mod tests;

pub(crate) use answers::Answers;
pub(crate) use cited::{Sentence, Span};
pub(crate) use criteria::{Criterion, Fits};
pub(crate) use decide::Choice;
pub(crate) use document::Document;

use super::measured::Measured;
use serde::Serialize;

/// What to do, why, and how.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recommendation {
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) choice: Choice,
    /// Why, the weightiest first.
    pub(crate) because: Vec<Sentence>,
    pub(crate) document: Document,
}

/// The recommendation for this pair.
///
/// # Errors
/// The Channel document of the run is not valid.
pub(crate) fn recommend(measured: &Measured, answers: &Answers) -> Result<Recommendation, String> {
    let criteria = criteria::all(measured, answers);
    let (choice, because) = decide::decide(measured, answers, &criteria);
    let document = Document::of(measured, choice)?;
    Ok(Recommendation {
        criteria,
        choice,
        because,
        document,
    })
}
