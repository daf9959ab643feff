//! Accepting: one transaction writes the row and its event; and compensating, which takes a failed call's write back.

use crate::calls::Calls;
use crate::event::{Body, Data, Event, EventId, Key, TraceContext};
use crate::outbox::{self, OutboxTables};
use crate::rules::{Rule, Rules};
use crate::sequence::{Sequence, Source, Version};
use crate::settings::Generation;
use crate::time::Timestamp;

/// What the row of a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<V> {
    /// The value; `None` once it is undone.
    pub value: Option<V>,
    /// The event that wrote it.
    pub version: Version,
    /// Written by a call that takes it back if it fails. Unsettled until a receipt covers that event.
    pub provisional: bool,
}

/// What is written to a key's row.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a, V> {
    /// The value; `None` undoes it.
    pub value: Option<&'a V>,
    /// The event that writes it.
    pub version: Version,
    /// See [`Row::provisional`].
    pub provisional: bool,
    /// A compensation: it restores what was there before, and notifies nobody anew.
    pub restores: bool,
    /// When.
    pub at: Timestamp,
}

/// The service's own rows, in the transaction that the outbox is in.
pub trait Rows: OutboxTables {
    /// What a row holds.
    type Value: Clone + PartialEq;

    /// The row of a key, also if it was undone and that isn't settled.
    fn row(&mut self, key: &Key) -> Result<Option<Row<Self::Value>>, Self::Error>;
    /// Writes the row, and says what its event tells.
    fn write(&mut self, key: &Key, write: Write<'_, Self::Value>) -> Result<Data, Self::Error>;
}

/// What a caller wants of a key.
#[derive(Clone, Debug)]
pub struct Request<V> {
    /// Which row.
    pub key: Key,
    /// Its value to be; `None` to undo it.
    pub value: Option<V>,
    /// How it is to be dispatched.
    pub dispatch: Dispatch,
    /// The trace it came in.
    pub trace: TraceContext,
    /// The Channel's generation that decided the dispatch.
    pub generation: Generation,
}

/// How an accepted event goes to the receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// The caller waits, and a failure takes the write back.
    Inline,
    /// In the background.
    Background,
}

/// What accepting did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted<V> {
    /// The row was as wanted and is settled: no event was written.
    Unchanged {
        /// The event that wrote the row, if any is known, and whether every receiver holds it.
        last: Option<(EventId, bool)>,
    },
    /// A call under way wrote the very same: its outcome is this one's too.
    Joined(EventId),
    /// A row and an event were written.
    Written {
        /// The event's name.
        id: EventId,
        /// What the row held before: what a compensation restores.
        before: Option<V>,
    },
}

/// Accepts a request, in the accepting transaction. An inline one is registered in `calls`, under its event's name.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn accept<T: Rows>(tables: &mut T, request: &Request<T::Value>, calls: &mut Calls, at: Timestamp, rules: &Rules) -> Result<Accepted<T::Value>, T::Error> {
    let partition = request.key.partition(tables.partitions()?);
    let lane = outbox::lane(tables, partition)?;
    let row = tables.row(&request.key)?;
    if let Some(row) = &row
        && row.value == request.value
    {
        let id = EventId { source: lane.source(row.version.epoch), sequence: row.version.sequence };
        let received = outbox::received_by_all(tables, id.source, id.sequence)?;
        if received || !row.provisional {
            return Ok(Accepted::Unchanged { last: Some((id, received)) });
        }
        let may_join = row.value.is_some() || rules.holds(Rule::UndoJoins);
        if calls.is_known(id) && may_join {
            return Ok(Accepted::Joined(id));
        }
        if !may_join || !rules.holds(Rule::WriteAnewIfUnsettled) {
            return Ok(Accepted::Unchanged { last: Some((id, received)) });
        }
    } else if row.is_none() && request.value.is_none() {
        return Ok(Accepted::Unchanged { last: None });
    } else if let Some(id) = calls.equal_but_older(&request.key, request.value.is_some())
        && !rules.holds(Rule::JoinCurrentVersion)
    {
        return Ok(Accepted::Joined(id));
    }
    let before = row.and_then(|row| row.value);
    let provisional = request.dispatch == Dispatch::Inline;
    let write = |version| Write { value: request.value.as_ref(), version, provisional, restores: false, at };
    let id = append(tables, &request.key, write, &request.trace, request.generation)?;
    if provisional {
        calls.begin(id, request.key.clone(), request.value.is_some());
    }
    Ok(Accepted::Written { id, before })
}

/// What became of a compensation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compensated {
    /// The write was taken back, by this event.
    Undone(EventId),
    /// A later write built on it, or it was received: it stands.
    Stands,
}

/// Takes a failed call's write back, if the row still is as the call wrote it and no receipt covers its event.
///
/// # Errors
/// Those of the tables; then nothing may be committed, and the call's outcome is unknown.
pub fn compensate<T: Rows>(
    tables: &mut T,
    call: EventId,
    key: &Key,
    before: Option<&T::Value>,
    trace: &TraceContext,
    generation: Generation,
    at: Timestamp,
    rules: &Rules,
) -> Result<Compensated, T::Error> {
    let own = tables.row(key)?.is_some_and(|row| row.version == call.source.version(call.sequence));
    if !own && rules.holds(Rule::CompensateOwnVersion) {
        return Ok(Compensated::Stands);
    }
    if outbox::received_by_all(tables, call.source, call.sequence)? && rules.holds(Rule::CompensateUnreceived) {
        return Ok(Compensated::Stands);
    }
    let write = |version| Write { value: before, version, provisional: false, restores: true, at };
    append(tables, key, write, trace, generation).map(Compensated::Undone)
}

/// Numbers the next event of the key's partition, writes the row and puts the event into the outbox.
fn append<'a, T: Rows>(
    tables: &mut T,
    key: &Key,
    write: impl FnOnce(Version) -> Write<'a, T::Value>,
    trace: &TraceContext,
    generation: Generation,
) -> Result<EventId, T::Error>
where
    T::Value: 'a,
{
    let (source, sequence) = next(tables, key)?;
    let write = write(source.version(sequence));
    let time = write.at;
    let data = tables.write(key, write)?;
    tables.append(Event { source, sequence, time, body: Body::Data(data), trace: trace.clone(), generation })?;
    Ok(EventId { source, sequence })
}

fn next<T: OutboxTables>(tables: &mut T, key: &Key) -> Result<(Source, Sequence), T::Error> {
    let partition = key.partition(tables.partitions()?);
    let lane = outbox::lane(tables, partition)?;
    let source = lane.source(tables.head(partition)?.unwrap_or_default());
    let last = tables.epoch(source)?.unwrap_or_default().last;
    Ok((source, last.next()))
}
