//! Whether what was seen at a receiver can have been there: a receiver may be behind, but shows nothing that nobody wanted, nothing older
//! than what a caller was told to be delivered, and nothing older than what it showed before.
//!
//! Where a store was restored, what it lost counts for nothing: until it is healed a receiver may show that and go back, and afterwards not.
//!
//! Of each change it is known between when and when it took effect, so "older" is said only where one had ended before the other began.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::history::{Answer, Did, Operation, Restored, Standing};

/// The first read at a receiver that nothing explains, of a story in the order of asking.
pub(crate) fn unexplained<'a>(
    story: &'a [Operation],
    restored: &[Restored],
) -> Option<&'a Operation> {
    let changes: Vec<_> = story.iter().filter_map(Change::of).collect();
    let mut shown: BTreeMap<(&Arc<str>, usize), Shown> = BTreeMap::new();
    story.iter().find(|read| match &read.did {
        Did::Observed { at, saw } => {
            let gone = Gone::before(read, at, restored);
            let shown = shown.entry((at, gone.healed)).or_default();
            !shown.explains(&changes, read, saw, &gone)
        }
        _ => false,
    })
}

/// What restored stores lost before a read.
struct Gone<'a> {
    /// Of which restorations the receiver may be without what it had, or have what the sender has not: not healed, or the sender's.
    lost: Vec<&'a Restored>,
    /// How many were healed before: what it shows is never older than what it showed since.
    healed: usize,
    /// One was not healed: it may show what is gone, and then what is older.
    is_unsettled: bool,
}

impl<'a> Gone<'a> {
    fn before(read: &Operation, at: &Arc<str>, restored: &'a [Restored]) -> Self {
        let concerns = |it: &&Restored| it.receiver.as_ref().is_none_or(|receiver| receiver == at);
        let begun = |it: &&Restored| it.put_back.start <= read.ended;
        let all = || restored.iter().filter(concerns).filter(begun);
        let is_healed = |it: &&Restored| it.healed < read.invoked;
        let healed = all().filter(is_healed).count();
        Gone {
            lost: all()
                .filter(|it| it.receiver.is_none() || !is_healed(it))
                .collect(),
            healed,
            is_unsettled: healed < all().count(),
        }
    }

    /// Whether it is gone for certain, and nothing may show it any more.
    fn includes(&self, change: &Change<'_>) -> bool {
        let mut senders = self.lost.iter().filter(|it| it.receiver.is_none());
        !self.is_unsettled && senders.any(|it| it.lacks(change.operation))
    }

    fn may_include(&self, change: &Change<'_>) -> bool {
        self.lost.iter().any(|it| it.may_lack(change.operation))
    }
}

/// A change that was asked for.
struct Change<'a> {
    operation: &'a Operation,
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
            operation,
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
    fn explains(
        &mut self,
        changes: &[Change<'_>],
        read: &Operation,
        saw: &Standing,
        gone: &Gone<'_>,
    ) -> bool {
        while let Some((ended, brought)) = self.reads.get(self.passed)
            && *ended < read.invoked
        {
            self.floor = self.floor.max(*brought);
            self.passed += 1;
        }
        let delivered = changes
            .iter()
            .filter(|it| match it.answer {
                Answer::Delivered => true,
                // Who had it and was restored may be without it until then.
                Answer::Stood => !gone.is_unsettled,
                _ => false,
            })
            .filter(|it| it.ended < read.invoked)
            .filter(|it| !gone.may_include(it));
        let delivered = delivered.map(|it| it.invoked).max();
        let begun = || {
            let begun = changes.iter().filter(|it| it.invoked <= read.ended);
            begun.filter(|it| !gone.includes(it))
        };
        // What comes back was wanted too, and not before what was delivered. Nothing at all is what there was before every change.
        let is_wanted = match delivered {
            Some(newest) => begun().any(|it| it.wanted == saw && it.ended >= newest),
            None => saw.is_none() || begun().any(|it| it.wanted == saw),
        };
        if gone.is_unsettled {
            return is_wanted;
        }
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
