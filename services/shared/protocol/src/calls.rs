//! The synchronous calls under way in this process, which an equal request may join.

use std::collections::BTreeMap;

use crate::event::{EventId, Key};
use crate::outbox::Mark;
use crate::sequence::Source;

/// The calls under way, each named by the event that it wrote.
///
/// A call is known from the transaction that accepts it until its compensation is committed, or until a receipt covers its event:
/// so long its row is unsettled, and an equal request has to share its outcome.
#[derive(Debug, Default)]
pub struct Calls(BTreeMap<EventId, (Key, bool)>);

impl Calls {
    /// A call that was accepted: it wrote `id`, and does or undoes its key's value.
    pub fn begin(&mut self, id: EventId, key: Key, does: bool) {
        self.0.insert(id, (key, does));
    }

    /// Whether the call can be joined.
    pub fn is_known(&self, id: EventId) -> bool {
        self.0.contains_key(&id)
    }

    /// The call has ended: it failed and that is committed, its event is covered by a receipt, or its transaction was rolled back.
    pub fn end(&mut self, id: EventId) {
        self.0.remove(&id);
    }

    /// A receipt covers these events: their rows are settled, and need no joining.
    pub fn cover(&mut self, source: Source, mark: &Mark) {
        self.0
            .retain(|id, _| id.source != source || !mark.covers(id.sequence));
    }

    /// A call that did the same to the key some versions ago. Joining it is what [`crate::rules::Rule::JoinCurrentVersion`] forbids.
    pub(crate) fn equal_but_older(&self, key: &Key, does: bool) -> Option<EventId> {
        self.0
            .iter()
            .find(|(_, (known, did))| known == key && *did == does)
            .map(|(&id, _)| id)
    }

    /// How many calls are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no call is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
