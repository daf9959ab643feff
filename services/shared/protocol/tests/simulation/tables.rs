//! The durable tables, in memory: what a crash leaves and a backup copies. A transaction that is rolled back is a copy put back.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duet_protocol::accept::{Dispatch, Row, Rows, Write};
use duet_protocol::decision::Decision;
use duet_protocol::delivery::{Parked, State, is_retry_due};
use duet_protocol::event::{Body, Data, Event, EventId, Key, RollingHash};
use duet_protocol::inbox::{EpochInbox, Inbox};
use duet_protocol::ledger::{Ending, Endings, row_hash};
use duet_protocol::membership::Changed;
use duet_protocol::outbox::{EpochState, Mark, OutboxTables};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::{Apply, Failure, InboxTables};
use duet_protocol::record::HELLO_EPOCHS;
use duet_protocol::resync::Resync;
use duet_protocol::sender::Sender;
use duet_protocol::sequence::{
    Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId, Version,
};
use duet_protocol::sweep::{Sweep, Sweeping, Swept};
use duet_protocol::time::{Moment, Timestamp};

use crate::witness::Witness;

/// What a row holds: a kind of reaction.
pub(crate) type Value = u8;

/// The sender's store.
#[derive(Clone, Debug)]
pub(crate) struct SenderStore {
    pub(crate) outbox: Outbox,
    pub(crate) rows: ReactionRows,
}

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

/// What a commit tells the sender of, in order.
#[derive(Clone, Debug)]
pub(crate) enum Appended {
    Event(Arc<Event>, Dispatch),
    Receivers(Changed),
}

impl Appended {
    /// Who joined, left or begins anew, if it is that.
    pub(crate) fn change(&self) -> Option<Changed> {
        match self {
            Appended::Receivers(changed) => Some(changed.clone()),
            Appended::Event(..) => None,
        }
    }
}

/// Tells a machine what was committed.
pub(crate) fn tell(machine: &mut Sender, appended: Vec<Appended>, now: Moment) {
    for what in appended {
        match what {
            Appended::Event(event, dispatch) => machine.committed([(event, dispatch)], now),
            Appended::Receivers(changed) => machine.receivers_changed(&changed, now),
        }
    }
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

/// The sending service's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReactionRows(pub(crate) BTreeMap<Key, Row<Value>>);

/// What an event says of its key's value.
fn json(value: Option<Value>) -> Bytes {
    const DIGITS: &[u8] = b"0123456789";
    match value {
        Some(value) => Bytes::from_static(&DIGITS[usize::from(value)..usize::from(value) + 1]),
        None => Bytes::from_static(b"null"),
    }
}

/// The event, saying something else.
pub(crate) fn corrupted(event: &Event) -> Event {
    let mut other = event.clone();
    if let Body::Data(data) = &mut other.body {
        data.json = json(Some(9));
    }
    other
}

/// The version that an event writes.
pub(crate) fn version(id: EventId) -> Version {
    id.source.version(id.sequence)
}

/// What [`json`] wrote.
pub(crate) fn value(data: &Data) -> Option<Value> {
    match data.json.first() {
        Some(digit @ b'0'..=b'9') => Some(digit - b'0'),
        _ => None,
    }
}

impl Rows for ReactionRows {
    type Value = Value;
    type Error = Infallible;

    fn row(&mut self, key: &Key) -> Result<Option<Row<Value>>, Infallible> {
        Ok(self.0.get(key).cloned())
    }

    fn write(&mut self, key: &Key, write: Write<'_, Value>) -> Result<Data, Infallible> {
        let row = Row {
            value: write.value.copied(),
            version: write.version,
            provisional: write.provisional,
        };
        let data = Data {
            kind: (if write.restores { "restored" } else { "set" }).into(),
            key: key.clone(),
            json: json(row.value),
        };
        self.0.insert(key.clone(), row);
        Ok(data)
    }

    fn page(
        &mut self,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Row<Value>)>, Infallible> {
        let rows = self.0.iter().filter(|(key, _)| Some(*key) > after);
        let rows = rows.map(|(key, row)| (key.clone(), row.clone()));
        Ok(rows.take(limit).collect())
    }

    fn announce(&mut self, key: &Key, value: &Value) -> Result<Data, Infallible> {
        Ok(Data {
            kind: "announced".into(),
            key: key.clone(),
            json: json(Some(*value)),
        })
    }

    fn hash(&self, key: &Key, value: &Value) -> RollingHash {
        row_hash(key, &[*value])
    }
}

/// A receiver's store.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiverStore {
    pub(crate) incarnation: Incarnation,
    pub(crate) received: Received,
    pub(crate) rows: NotificationRows,
}

/// The inbox and the parked table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) inboxes: BTreeMap<Lane, Inbox>,
    pub(crate) parked: BTreeMap<EventId, (Event, Parked)>,
    pub(crate) sweeping: BTreeMap<Lane, Sweeping>,
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

/// The receiving service's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotificationRows {
    pub(crate) rows: BTreeMap<Key, (Option<Value>, EventId)>,
    /// What can't be applied for now.
    pub(crate) failing: BTreeSet<Key>,
    /// What is of a type that is not known yet.
    pub(crate) unknown: BTreeSet<Key>,
    /// What ever was.
    pub(crate) was_unknown: BTreeSet<Key>,
    /// Sees what is applied, apart from the machines.
    pub(crate) witness: Witness,
    /// The next row is not written though its event counts as applied: as a service does that has a bug.
    pub(crate) loses_row: bool,
    /// How the digest has changed since it was asked.
    changes: Vec<(Source, RollingHash)>,
}

impl Apply for NotificationRows {
    type Error = Infallible;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, Infallible> {
        Ok(self.rows.get(key).map(|(_, id)| version(*id)))
    }

    fn applies_at(&mut self, _: Timestamp) {}

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Infallible> {
        if self.failing.contains(&data.key) {
            return Ok(Err(Failure::new("told to fail")));
        }
        if self.unknown.contains(&data.key) {
            return Ok(Err(Failure::unknown_type("dev.duet.newer")));
        }
        if std::mem::take(&mut self.loses_row) {
            return Ok(Ok(None));
        }
        self.witness.applied(event, data);
        let row = (value(data), event.id());
        let before = self.rows.insert(data.key.clone(), row);
        if let Some((Some(value), id)) = before {
            let hash = RollingHash::default() - row_hash(&data.key, &[value]);
            self.changes.push((id.source, hash));
        }
        if let Some(value) = value(data) {
            let hash = row_hash(&data.key, &[value]);
            self.changes.push((event.source, hash));
        }
        Ok(Ok(None))
    }

    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        Some(std::mem::take(&mut self.changes))
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, Infallible> {
        let undone = self.rows.iter().filter(|(_, (value, id))| {
            value.is_none() && id.source.lane == lane && version(*id) <= up_to
        });
        Ok(undone.take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), Infallible> {
        self.rows.remove(key);
        Ok(())
    }

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, Infallible> {
        let keys = self.rows.keys().filter(|key| Some(*key) > after);
        let keys: Vec<Key> = keys.take(limit).cloned().collect();
        let mut swept = Swept::default();
        for key in keys {
            let epoch = self.rows.get(&key).map(|(_, id)| id.source.epoch);
            if epoch.is_some_and(|epoch| sweep.takes(&key, epoch)) {
                if let Some((Some(value), id)) = self.rows.remove(&key) {
                    let hash = RollingHash::default() - row_hash(&key, &[value]);
                    self.changes.push((id.source, hash));
                }
                swept.removed += 1;
            }
            swept.last = Some(key);
        }
        Ok(swept)
    }
}
