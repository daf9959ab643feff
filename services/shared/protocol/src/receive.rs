//! Receiving: one transaction checks the inbox and applies each event, or parks it. A second copy changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Body, Data, Event, EventId, Key};
use crate::inbox::{Inbox, Standing};
use crate::rules::{Rule, Rules};
use crate::sequence::{Lane, Version};
use crate::time::Timestamp;

/// What became of one event at a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is stored.
    Applied,
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
        matches!(self, Outcome::Applied | Outcome::Superseded)
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
}

/// How events came, which decides what becomes of one that can't be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A caller waits for the answer: it gets the failure.
    Inline,
    /// Nobody waits: it is parked, and tried again after this long.
    Background {
        /// The wait before the next attempt.
        retry: Duration,
    },
}

/// What a receiver's transaction reads and writes: the inbox, the parked table, and the service's own rows.
pub trait ReceiverTables {
    /// Why the transaction can't go on; everything in it is rolled back.
    type Error;

    /// What has been received of `lane`.
    fn inbox(&mut self, lane: Lane) -> Result<Inbox, Self::Error>;
    /// Stores what [`ReceiverTables::inbox`] gave, changed.
    fn put_inbox(&mut self, lane: Lane, inbox: &Inbox) -> Result<(), Self::Error>;
    /// Whether this event is in the parked table, and how: [`Outcome::Parked`] or [`Outcome::Dead`].
    fn parked(&mut self, id: EventId) -> Result<Option<Outcome>, Self::Error>;
    /// Stores an event that could not be applied.
    fn park(&mut self, event: &Event, failure: &Failure, next_attempt: Timestamp) -> Result<(), Self::Error>;
    /// Changes when a parked event is tried again, and counts the attempt.
    fn park_again(&mut self, id: EventId, failure: &Failure, next_attempt: Timestamp) -> Result<(), Self::Error>;
    /// Takes an event out of the parked table.
    fn unpark(&mut self, id: EventId) -> Result<(), Self::Error>;

    /// The version that the key's row or tombstone holds.
    fn held(&mut self, key: &Key) -> Result<Option<Version>, Self::Error>;
    /// Applies the event and stores its version in its key's row. A `Failure` has written nothing.
    fn apply(&mut self, event: &Event, data: &Data) -> Result<Result<(), Failure>, Self::Error>;
    /// Drops the lane's tombstones up to and including a version; if `spare_parked`, but those of a key with something parked.
    fn drop_tombstones(&mut self, lane: Lane, up_to: Version, spare_parked: bool) -> Result<(), Self::Error>;
}

/// Receives a batch: an outcome for each event, in order. `now` is stored with what is parked.
///
/// # Errors
/// Those of the tables; then nothing of the batch may be committed.
pub fn receive<T: ReceiverTables>(
    tables: &mut T,
    events: &[Event],
    arrival: Arrival,
    max_runs: usize,
    now: Timestamp,
    rules: &Rules,
) -> Result<Vec<Outcome>, T::Error> {
    let mut inboxes: BTreeMap<Lane, (Inbox, Version)> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(events.len());
    for event in events {
        let lane = event.source.lane;
        let inbox = match inboxes.entry(lane) {
            std::collections::btree_map::Entry::Occupied(entry) => &mut entry.into_mut().0,
            std::collections::btree_map::Entry::Vacant(entry) => {
                let inbox = tables.inbox(lane)?;
                let complete = inbox.complete_up_to();
                &mut entry.insert((inbox, complete)).0
            }
        };
        let outcome = match inbox.standing(event, max_runs, rules) {
            Standing::New => first_copy(tables, event, arrival, now, rules)?,
            Standing::Copy | Standing::Closed => second_copy(tables, event, rules)?,
            Standing::Gone => Outcome::Refused,
            Standing::OverCap => Outcome::Dropped,
        };
        if matches!(outcome, Outcome::Applied | Outcome::Superseded | Outcome::Parked) && event.source.epoch >= inbox.floor {
            let held = inbox.epochs.get(&event.source.epoch).is_some_and(|known| known.holds(event.sequence));
            if !held {
                inbox.insert(event);
            }
        }
        outcomes.push(outcome);
    }
    for (lane, (inbox, complete_before)) in &inboxes {
        tables.put_inbox(*lane, inbox)?;
        let complete = inbox.complete_up_to();
        if complete > *complete_before {
            drop_tombstones(tables, *lane, inbox, complete, rules)?;
        }
    }
    Ok(outcomes)
}

