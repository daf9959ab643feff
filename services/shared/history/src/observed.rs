//! Whether what was seen at a receiver can have been there: a receiver may be behind, but shows nothing that nobody wanted, nothing older
//! than what a caller was told to be delivered, and nothing older than what it showed before.
//!
//! Of each change it is known between when and when it took effect, so "older" is said only where one had ended before the other began.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::history::{Answer, Did, Operation, Standing};

/// The first read at a receiver that nothing explains, of a story in the order of asking.
pub(crate) fn unexplained(story: &[Operation]) -> Option<&Operation> {
    let changes: Vec<_> = story.iter().filter_map(Change::of).collect();
    let mut shown: BTreeMap<&Arc<str>, Shown> = BTreeMap::new();
    story.iter().find(|read| match &read.did {
        Did::Observed { at, saw } => !shown.entry(at).or_default().explains(&changes, read, saw),
        _ => false,
    })
}

/// A change that was asked for.
struct Change<'a> {
    invoked: Duration,
    ended: Duration,
    wanted: &'a Standing,
    answer: Answer,
}

impl<'a> Change<'a> {
    fn of(operation: &'a Operation) -> Option<Self> {
        let Did::Wrote { wanted, answer } = &operation.did else {
            return None;
        };
        Some(Self {
            invoked: operation.invoked,
            ended: operation.ended,
            wanted,
            answer: *answer,
        })
    }

    /// Whether the pair may stand so by it: it was wanted, or was there before and came back.
    fn may_bring(&self, standing: &Standing) -> bool {
        self.wanted == standing || matches!(self.answer, Answer::Refused | Answer::Unknown)
    }
}

/// What one receiver showed so far.
#[derive(Default)]
struct Shown {
    /// Of each read: when it ended, and when at the earliest what it saw can have been brought.
    reads: Vec<(Duration, Duration)>,
    /// The latest of those, of the reads that ended before the next, and how many these are.
    floor: Duration,
    passed: usize,
}

impl Shown {
    fn explains(&mut self, changes: &[Change<'_>], read: &Operation, saw: &Standing) -> bool {
        while let Some((ended, brought)) = self.reads.get(self.passed)
            && *ended < read.invoked
        {
            self.floor = self.floor.max(*brought);
            self.passed += 1;
        }
        let delivered = changes
            .iter()
            .filter(|it| it.answer == Answer::Delivered && it.ended < read.invoked);
        let delivered = delivered.map(|it| it.invoked).max();
        let begun = || changes.iter().filter(|it| it.invoked <= read.ended);
        // What comes back was wanted too, and not before what was delivered. Nothing at all is what there was before every change.
        let is_wanted = match delivered {
            Some(newest) => begun().any(|it| it.wanted == saw && it.ended >= newest),
            None => saw.is_none() || begun().any(|it| it.wanted == saw),
        };
        let is_first = saw.is_none() && delivered.is_none() && self.floor == Duration::ZERO;
        let brought = begun().filter(|it| it.ended >= self.floor && it.may_bring(saw));
        let brought = match is_first {
            true => Some(Duration::ZERO),
            false => brought.map(|it| it.invoked).min(),
        };
        match brought.filter(|_| is_wanted) {
            Some(brought) => self.reads.push((read.ended, brought)),
            None => return false,
        }
        true
    }
}
