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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Epoch, Lane, Sequence};

    fn id(sequence: u64) -> EventId {
        EventId {
            source: Lane::default().source(Epoch(1)),
            sequence: Sequence(sequence),
        }
    }

    /// Two calls under way, the first and the third event.
    fn two() -> Calls<u8> {
        let mut calls = Calls::default();
        assert!(calls.is_empty());
        for (sequence, does) in [(1, true), (3, false)] {
            let key = Key::new(format!("post/{sequence}")).unwrap();
            calls.begin(id(sequence), key, does);
        }
        calls
    }

    fn known(calls: &Calls<u8>) -> Vec<u64> {
        let known = (1..=3).filter(|at| calls.is_known(id(*at)));
        let known: Vec<u64> = known.collect();
        assert_eq!(
            (known.len(), known.is_empty()),
            (calls.len(), calls.is_empty())
        );
        known
    }

    #[test]
    fn a_call_is_known_until_it_is_answered_and_covered_whichever_comes_first() {
        let mark = |watermark| Mark {
            watermark: Sequence(watermark),
            runs: Vec::new(),
        };
        let elsewhere = Lane::default().source(Epoch(2));
        type Step<'a> = &'a dyn Fn(&mut Calls<u8>);
        let answered: Step<'_> = &|calls| calls.delivered(id(1));
        let received: Step<'_> = &|calls| calls.cover(id(1).source, &mark(2));
        let over: Step<'_> = &|calls| calls.cover_where(|call| call == id(1));
        for covered in [received, over] {
            for [first, last] in [[answered, covered], [covered, answered]] {
                let mut calls = two();
                first(&mut calls);
                calls.cover(elsewhere, &mark(9));
                calls.cover_where(|_| false);
                assert_eq!(known(&calls), [1, 3], "one of the two is not enough");
                last(&mut calls);
                assert_eq!(known(&calls), [3]);
            }
        }
        let mut calls = two();
        calls.delivered(id(1));
        calls.delivered(id(3));
        calls.cover(elsewhere, &mark(9));
        assert_eq!(known(&calls), [1, 3]);
    }

    #[test]
    fn what_is_said_of_one_call_is_not_said_of_another() {
        let mut calls = two();
        *calls.get_mut(id(1)).unwrap() = 7;
        assert_eq!(calls.failed(id(1)).copied(), Some(7));
        calls.settle(id(3));
        let of = |calls: &Calls<u8>, at| (calls.has_failed(id(at)), calls.is_settled(id(at)));
        assert_eq!(of(&calls, 1), (true, false));
        assert_eq!(of(&calls, 2), (false, false));
        assert_eq!(of(&calls, 3), (false, true));
        assert_eq!((calls.end(id(1)), calls.end(id(1))), (Some(7), None));
        assert_eq!(calls.get_mut(id(1)), None);
        assert_eq!(known(&calls), [3]);
    }
}
