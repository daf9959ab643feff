//! The sender's outbox, and what receivers said.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Event, EventId, RollingHash};
use duet_protocol::membership::Changed;
use duet_protocol::outbox::{EpochState, Mark, OutboxTables};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::HELLO_EPOCHS;
use duet_protocol::resync::Resync;
use duet_protocol::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId};

use super::Appended;

/// The outbox and what receivers said.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    id: StoreId,
    partitions: u16,
    epochs: BTreeMap<Source, EpochState>,
    events: BTreeMap<EventId, (Arc<Event>, RollingHash)>,
    receivers: BTreeMap<ReceiverName, Receiver>,
    joins: u64,
    seen: Epoch,
    resync: Option<Resync>,
    /// What the transaction under way has appended.
    pub(crate) appended: Vec<Appended>,
}

/// A receiver, and what it said.
#[derive(Clone, Debug, Default)]
struct Receiver {
    /// Counts all joins: tells one membership from the next.
    spell: u64,
    incarnation: Incarnation,
    begin: BTreeMap<Partition, Epoch>,
    rows_since: BTreeMap<Partition, Epoch>,
    marks: BTreeMap<Source, Mark>,
}

impl Outbox {
    pub(crate) fn new(id: StoreId, partitions: u16) -> Self {
        Outbox {
            id,
            partitions,
            epochs: BTreeMap::new(),
            events: BTreeMap::new(),
            receivers: BTreeMap::new(),
            joins: 0,
            seen: Epoch::ZERO,
            resync: None,
            appended: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    fn of(&mut self, receiver: &ReceiverName) -> &mut Receiver {
        let receiver = self.receivers.get_mut(receiver);
        receiver.expect("what a stranger says is not recorded")
    }

    /// Which membership this is of a receiver; `None` if it is none.
    pub(crate) fn spell(&self, receiver: &ReceiverName) -> Option<u64> {
        self.receivers.get(receiver).map(|known| known.spell)
    }

    /// All receivers, and which membership this is of each.
    pub(crate) fn spells(&self) -> BTreeMap<ReceiverName, u64> {
        let spell = |(name, known): (&ReceiverName, &Receiver)| (name.clone(), known.spell);
        self.receivers.iter().map(spell).collect()
    }

    /// The sources that a receiver began with.
    pub(crate) fn begins(&self, receiver: &ReceiverName) -> Vec<Source> {
        let begin = self.receivers.get(receiver).map(|known| &known.begin);
        let source =
            |(partition, epoch): (&Partition, &Epoch)| self.lane(*partition).source(*epoch);
        begin.into_iter().flatten().map(source).collect()
    }

    pub(crate) fn lane(&self, partition: Partition) -> Lane {
        Lane {
            store: self.id,
            partitions: self.partitions,
            partition,
        }
    }

    pub(crate) fn last_resync(&self) -> Option<&Resync> {
        self.resync.as_ref()
    }

    /// How the outbox stands when a sender starts: sources with events in it, and each lane's newest that a hello is about.
    pub(crate) fn standing(&self) -> Vec<(Source, EpochState)> {
        let mut standing = Vec::new();
        for partition in 0..self.partitions {
            let lane = self.lane(Partition(partition));
            let of_lane = || {
                self.epochs
                    .range(lane.source(Epoch::ZERO)..=lane.source(Epoch(u64::MAX)))
            };
            let old = of_lane().count().saturating_sub(HELLO_EPOCHS);
            standing.extend(
                of_lane()
                    .enumerate()
                    .filter(|(at, (_, state))| *at >= old || state.forgotten < state.last)
                    .map(|(_, (source, state))| (*source, *state)),
            );
        }
        standing
    }

    pub(crate) fn standing_of_all(&self) -> impl Iterator<Item = (&Source, &EpochState)> {
        self.epochs.iter()
    }

    pub(crate) fn marks(&self, receiver: &ReceiverName) -> Vec<(Source, Mark)> {
        let marks = self.receivers.get(receiver).map(|known| &known.marks);
        let marks = marks.into_iter().flatten();
        marks
            .map(|(source, mark)| (*source, mark.clone()))
            .collect()
    }

    pub(crate) fn read(&self, source: Source, after: Sequence, limit: usize) -> Vec<Event> {
        let id = |sequence| EventId { source, sequence };
        self.events
            .range(id(after.next())..=id(Sequence(u64::MAX)))
            .take(limit)
            .map(|(_, (event, _))| Event::clone(event))
            .collect()
    }

    fn of_lane(&self, lane: Lane, from: Epoch, below: Epoch) -> Vec<(Source, EpochState)> {
        let (from, below) = (lane.source(from), lane.source(below.max(from)));
        let of_lane = self.epochs.range(from..below);
        of_lane.map(|(source, state)| (*source, *state)).collect()
    }

    pub(crate) fn knows(&self, id: EventId) -> bool {
        self.epochs
            .get(&id.source)
            .is_some_and(|state| id.sequence <= state.last)
    }
}

impl OutboxTables for Outbox {
    type Error = Infallible;

    fn store(&mut self) -> Result<StoreId, Infallible> {
        Ok(self.id)
    }

    fn partitions(&mut self) -> Result<u16, Infallible> {
        Ok(self.partitions)
    }

    fn head(&mut self, partition: Partition) -> Result<Option<Epoch>, Infallible> {
        let lane = self.lane(partition);
        let mut of_lane = self
            .epochs
            .range(lane.source(Epoch::ZERO)..=lane.source(Epoch(u64::MAX)));
        Ok(of_lane.next_back().map(|(source, _)| source.epoch))
    }

    fn epoch(&mut self, source: Source) -> Result<Option<EpochState>, Infallible> {
        Ok(self.epochs.get(&source).copied())
    }

    fn unforgotten(&mut self, lane: Lane, before: Epoch) -> Result<Vec<Epoch>, Infallible> {
        let below = self
            .epochs
            .range(lane.source(Epoch::ZERO)..lane.source(before));
        Ok(below
            .filter(|(_, state)| state.forgotten < state.last)
            .map(|(source, _)| source.epoch)
            .collect())
    }

    fn open_epoch(&mut self, source: Source) -> Result<(), Infallible> {
        self.epochs.insert(source, EpochState::default());
        Ok(())
    }

    fn append(&mut self, event: Event, dispatch: Dispatch) -> Result<(), Infallible> {
        let event = Arc::new(event);
        let state = self.epochs.entry(event.source).or_default();
        state.last = event.sequence;
        state.own += u64::from(event.data().is_none());
        self.events
            .insert(event.id(), (event.clone(), event.hash()));
        self.appended.push(Appended::Event(event, dispatch));
        Ok(())
    }

    fn hash_between(
        &mut self,
        source: Source,
        after: Sequence,
        up_to: Sequence,
    ) -> Result<RollingHash, Infallible> {
        let mut sum = RollingHash::default();
        if after < up_to {
            let id = |sequence| EventId { source, sequence };
            for (_, (_, hash)) in self.events.range(id(after.next())..=id(up_to)) {
                sum += *hash;
            }
        }
        Ok(sum)
    }

    fn hash_of_epochs(
        &mut self,
        lane: Lane,
        from: Epoch,
        below: Epoch,
    ) -> Result<RollingHash, Infallible> {
        let mut sum = RollingHash::default();
        for (source, state) in self.of_lane(lane, from, below) {
            sum += state.hash + self.hash_between(source, state.forgotten, state.last)?;
        }
        Ok(sum)
    }

    fn has_epochs(&mut self, lane: Lane, from: Epoch, below: Epoch) -> Result<bool, Infallible> {
        Ok(!self.of_lane(lane, from, below).is_empty())
    }

    fn add_to_digest(&mut self, source: Source, change: RollingHash) -> Result<(), Infallible> {
        if let Some(state) = self.epochs.get_mut(&source) {
            state.digest += change;
        }
        Ok(())
    }

    fn digest(&mut self, lane: Lane, from: Epoch) -> Result<RollingHash, Infallible> {
        let of_lane = self.of_lane(lane, from, Epoch(u64::MAX)).into_iter();
        Ok(of_lane.fold(RollingHash::default(), |sum, (_, state)| sum + state.digest))
    }

    fn forget(&mut self, source: Source, up_to: Sequence) -> Result<(), Infallible> {
        let Some(mut state) = self.epochs.get(&source).copied() else {
            return Ok(());
        };
        state.hash += self.hash_between(source, state.forgotten, up_to)?;
        for sequence in state.forgotten.0 + 1..=up_to.0 {
            let sequence = Sequence(sequence);
            self.events.remove(&EventId { source, sequence });
        }
        state.forgotten = up_to;
        self.epochs.insert(source, state);
        Ok(())
    }

    fn seen(&mut self) -> Result<Epoch, Infallible> {
        Ok(self.seen)
    }

    fn put_seen(&mut self, seen: Epoch) -> Result<(), Infallible> {
        self.seen = seen;
        Ok(())
    }

    fn resync(&mut self) -> Result<Option<Resync>, Infallible> {
        Ok(self.resync.clone())
    }

    fn put_resync(&mut self, resync: &Resync) -> Result<(), Infallible> {
        self.resync = Some(resync.clone());
        Ok(())
    }

    fn receivers(&mut self) -> Result<Vec<ReceiverName>, Infallible> {
        Ok(self.receivers.keys().cloned().collect())
    }

    fn are_receivers(&mut self, names: &[ReceiverName]) -> Result<bool, Infallible> {
        let all_known = names.iter().all(|name| self.receivers.contains_key(name));
        Ok(all_known && names.len() == self.receivers.len())
    }

    fn add_receiver(&mut self, name: &ReceiverName) -> Result<(), Infallible> {
        self.joins += 1;
        let receiver = Receiver {
            spell: self.joins,
            ..Receiver::default()
        };
        self.receivers.insert(name.clone(), receiver);
        Ok(())
    }

    fn remove_receiver(&mut self, name: &ReceiverName) -> Result<(), Infallible> {
        self.receivers.remove(name);
        Ok(())
    }

    fn begin(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, Infallible> {
        let known = self.receivers.get(receiver);
        let begin = known.and_then(|known| known.begin.get(&partition));
        Ok(begin.copied().unwrap_or_default())
    }

    fn put_begin(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        rows_since: Epoch,
    ) -> Result<(), Infallible> {
        let known = self.of(receiver);
        let partition = source.lane.partition;
        known.begin.insert(partition, source.epoch);
        known.rows_since.insert(partition, rows_since);
        Ok(())
    }

    fn rows_since(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, Infallible> {
        let known = self.receivers.get(receiver);
        let since = known.and_then(|known| known.rows_since.get(&partition));
        Ok(since.copied().unwrap_or_default())
    }

    fn changed(&mut self, changed: &Changed) -> Result<(), Infallible> {
        self.appended.push(Appended::Receivers(changed.clone()));
        Ok(())
    }

    fn incarnation(&mut self, receiver: &ReceiverName) -> Result<Incarnation, Infallible> {
        let known = self.receivers.get(receiver);
        Ok(known.map(|known| known.incarnation).unwrap_or_default())
    }

    fn put_incarnation(
        &mut self,
        receiver: &ReceiverName,
        incarnation: Incarnation,
    ) -> Result<(), Infallible> {
        self.of(receiver).incarnation = incarnation;
        Ok(())
    }

    fn drop_runs(&mut self, receiver: &ReceiverName) -> Result<(), Infallible> {
        let Self {
            epochs, receivers, ..
        } = self;
        for known in receivers.get_mut(receiver).into_iter() {
            for (source, mark) in &mut known.marks {
                let state = epochs.get(source);
                mark.watermark = state.map_or(Sequence::ZERO, |state| state.forgotten);
                mark.runs.clear();
            }
        }
        Ok(())
    }

    fn mark(&mut self, receiver: &ReceiverName, source: Source) -> Result<Mark, Infallible> {
        let mark = self.of(receiver).marks.get(&source);
        Ok(mark.cloned().unwrap_or_default())
    }

    fn put_mark(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        mark: &Mark,
    ) -> Result<(), Infallible> {
        self.of(receiver).marks.insert(source, mark.clone());
        Ok(())
    }
}
