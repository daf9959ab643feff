//! Receiving: one transaction checks the inbox and applies each event, or parks it. A second copy changes nothing.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::decision::Decision;
use crate::delivery::{Delivery, Fingerprint, Parked};
use crate::event::{Body, Data, Event, EventId, Key, RollingHash};
use crate::inbox::{EpochInbox, Inbox, Standing};
use crate::ledger::Ending;
use crate::receipt::{Receipt, ReceiverName};
use crate::rules::{Rule, Rules};
use crate::sequence::{Incarnation, Lane, Source, StoreId, Version};
use crate::settings::DeliverySettings;
use crate::sweep::{Sweep, Sweeping, Swept};
use crate::time::Timestamp;

mod parked; // what is done with what is in the parked table

pub use parked::{JobTurn, Redriven};

/// What became of one event at a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is stored; and what the service decided, if it said so.
    Applied(Option<Decision>),
    /// Something newer of its key is stored.
    Superseded,
    /// It is stored, and will be applied later.
    Parked,
    /// It is stored as a dead letter.
    Dead,
    /// It is from a store that is gone, and changes nothing.
    Refused,
    /// It was not received: the inbox has too many gaps. Send it again.
    Dropped,
    /// It could not be applied, and was not received.
    Failed(Failure),
    /// Its deadline had passed before it was tried; it was not received.
    Late,
}

impl Outcome {
    /// Whether a caller that waits may be told that the event was delivered.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Outcome::Applied(_) | Outcome::Superseded)
    }

    /// Whether the receiver holds the event, or never will: there is no use in sending it again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Outcome::Dropped | Outcome::Failed(_) | Outcome::Late)
    }
}

/// Why an event could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    /// In a sentence.
    pub cause: Box<str>,
    /// Whether it may pass.
    pub lasting: Lasting,
}

/// Whether what keeps an event from being applied may pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// It may or may not: after so many attempts the event is a dead letter.
    Perhaps,
    /// Its type is unknown here, and known once the receiver is as new as the sender: it is tried until then.
    UnknownType,
}

impl Failure {
    /// It can't be applied for this cause, in a sentence.
    pub fn new(cause: impl Into<Box<str>>) -> Self {
        Failure {
            cause: cause.into(),
            lasting: Lasting::Perhaps,
        }
    }

    /// Its CloudEvents type is unknown here.
    pub fn unknown_type(kind: &str) -> Self {
        Failure {
            cause: format!("events of type {kind} are not known here").into(),
            lasting: Lasting::UnknownType,
        }
    }

    /// Names the cause.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.cause)
    }
}

/// How events came, which decides what becomes of one that can't be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A caller waits for the answer: it gets the failure.
    Inline,
    /// Nobody waits: it is parked, and tried again later.
    Background,
}

/// What a receiver's transaction reads and writes besides the service's own rows.
pub trait InboxTables {
    /// Why the transaction can't go on; everything in it is rolled back.
    type Error;

    /// The lanes of a sender's store of which anything was received; of every store, if none is named.
    fn lanes(&mut self, store: Option<StoreId>) -> Result<Vec<Lane>, Self::Error>;
    /// What has been received of `lane`.
    fn inbox(&mut self, lane: Lane) -> Result<Inbox, Self::Error>;
    /// Stores what [`InboxTables::inbox`] gave, changed.
    fn put_inbox(&mut self, lane: Lane, inbox: &Inbox) -> Result<(), Self::Error>;
    /// Keeps what a closed epoch came to.
    fn put_closed(&mut self, source: Source, inbox: &EpochInbox) -> Result<(), Self::Error>;
    /// Counts how an event of a closed epoch ended that was parked until now.
    fn count_late(&mut self, source: Source, ending: Ending) -> Result<(), Self::Error>;
    /// Whether nothing of the lane is parked or dead, and no sweep is under way.
    fn is_at_rest(&mut self, lane: Lane) -> Result<bool, Self::Error>;
    /// How this event stands in the parked table; none if it is not in it.
    fn parked(&mut self, id: EventId) -> Result<Option<Parked>, Self::Error>;
    /// Whether anything of this key is in the parked table, dead letters included.
    fn is_key_parked(&mut self, key: &Key) -> Result<bool, Self::Error>;
    /// Stores an event that could not be applied, or that is a job: then there is no failure.
    fn park(
        &mut self,
        event: &Event,
        failure: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), Self::Error>;
    /// Changes how an event in the parked table stands; after an attempt that failed, also why.
    fn park_again(
        &mut self,
        id: EventId,
        failure: Option<&Failure>,
        parked: Parked,
    ) -> Result<(), Self::Error>;
    /// Remembers, for people, that an event was discarded that nothing newer superseded; tables that need not may leave it.
    fn discarded(&mut self, id: EventId) -> Result<(), Self::Error> {
        let _ = id;
        Ok(())
    }
    /// Takes an event out of the parked table.
    fn unpark(&mut self, id: EventId) -> Result<(), Self::Error>;
    /// Takes at most `limit` events out of it, dead ones included, that a sweep takes; how many it took.
    fn drop_parked(&mut self, sweep: &Sweep, limit: usize) -> Result<u64, Self::Error>;

