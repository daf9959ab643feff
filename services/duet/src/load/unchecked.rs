//! Whose inbox is to be compared, and when.

use super::chapter::{Chapter, Difference};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Comparisons in a row that came too early: then the others have probably not arrived either.
const EARLY: u32 = 4;
/// Until the next is tried after so many: the first time, and at most. It doubles while nothing arrives.
const REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Pairs that wait to be compared at most: some tens of MiB. Traffic that nobody receives for so long is not gone on with.
const MOST: usize = 250_000;

/// Chapters that have ended and were not seen to have arrived, in turn.
#[derive(Debug)]
pub(super) struct Unchecked {
    turn: VecDeque<(Chapter, Outcome)>,
    pairs: usize,
    early: u32,
    rest: Duration,
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
            rest: REST,
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

    /// So many wait that no more traffic should be made; how many they are.
    pub(super) fn too_many(&self) -> Option<usize> {
        Some(self.pairs).filter(|pairs| *pairs >= MOST)
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
            (self.early, self.rest) = (0, REST);
            return;
        }
        self.early += 1;
        // One that waits alone has its turn again at once.
        if self.early >= EARLY || self.turn.is_empty() {
            (self.early, self.next) = (0, now + self.rest);
            self.rest = LONGEST_REST.min(self.rest * 2);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        chapter::{Pair, Post},
        words::User,
    };

    fn chapter(owner: &str) -> Chapter {
        Chapter {
            owner: owner.to_owned(),
            posts: Vec::new(),
        }
    }

    const BEHIND: Outcome = Ok(Difference {
        missing: 1,
        doubled: 0,
    });

    #[test]
    fn what_arrived_goes_and_what_did_not_has_its_turn_again() {
        let now = Instant::now();
        let mut unchecked = Unchecked::new(now);
        for owner in ["ana", "bob", "eva"] {
            unchecked.add(chapter(owner));
        }
        for (owner, outcome) in [
            ("ana", BEHIND),
            ("bob", Ok(Difference::default())),
            ("eva", Err("away".to_owned())),
            ("ana", Ok(Difference::default())),
            ("eva", BEHIND),
        ] {
            let turn = unchecked.take().unwrap();
            assert_eq!(turn.owner, owner);
            unchecked.compared(turn, outcome, now);
        }
        let (left, why) = unchecked.left();
        assert_eq!((left.missing, left.doubled, why), (1, 0, None));
    }

    #[test]
    fn traffic_that_nobody_receives_is_too_much_at_some_time_and_not_once_it_arrived() {
        let mut unchecked = Unchecked::new(Instant::now());
        let mut add = |pairs: usize| {
            let pairs = (0..pairs).map(|nth| Pair::of(User::of(0, nth)));
            let mut chapter = chapter("ana");
            chapter.posts.push(Post {
                number: 0,
                id: "p".to_owned(),
                room: 9,
                pairs: pairs.collect(),
            });
            unchecked.add(chapter);
            unchecked.too_many()
        };
        assert_eq!(add(MOST - 1), None);
        assert_eq!(add(3), Some(MOST + 2));
        unchecked.take();
        assert_eq!(unchecked.too_many(), None);
    }

    #[test]
    fn while_nothing_arrives_it_asks_less_and_less_often() {
        let mut now = Instant::now();
        let mut unchecked = Unchecked::new(now);
        unchecked.add(chapter("ana"));
        let mut rests = Vec::new();
        for _ in 0..9 {
            let turn = unchecked.take().unwrap();
            unchecked.compared(turn, BEHIND, now);
            rests.push((unchecked.next - now).as_millis());
            now = unchecked.next;
        }
        assert_eq!(rests, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }
}
