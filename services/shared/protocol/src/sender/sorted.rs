//! What is due and waits for its way, where not all events take one: sorted, so that what can't go its way now stands before nothing
//! that goes the other.

use std::collections::BTreeSet;

use super::wire::Path;
use crate::sequence::Sequence;

/// See the module. Empty where all events take one way.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    call: BTreeSet<Sequence>,
    broker: BTreeSet<Sequence>,
}

impl Sorted {
    pub(super) fn on(&self, path: Path) -> &BTreeSet<Sequence> {
        match path {
            Path::Call => &self.call,
            Path::Broker => &self.broker,
        }
    }

    fn on_mut(&mut self, path: Path) -> &mut BTreeSet<Sequence> {
        match path {
            Path::Call => &mut self.call,
            Path::Broker => &mut self.broker,
        }
    }

    pub(super) fn put(&mut self, path: Path, sequence: Sequence) {
        self.on_mut(path).insert(sequence);
    }

    pub(super) fn remove(&mut self, path: Path, sequence: Sequence) {
        self.on_mut(path).remove(&sequence);
    }

    /// All up to here are received.
    pub(super) fn drop_up_to(&mut self, base: Sequence) {
        for waits in [&mut self.call, &mut self.broker] {
            if waits.first().is_some_and(|first| *first <= base) {
                *waits = waits.split_off(&base.next());
            }
        }
    }

    /// Empties it, in ascending order for each way.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Sequence> + use<> {
        let Sorted { call, broker } = std::mem::take(self);
        call.into_iter().chain(broker)
    }
}