    /// The sweeps under way: at most one a lane.
    fn sweeping(&mut self) -> Result<Vec<Sweeping>, Self::Error>;
    /// Stores one, in place of its lane's.
    fn put_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), Self::Error>;
    /// One is done.
    fn end_sweeping(&mut self, sweeping: &Sweeping) -> Result<(), Self::Error>;
}

/// The receiving service's own rows, in the transaction that the inbox is in.
pub trait Apply {
    /// Why the transaction can't go on; everything in it is rolled back.
    type Error;

    /// The version that the key's row or tombstone holds.
    fn held(&mut self, key: &Key) -> Result<Option<Version>, Self::Error>;
    /// What is applied next is applied at this moment, for rows that keep it.
    fn applies_at(&mut self, now: Timestamp);
    /// Applies the event, stores its version in its key's row, and says what it decided. A `Failure` has written nothing.
    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Self::Error>;
    /// Whether the event is a job: it is parked as soon as it is received, and applied once its work is done, outside the transaction.
    fn is_job(&mut self, event: &Event) -> bool {
        let _ = event;
        false
    }
    /// What was decided about the event whose version the key's row holds, where the row can still tell.
    fn decided(&mut self, key: &Key) -> Result<Option<Decision>, Self::Error> {
        let _ = key;
        Ok(None)
    }
    /// The keys of at most `limit` of the lane's tombstones up to and including a version.
    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, Self::Error>;
    /// Drops a key's tombstone.
    fn drop_tombstone(&mut self, key: &Key) -> Result<(), Self::Error>;
    /// Looks at up to `limit` rows after the one of `after`, in an order of the service's own, and drops those that a sweep takes,
    /// tombstones included, with all that hangs on them.
    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, Self::Error>;
    /// How the digest of the state has changed since this was last asked: the [`row_hash`](crate::ledger::row_hash) of each row that now
    /// stands, and less that of each that stood, both under the source whose event wrote it. `None` if the service does not keep all
    /// that its sender has, and so can't be compared with it.
    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        None
    }
}

/// A receiver's transaction: the inbox, the service's rows beside it, and what decides over them.
pub struct Receiving<'a, I, A> {
    /// The inbox and the parked table.
    pub inbox: &'a mut I,
    /// The service's own rows.
    pub rows: &'a mut A,
    /// Who receives.
    pub receiver: &'a ReceiverName,
    /// The most runs an inbox keeps; [`Inbox::MAX_RUNS`] outside tests.
    pub max_runs: usize,
    /// The receiver's wall clock.
    pub now: Timestamp,
    /// What becomes of what can't be applied.
    pub delivery: &'a DeliverySettings,
    /// Where this transaction's chance comes from.
    pub seed: u64,
    /// The rules in force.
    pub rules: &'a Rules,
}

