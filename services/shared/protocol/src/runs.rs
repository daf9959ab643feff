//! Sets of sequences kept as runs: what lies above a watermark, each run with the rolling hash of its events.

use std::ops::RangeInclusive;

use crate::event::RollingHash;
use crate::sequence::Sequence;

/// A gapless stretch of sequences and the sum of their events' hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first sequence in it.
    pub first: Sequence,
    /// The last sequence in it.
    pub last: Sequence,
    /// The sum of the hashes of the events in it.
    pub hash: RollingHash,
}

impl Run {
    /// Its sequences.
    pub fn range(&self) -> RangeInclusive<u64> {
        self.first.0..=self.last.0
    }
}

/// What adding a sequence to [`Runs`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is in already.
    Present,
    /// It fills or extends a run.
    Extends,
    /// It would open a run of its own.
    Opens,
}

/// Ascending, disjoint, non-adjacent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

impl Runs {
    /// Runs from an iterator of ascending, disjoint runs; neighbours are joined, and what is out of order is left out.
    pub fn from_ascending(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut kept: Vec<Run> = Vec::new();
        for run in runs {
            if run.first > run.last {
                continue;
            }
            match kept.last_mut() {
                Some(last) if run.first <= last.last => {}
                Some(last) if run.first == last.last.next() => {
                    last.last = run.last;
                    last.hash += run.hash;
                }
                _ => kept.push(run),
            }
        }
        Runs(kept)
    }

    /// The index of the first run that ends at or after `sequence`.
    fn at_or_after(&self, sequence: Sequence) -> usize {
        self.0.partition_point(|run| run.last < sequence)
    }

    /// Whether `sequence` is in one of the runs.
    pub fn contains(&self, sequence: Sequence) -> bool {
        self.0
            .get(self.at_or_after(sequence))
            .is_some_and(|run| run.first <= sequence)
    }

    /// What [`Runs::insert`] would do.
    pub fn place(&self, sequence: Sequence) -> Place {
        let at = self.at_or_after(sequence);
        let next = self.0.get(at);
        if next.is_some_and(|run| run.first <= sequence) {
            Place::Present
        } else if next.is_some_and(|run| run.first == sequence.next())
            || (at > 0 && self.0[at - 1].last.next() == sequence)
        {
            Place::Extends
        } else {
            Place::Opens
        }
    }

    /// Adds one sequence.
    pub fn insert(&mut self, sequence: Sequence, hash: RollingHash) -> Place {
        let at = self.at_or_after(sequence);
        let place = self.place(sequence);
        match place {
            Place::Present => {}
            Place::Opens => self.0.insert(
                at,
                Run {
                    first: sequence,
                    last: sequence,
                    hash,
                },
            ),
            Place::Extends => {
                let joins_before = at > 0 && self.0[at - 1].last.next() == sequence;
                let joins_after = self
                    .0
                    .get(at)
                    .is_some_and(|run| run.first == sequence.next());
                match (joins_before, joins_after) {
                    (true, true) => {
                        let after = self.0.remove(at);
                        let before = &mut self.0[at - 1];
                        before.last = after.last;
                        before.hash += hash;
                        before.hash += after.hash;
                    }
                    (true, false) => {
                        self.0[at - 1].last = sequence;
                        self.0[at - 1].hash += hash;
                    }
                    (false, _) => {
                        self.0[at].first = sequence;
                        self.0[at].hash += hash;
                    }
                }
            }
        }
        place
    }

    /// Takes out the run that begins right after `watermark`, if there is one.
    pub fn take_adjacent(&mut self, watermark: Sequence) -> Option<Run> {
        match self.0.first() {
            Some(run) if run.first == watermark.next() => Some(self.0.remove(0)),
            _ => None,
        }
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Run> + DoubleEndedIterator {
        self.0.iter()
    }

    /// The highest sequence in any run.
    pub fn highest(&self) -> Option<Sequence> {
        self.0.last().map(|run| run.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every order of inserting every subset of six sequences gives the runs of the plain set.
    #[test]
    fn runs_are_the_set_whatever_the_order() {
        fn insert_all(order: &[u64]) -> (Runs, BTreeSet<u64>) {
            let mut runs = Runs::default();
            let mut set = BTreeSet::new();
            for &n in order {
                let place = runs.insert(Sequence(n), RollingHash(1 << n));
                assert_eq!(place == Place::Present, !set.insert(n));
            }
            (runs, set)
        }
        fn permutations(left: &mut Vec<u64>, taken: &mut Vec<u64>) {
            let (runs, set) = insert_all(taken);
            let listed: BTreeSet<u64> = runs.iter().flat_map(Run::range).collect();
            assert_eq!(listed, set);
            let hash = runs.iter().fold(0, |sum, run| sum + run.hash.0);
            assert_eq!(hash, set.iter().map(|n| 1 << n).sum::<u64>());
            let gaps = runs
                .iter()
                .zip(runs.iter().skip(1))
                .all(|(a, b)| a.last.next() < b.first);
            assert!(gaps, "{runs:?} has neighbours that should be one run");
            for at in 0..left.len() {
                taken.push(left.remove(at));
                permutations(left, taken);
                left.insert(at, taken.pop().unwrap());
            }
        }
        permutations(&mut (1..=6).collect(), &mut Vec::new());
    }

    #[test]
    fn a_repeated_sequence_changes_nothing() {
        let mut runs = Runs::default();
        runs.insert(Sequence(3), RollingHash(5));
        let before = runs.clone();
        assert_eq!(runs.insert(Sequence(3), RollingHash(5)), Place::Present);
        assert_eq!(runs, before);
    }

    fn run(first: u64, last: u64, hash: u64) -> Run {
        Run {
            first: Sequence(first),
            last: Sequence(last),
            hash: RollingHash(hash),
        }
    }

    #[test]
    fn what_was_stored_is_read_back_as_it_was_with_neighbours_joined_and_what_is_no_run_left_out() {
        let stored = [
            run(1, 2, 1),
            run(3, 4, 2),
            run(4, 5, 4),
            run(9, 8, 8),
            run(7, 7, 16),
            run(9, 9, 32),
        ];
        let runs = Runs::from_ascending(stored);
        assert!(
            runs.iter()
                .eq(&[run(1, 4, 3), run(7, 7, 16), run(9, 9, 32)])
        );
        assert_eq!(runs.highest(), Some(Sequence(9)));
        assert!(!runs.is_empty());
        let again = Runs::from_ascending(runs.iter().copied());
        assert_eq!(again, runs);
    }

    #[test]
    fn only_the_run_right_after_a_watermark_is_taken_out() {
        let mut runs = Runs::from_ascending([run(3, 4, 1), run(7, 7, 2)]);
        assert_eq!(runs.take_adjacent(Sequence(1)), None);
        assert_eq!(runs.take_adjacent(Sequence(2)), Some(run(3, 4, 1)));
        assert_eq!(runs.take_adjacent(Sequence(4)), None);
        assert_eq!(runs.take_adjacent(Sequence(6)), Some(run(7, 7, 2)));
        assert_eq!((runs.is_empty(), runs.highest()), (true, None));
    }
}
