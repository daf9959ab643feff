//! Whose inbox is to be compared, and when.

use super::chapter::{Chapter, Difference};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Comparisons in a row that came too early: then the others have probably not arrived either.
const EARLY: u32 = 4;
/// Until the next is tried after so many.
const REST: Duration = Duration::from_millis(500);
/// Pairs that wait to be compared at most: some tens of MiB. Traffic that nobody receives for so long is not gone on with.
pub(super) const MOST: usize = 250_000;

/// Chapters that have ended and were not seen to have arrived, in turn.
#[derive(Debug)]
pub(super) struct Unchecked {
    turn: VecDeque<(Chapter, Outcome)>,
    pairs: usize,
    early: u32,
    /// When the next may be compared.
    pub(super) next: Instant,
}

/// What the last comparison said: a difference, or why there was none.
type Outcome = Result<Difference, String>;

impl Unchecked {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            turn: VecDeque::new(),
            pairs: 0,
            early: 0,
            next: now,
        }
    }

    /// A chapter that has ended.
    pub(super) fn add(&mut self, chapter: Chapter) {
        self.back(chapter, Err("not compared yet".to_owned()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turn.is_empty()
    }

    /// Pairs that wait.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// Whose turn it is.
    pub(super) fn take(&mut self) -> Option<Chapter> {
        let (chapter, _) = self.turn.pop_front()?;
        self.pairs -= chapter.pairs();
        Some(chapter)
    }

    /// What a comparison said. What differs has its turn again.
    pub(super) fn compared(&mut self, chapter: Chapter, outcome: Outcome, now: Instant) {
        if matches!(outcome, Ok(difference) if difference.is_none()) {
            self.early = 0;
            return;
        }
        self.early += 1;
        if self.early >= EARLY.min(self.turn.len() as u32 + 1) {
            (self.early, self.next) = (0, now + REST);
        }
        self.back(chapter, outcome);
    }

    /// What is left differs for good: by how much, and why some could not be compared at all.
    pub(super) fn left(self) -> (Difference, Option<String>) {
        let mut all = Difference::default();
        let mut why = None;
        for (_, outcome) in self.turn {
            match outcome {
                Ok(difference) => all.add(difference),
                Err(error) => why = Some(error),
            }
        }
        (all, why)
    }

    fn back(&mut self, chapter: Chapter, outcome: Outcome) {
        self.pairs += chapter.pairs();
        self.turn.push_back((chapter, outcome));
    }
}