fn first_copy<T: ReceiverTables>(tables: &mut T, event: &Event, arrival: Arrival, now: Timestamp, rules: &Rules) -> Result<Outcome, T::Error> {
    let data = match &event.body {
        Body::Opened { .. } => return Ok(Outcome::Applied),
        Body::Data(data) => data,
    };
    match apply_if_newer(tables, event, data, rules)? {
        Ok(outcome) => Ok(outcome),
        Err(failure) => match arrival {
            Arrival::Background { retry } if rules.holds(Rule::ParkFirstFailure) => {
                tables.park(event, &failure, now + retry)?;
                Ok(Outcome::Parked)
            }
            Arrival::Background { .. } | Arrival::Inline => Ok(Outcome::Failed(failure)),
        },
    }
}

fn apply_if_newer<T: ReceiverTables>(tables: &mut T, event: &Event, data: &Data, rules: &Rules) -> Result<Result<Outcome, Failure>, T::Error> {
    let superseded = tables.held(&data.key)?.is_some_and(|held| held >= event.version());
    if superseded && rules.holds(Rule::NewestWins) {
        return Ok(Ok(Outcome::Superseded));
    }
    Ok(tables.apply(event, data)?.map(|()| Outcome::Applied))
}

/// How the first copy stands: the only thing a second copy may be answered with.
fn second_copy<T: ReceiverTables>(tables: &mut T, event: &Event, rules: &Rules) -> Result<Outcome, T::Error> {
    let Some(data) = event.data() else { return Ok(Outcome::Applied) };
    if let Some(parked) = tables.parked(event.id())? {
        return Ok(if rules.holds(Rule::CopyStandsAsFirst) { parked } else { Outcome::Applied });
    }
    // Without a row it was applied and undone long ago, or is from a store that is gone: which one can't be told, so no success is claimed.
    Ok(match tables.held(&data.key)? {
        Some(held) if held == event.version() => Outcome::Applied,
        Some(held) if held > event.version() => Outcome::Superseded,
        Some(_) | None => Outcome::Refused,
    })
}

fn drop_tombstones<T: ReceiverTables>(tables: &mut T, lane: Lane, inbox: &Inbox, complete: Version, rules: &Rules) -> Result<(), T::Error> {
    let mut up_to = complete;
    if let Some((&newest, above)) = inbox.epochs.last_key_value() {
        if newest > complete.epoch && !rules.holds(Rule::TombstoneUntilOlderEpochs) {
            up_to = Version { epoch: newest, sequence: above.watermark };
        }
        if !above.runs.is_empty() && !rules.holds(Rule::TombstoneUntilWatermark) {
            up_to = Version { epoch: newest, sequence: above.runs.highest().unwrap_or_default() };
        }
    }
    tables.drop_tombstones(lane, up_to, rules.holds(Rule::TombstoneWhileParked))
}

/// Tries a parked event once more. What is stored newer in the meantime supersedes it.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn retry_parked<T: ReceiverTables>(tables: &mut T, event: &Event, retry: Duration, now: Timestamp, rules: &Rules) -> Result<Outcome, T::Error> {
    let Some(data) = event.data() else {
        tables.unpark(event.id())?;
        return Ok(Outcome::Applied);
    };
    match apply_if_newer(tables, event, data, rules)? {
        Ok(outcome) => {
            tables.unpark(event.id())?;
            Ok(outcome)
        }
        Err(failure) => {
            tables.park_again(event.id(), &failure, now + retry)?;
            Ok(Outcome::Parked)
        }
    }
}