impl<I: InboxTables, A: Apply<Error = I::Error>> Receiving<'_, I, A> {
    /// Receives a batch: an outcome for each event, in order.
    ///
    /// # Errors
    /// Those of the tables; then nothing of the batch may be committed.
    pub fn receive<E: Borrow<Event>>(
        &mut self,
        events: &[E],
        arrival: Arrival,
    ) -> Result<Vec<Outcome>, I::Error> {
        let mut inboxes: BTreeMap<Lane, (Inbox, Version)> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events.iter().map(E::borrow) {
            let inbox = match inboxes.entry(event.source.lane) {
                Entry::Occupied(entry) => &mut entry.into_mut().0,
                Entry::Vacant(entry) => {
                    let inbox = self.inbox_of(event.source.lane)?;
                    let complete = inbox.complete_up_to();
                    &mut entry.insert((inbox, complete)).0
                }
            };
            let outcome = match inbox.standing(event, self.max_runs, self.rules) {
                Standing::New => {
                    let outcome = self.first_copy(event, arrival)?;
                    if outcome.is_final() {
                        if let Some(ending) = Ending::of(event, &outcome) {
                            inbox.count(event, ending, false);
                        }
                        inbox.insert(event, self.receiver, self.rules);
                    }
                    outcome
                }
                Standing::Copy | Standing::Closed => self.second_copy(event)?,
                Standing::Gone => Outcome::Refused,
                Standing::OverCap => Outcome::Dropped,
            };
            outcomes.push(outcome);
        }
        let changes = self.rows.state_changes();
        for (inbox, _) in inboxes.values_mut() {
            inbox.state.is_told = changes.is_some();
        }
        for (source, change) in changes.unwrap_or_default() {
            match inboxes.get_mut(&source.lane) {
                Some((inbox, _)) => inbox.state_changed(source.epoch, change),
                None => self.state_changed(source, change)?,
            }
        }
        for (lane, (inbox, _)) in &mut inboxes {
            self.put_inbox(*lane, inbox)?;
        }
        for (lane, (inbox, complete_before)) in &mut inboxes {
            if inbox.sweep.is_some() {
                *inbox = self.inbox.inbox(*lane)?; // another lane's sweep may have closed it
                self.begin_sweep(*lane, inbox)?;
            }
            if inbox.complete_up_to() > *complete_before {
                self.drop_tombstones(*lane, inbox)?;
            }
        }
        Ok(outcomes)
    }

    /// Stores an inbox, and what epochs came to that were just closed.
    pub(crate) fn put_inbox(&mut self, lane: Lane, inbox: &mut Inbox) -> Result<(), I::Error> {
        for (epoch, closed) in std::mem::take(&mut inbox.just_closed) {
            self.inbox.put_closed(lane.source(epoch), &closed)?;
        }
        self.inbox.put_inbox(lane, inbox)
    }

    /// The digest follows the rows, in the same transaction.
    pub(crate) fn rows_changed(&mut self) -> Result<(), I::Error> {
        for (source, change) in self.rows.state_changes().unwrap_or_default() {
            self.state_changed(source, change)?;
        }
        Ok(())
    }

    fn state_changed(&mut self, source: Source, change: RollingHash) -> Result<(), I::Error> {
        let mut inbox = self.inbox.inbox(source.lane)?;
        inbox.state_changed(source.epoch, change);
        self.inbox.put_inbox(source.lane, &inbox)
    }

    /// An event leaves the parked table: it ended.
    fn ended(&mut self, event: &Event, ending: Ending) -> Result<(), I::Error> {
        let lane = event.source.lane;
        let superseded = match event.data() {
            Some(data) if ending == Ending::Discarded => self.is_superseded(event, data)?,
            _ => true,
        };
        self.inbox.unpark(event.id())?;
        if !superseded {
            self.inbox.discarded(event.id())?;
        }
        let mut inbox = self.inbox.inbox(lane)?;
        // The row is not what the sender's is, and is not meant to be.
        inbox.state.discarded += u64::from(!superseded);
        match inbox.count(event, ending, true) {
            true => {}
            false => self.inbox.count_late(event.source, ending)?,
        }
        self.inbox.put_inbox(lane, &inbox)?;
        self.rows_changed()
    }

    fn first_copy(&mut self, event: &Event, arrival: Arrival) -> Result<Outcome, I::Error> {
        let Body::Data(data) = &event.body else {
            return Ok(Outcome::Applied(None));
        };
        if self.rows.is_job(event) {
            return self.park_job(event, data);
        }
        match (self.apply_if_newer(event, data)?, arrival) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(failure), Arrival::Background) if self.rules.holds(Rule::ParkFirstFailure) => {
                let parked = self.delivery().failed(event, &failure, None);
                self.inbox.park(event, Some(&failure), parked)?;
                Ok(stands(parked))
            }
            (Err(failure), _) => Ok(Outcome::Failed(failure)),
        }
    }

    fn is_superseded(&mut self, event: &Event, data: &Data) -> Result<bool, I::Error> {
        let held = self.rows.held(&data.key)?;
        let is_older = held.is_some_and(|held| held >= event.version());
        Ok(is_older && self.rules.holds(Rule::NewestWins))
    }

    fn delivery(&self) -> Delivery<'_> {
        Delivery {
            settings: self.delivery,
            seed: self.seed,
            now: self.now,
            rules: self.rules,
        }
    }

    fn apply_if_newer(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Outcome, Failure>, I::Error> {
        if self.is_superseded(event, data)? {
            return Ok(Ok(Outcome::Superseded));
        }
        self.rows.applies_at(self.now);
        Ok(self.rows.apply(event, data)?.map(Outcome::Applied))
    }

    /// How the first copy stands: the only thing a second copy may be answered with.
    fn second_copy(&mut self, event: &Event) -> Result<Outcome, I::Error> {
        let Some(data) = event.data() else {
            return Ok(Outcome::Applied(None));
        };
        if let Some(parked) = self.inbox.parked(event.id())? {
            let honest = self.rules.holds(Rule::CopyStandsAsFirst);
            return Ok(if honest {
                stands(parked)
            } else {
                Outcome::Applied(None)
            });
        }
        // Without a row it was applied and undone long ago, or is from a store that is gone. Which one
        // can't be told, so no success is claimed.
        Ok(match self.rows.held(&data.key)? {
            Some(held) if held == event.version() => {
                Outcome::Applied(self.rows.decided(&data.key)?)
            }
            Some(held) if held > event.version() => Outcome::Superseded,
            Some(_) | None => Outcome::Refused,
        })
    }

    /// A tombstone is needed while something older of its key may still come: until all before it is received.
    fn drop_tombstones(&mut self, lane: Lane, inbox: &Inbox) -> Result<(), I::Error> {
        /// Bounds the transaction; the rest goes with a later one.
        const AT_ONCE: usize = 256;
        let mut up_to = inbox.complete_up_to();
        if let Some((&newest, above)) = inbox.epochs.last_key_value() {
            let watermark = above.watermark;
            if newest > up_to.epoch && !self.rules.holds(Rule::TombstoneUntilOlderEpochs) {
                up_to = Version {
                    epoch: newest,
                    sequence: watermark,
                };
            }
            if let Some(highest) = above.runs.highest()
                && !self.rules.holds(Rule::TombstoneUntilWatermark)
            {
                up_to = Version {
                    epoch: newest,
                    sequence: highest,
                };
            }
        }
        for key in self.rows.tombstones(lane, up_to, AT_ONCE)? {
            let parked = self.inbox.is_key_parked(&key)?;
            if !(parked && self.rules.holds(Rule::TombstoneWhileParked)) {
                self.rows.drop_tombstone(&key)?;
            }
        }
        Ok(())
    }
}

/// How an event in the parked table is told to stand.
pub(crate) fn stands(parked: Parked) -> Outcome {
    match parked.is_dead() {
        true => Outcome::Dead,
        false => Outcome::Parked,
    }
}

/// What a receiver says of a lane: a receipt for each open epoch, ascending.
///
/// # Errors
/// Those of the tables.
pub fn receipts<I: InboxTables>(
    tables: &mut I,
    lane: Lane,
    receiver: &ReceiverName,
    incarnation: Incarnation,
) -> Result<Vec<Receipt>, I::Error> {
    let inbox = tables.inbox(lane)?;
    let mut receipts = inbox.receipts(lane, receiver, incarnation);
    let compares = inbox.digest().is_some() && inbox.sweep.is_none();
    if !compares || !tables.is_at_rest(lane)? {
        for receipt in &mut receipts {
            receipt.digest = None;
        }
    }
    Ok(receipts)
}
