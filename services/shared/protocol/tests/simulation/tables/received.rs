//! What a receiver's store holds of its senders: inboxes, the parked table, sweeps under way.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use duet_protocol::delivery::{Parked, State, is_retry_due};
use duet_protocol::event::{Event, EventId, Key};
use duet_protocol::inbox::{EpochInbox, Inbox};
use duet_protocol::ledger::{Ending, Endings};
use duet_protocol::receive::{Failure, InboxTables};
use duet_protocol::sequence::{Lane, Source, StoreId};
use duet_protocol::sweep::{Sweep, Sweeping};
use duet_protocol::time::Timestamp;

/// The inbox and the parked table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) inboxes: BTreeMap<Lane, Inbox>,
    pub(crate) parked: BTreeMap<EventId, (Event, Parked)>,
    pub(crate) sweeping: BTreeMap<Lane, Sweeping>,
    /// What was discarded that nothing newer had superseded.
    pub(crate) discarded: Vec<EventId>,
    /// What each closed epoch came to: how many events, and how they ended.
    pub(crate) closed: BTreeMap<Source, (u64, Endings)>,
}

impl Received {
    /// When what is parked is to be tried again.
    pub(crate) fn next_attempts(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.parked
            .values()
            .filter_map(|(_, parked)| match parked.state {
                State::Parked { next_attempt } => Some(next_attempt),
                State::Dead => None,
            })
    }

    /// What is to be tried now.
    pub(crate) fn due(&self, now: Timestamp, longest: Duration) -> Vec<Event> {
        let is_due = |parked: &Parked| match parked.state {
            State::Parked { next_attempt } => is_retry_due(next_attempt, now, longest),
            State::Dead => false,
        };
        let due = self.parked.values().filter(|(_, parked)| is_due(parked));
        due.map(|(event, _)| event.clone()).collect()
    }
}

impl InboxTables for Received {
    type Error = Infallible;

    fn lanes(&mut self, store: Option<StoreId>) -> Result<Vec<Lane>, Infallible> {
        let lanes = self.inboxes.keys().copied();
        let is_of = |lane: &Lane| store.is_none_or(|store| lane.store == store);
        Ok(lanes.filter(is_of).collect())
    }

    fn inbox(&mut self, lane: Lane) -> Result<Inbox, Infallible> {
        Ok(self.inboxes.get(&lane).cloned().unwrap_or_default())
    }

    fn put_inbox(&mut self, lane: Lane, inbox: &Inbox) -> Result<(), Infallible> {
        self.inboxes.insert(lane, inbox.clone());
        Ok(())
    }

    fn put_closed(&mut self, source: Source, inbox: &EpochInbox) -> Result<(), Infallible> {
        let came_to = (inbox.received(), inbox.endings);
        self.closed.insert(source, came_to);
        Ok(())
    }

    fn count_late(&mut self, source: Source, ending: Ending) -> Result<(), Infallible> {
        let (_, endings) = self.closed.entry(source).or_default();
        endings.count(ending);
        Ok(())
    }

    fn is_at_rest(&mut self, lane: Lane) -> Result<bool, Infallible> {
        let parked = self.parked.keys().any(|id| id.source.lane == lane);
        Ok(!parked && self.sweeping.is_empty())
    }

    fn parked(&mut self, id: EventId) -> Result<Option<Parked>, Infallible> {
        Ok(self.parked.get(&id).map(|(_, parked)| *parked))
    }

    fn is_key_parked(&mut self, key: &Key) -> Result<bool, Infallible> {
        let of_key = |event: &Event| event.data().is_some_and(|data| data.key == *key);
        Ok(self.parked.values().any(|(event, _)| of_key(event)))
    }

    fn park(
        &mut self,
        event: &Event,
        _: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), Infallible> {
        self.parked.insert(event.id(), (event.clone(), parked));
        Ok(())
    }

    fn park_again(
        &mut self,
        id: EventId,
        _: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), Infallible> {
        if let Some((_, before)) = self.parked.get_mut(&id) {
            *before = parked;
        }
        Ok(())
    }

    fn discarded(&mut self, id: EventId) -> Result<(), Infallible> {
        self.discarded.push(id);
        Ok(())
    }

    fn unpark(&mut self, id: EventId) -> Result<(), Infallible> {
        self.parked.remove(&id);
        Ok(())
    }

    fn drop_parked(&mut self, sweep: &Sweep, limit: usize) -> Result<u64, Infallible> {
        let takes = |(id, (event, _)): (&EventId, &(Event, Parked))| {
            let key = &event.data()?.key;
            sweep.takes(key, id.source.epoch).then_some(*id)
        };
        let taken: Vec<EventId> = self.parked.iter().filter_map(takes).take(limit).collect();
        taken.iter().for_each(|id| drop(self.parked.remove(id)));
        Ok(taken.len() as u64)
    }

    fn sweeping(&mut self) -> Result<Vec<Sweeping>, Infallible> {
        Ok(self.sweeping.values().cloned().collect())
    }

    fn put_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), Infallible> {
        self.sweeping.insert(sweeping.sweep.lane, sweeping.clone());
        Ok(())
    }

    fn end_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), Infallible> {
        self.sweeping.remove(&sweeping.sweep.lane);
        Ok(())
    }
}
