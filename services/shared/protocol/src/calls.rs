//! The synchronous calls under way in this process, which an equal request may join.

use std::collections::BTreeMap;

use crate::event::{EventId, Key};
use crate::outbox::Mark;
use crate::sequence::Source;

/// The calls under way, each named by the event that it wrote, and with what the shell keeps of it.
///
/// A call is known from the transaction that accepts it until its compensation is committed, or until a receipt covers its event:
/// so long its row is unsettled, and an equal request has to share its outcome.
#[derive(Debug)]
pub struct Calls<T = ()>(BTreeMap<EventId, Call<T>>);

#[derive(Debug)]
struct Call<T> {
    key: Key,
    does: bool,
    failed: bool,
    settled: bool,
    answered: bool,
    covered: bool,
    shell: T,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Calls(BTreeMap::new())
    }
}

impl<T: Default> Calls<T> {
    /// A call that was accepted: it wrote `id`, and does or undoes its key's value.
    pub fn begin(&mut self, id: EventId, key: Key, does: bool) {
        let call = Call {
            key,
            does,
            failed: false,
            settled: false,
            answered: false,
            covered: false,
            shell: T::default(),
        };
        self.0.insert(id, call);
    }
}

impl<T> Calls<T> {
    /// Whether the call can be joined.
    pub fn is_known(&self, id: EventId) -> bool {
        self.0.contains_key(&id)
    }

    /// What the shell keeps of a call.
    pub fn get_mut(&mut self, id: EventId) -> Option<&mut T> {
        self.0.get_mut(&id).map(|call| &mut call.shell)
    }

    /// The call failed and is to be taken back; what the shell keeps of it. It can be joined until that is committed.
    pub fn failed(&mut self, id: EventId) -> Option<&mut T> {
        self.0.get_mut(&id).map(|call| {
            call.failed = true;
            &mut call.shell
        })
    }

    /// A caller is told that what the call wrote was received: it is not taken back any more, whatever receivers say later.
    pub(crate) fn settle(&mut self, id: EventId) {
        if let Some(call) = self.0.get_mut(&id) {
            call.settled = true;
        }
    }

    /// Whether [`Calls::settle`] was said of it.
    pub(crate) fn is_settled(&self, id: EventId) -> bool {
        self.0.get(&id).is_some_and(|call| call.settled)
    }

    /// Whether the call failed and waits for its compensation.
    pub(crate) fn has_failed(&self, id: EventId) -> bool {
        self.0.get(&id).is_some_and(|call| call.failed)
    }

    /// The call has ended: it failed and that is committed, or its transaction was rolled back.
    pub fn end(&mut self, id: EventId) -> Option<T> {
        self.0.remove(&id).map(|call| call.shell)
    }

    /// The call was delivered, and its callers are told. It can be joined until a receipt covers its event.
    pub fn delivered(&mut self, id: EventId) {
        if let Some(call) = self.0.get_mut(&id) {
            call.answered = true;
            if call.covered {
                self.0.remove(&id);
            }
        }
    }

    /// A receipt covers these events: their rows are settled, and need no joining. Who still waits for an answer gets it.
    pub fn cover(&mut self, source: Source, mark: &Mark) {
        self.0.retain(|id, call| {
            let covered = id.source == source && mark.covers(id.sequence);
            call.covered |= covered;
            !(call.covered && call.answered)
        });
    }

    /// Receivers joined, left or begin anew: of events that are held by all who are left, or are nobody's business any more, no
    /// receipt will tell. Who still waits for an answer gets it.
    pub fn cover_where(&mut self, is_over: impl Fn(EventId) -> bool) {
        self.0.retain(|id, call| {
            call.covered |= is_over(*id);
            !(call.covered && call.answered)
        });
    }

    /// A call that did the same to the key some versions ago. Joining it is what [`crate::rules::Rule::JoinCurrentVersion`] forbids.
    pub(crate) fn equal_but_older(&self, key: &Key, does: bool) -> Option<EventId> {
        let mut calls = self.0.iter();
        calls
            .find(|(_, call)| call.key == *key && call.does == does)
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
