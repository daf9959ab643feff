//! Callers who wait for one event to be received: a bounded number, each woken by what brings it.
//!
//! A caller begins to wait before it looks whether the event is there already, so that nothing comes in between. Who brings
//! events asks for those that are waited for; with nobody waiting that is one empty map, a batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duet_protocol::event::EventId;
use duet_protocol::sequence::{Sequence, Source};
use tokio::sync::oneshot;

/// The most callers that wait at once.
const MAX: usize = 1_024;

/// See the module. Its clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    callers: BTreeMap<(EventId, u64), oneshot::Sender<()>>,
    asked: u64,
}

/// More wait already than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// One caller, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    of: Waiters,
    id: (EventId, u64),
    woken: oneshot::Receiver<()>,
}

impl Waiters {
    /// A panic while they were locked leaves them as they were: each change is one operation.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for an event.
    pub(crate) fn begin(&self, event: EventId) -> Result<Waiter, TooMany> {
        let (caller, woken) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.callers.len() >= MAX {
            return Err(TooMany);
        }
        let id = (event, waiting.asked);
        waiting.asked += 1;
        waiting.callers.insert(id, caller);
        Ok(Waiter {
            of: self.clone(),
            id,
            woken,
        })
    }

    /// The events of a source that are waited for.
    pub(crate) fn of_source(&self, source: Source) -> Vec<EventId> {
        let at = |sequence| EventId { source, sequence };
        let all = (at(Sequence::ZERO), 0)..=(at(Sequence(u64::MAX)), u64::MAX);
        let waiting = self.lock();
        waiting.callers.range(all).map(|((id, _), _)| *id).collect()
    }

    /// All events that are waited for.
    pub(crate) fn all(&self) -> Vec<EventId> {
        let waiting = self.lock();
        waiting.callers.keys().map(|(id, _)| *id).collect()
    }

    /// These have come.
    pub(crate) fn wake(&self, events: impl IntoIterator<Item = EventId>) {
        let mut waiting = self.lock();
        if waiting.callers.is_empty() {
            return;
        }
        for event in events {
            while let Some((&id, _)) = waiting.callers.range((event, 0)..).next()
                && id.0 == event
            {
                if let Some(caller) = waiting.callers.remove(&id) {
                    // The caller may just have given up.
                    let _ = caller.send(());
                }
            }
        }
    }
}

impl Waiter {
    /// Waits until the event has come, at most so long; whether it has.
    pub(crate) async fn woken(mut self, within: Duration) -> bool {
        let woken = tokio::time::timeout(within, &mut self.woken).await;
        matches!(woken, Ok(Ok(())))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.of.lock().callers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> EventId {
        EventId {
            source: Source::default(),
            sequence: Sequence(sequence),
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn who_waits_for_an_event_is_woken_by_it_alone() {
        let waiters = Waiters::default();
        let [first, again, other] = [1, 1, 2].map(|n| waiters.begin(event(n)).unwrap());
        assert_eq!(
            waiters.of_source(Source::default()),
            [event(1), event(1), event(2)]
        );
        waiters.wake([event(1), event(3)]);
        assert!(first.woken(LONG).await && again.woken(LONG).await);
        assert!(!other.woken(Duration::from_millis(1)).await);
        assert!(waiters.of_source(Source::default()).is_empty());
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_who_gives_up_makes_room() {
        let waiters = Waiters::default();
        let mut waiting: Vec<_> = (0..MAX as u64)
            .map(|n| waiters.begin(event(n)).unwrap())
            .collect();
        assert_eq!(waiters.begin(event(1)).unwrap_err(), TooMany);
        waiting.pop();
        waiters.begin(event(1)).unwrap();
    }
}
