//! Accepting: one transaction writes the row and its event; and compensating, which takes a failed call's write back.

use crate::calls::Calls;
use crate::event::{Body, Data, Event, EventId, Key, RollingHash, TraceContext};
use crate::outbox::{self, OutboxTables};
use crate::resync;
use crate::rules::{Rule, Rules};
use crate::sequence::{Source, Version};
use crate::settings::Generation;
use crate::time::{Moment, Timestamp};

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
    /// The trace that it happens in.
    pub trace: &'a TraceContext,
    /// The Channel's generation that it happens under.
    pub generation: Generation,
}

/// Some keys and what their rows hold.
pub type Page<V> = Vec<(Key, Row<V>)>;

/// The service's own rows, in the transaction that the outbox is in.
pub trait Rows {
    /// What a row holds.
    type Value: Clone + PartialEq;
    /// Why the transaction can't go on; everything in it is rolled back.
    type Error;

    /// The row of a key, also if it was undone and that isn't settled.
    fn row(&mut self, key: &Key) -> Result<Option<Row<Self::Value>>, Self::Error>;
    /// Writes the row, and says what its event tells.
    fn write(&mut self, key: &Key, write: Write<'_, Self::Value>) -> Result<Data, Self::Error>;
    /// The rows after the one of `after`, in an order of the service's own, undone ones included: at most `limit`, fewer only at the end.
    fn page(&mut self, after: Option<&Key>, limit: usize)
    -> Result<Page<Self::Value>, Self::Error>;
    /// What an event tells that tells a row's value anew, which restores it and notifies nobody. The row is not written.
    fn announce(&mut self, key: &Key, value: &Self::Value) -> Result<Data, Self::Error>;
    /// What a value that stands adds to the digest of the state: what [`row_hash`](crate::ledger::row_hash) makes of what receivers
    /// keep of it too.
    fn hash(&self, key: &Key, value: &Self::Value) -> RollingHash;
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
    /// The caller waits until the deadline, and a failure takes the write back.
    Inline {
        /// When the caller is told that it failed.
        deadline: Moment,
    },
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

/// A sender's transaction: the outbox, the service's rows beside it, and what decides over them.
pub struct Accepting<'a, O, R, T = ()> {
    /// The outbox.
    pub outbox: &'a mut O,
    /// The service's own rows.
    pub rows: &'a mut R,
    /// The calls under way in this process.
    pub calls: &'a mut Calls<T>,
    /// When this happens: the event's time.
    pub at: Timestamp,
    /// The rules in force.
    pub rules: &'a Rules,
}

/// A call that failed, to be taken back.
#[derive(Clone, Debug)]
pub struct Failed<V> {
    /// The event that it wrote, which names it.
    pub call: EventId,
    /// Of which key.
    pub key: Key,
    /// What the row held before: [`Accepted::Written`]'s.
    pub before: Option<V>,
    /// The call's trace.
    pub trace: TraceContext,
    /// The Channel's generation now.
    pub generation: Generation,
}

/// What became of a compensation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compensated {
    /// The write was taken back, by this event.
    Undone(EventId),
    /// A later write built on it, it was received, or a resync tells it anew: it stands.
    Stands,
}

impl<O: OutboxTables, R: Rows<Error = O::Error>, T: Default> Accepting<'_, O, R, T> {
    /// Accepts a request. An inline one is registered in `calls`, under its event's name.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn accept(&mut self, request: &Request<R::Value>) -> Result<Accepted<R::Value>, O::Error> {
        let row = self.rows.row(&request.key)?;
        if let Some(accepted) = self.without_writing(request, row.as_ref())? {
            return Ok(accepted);
        }
        let write = |version, at| Write {
            value: request.value.as_ref(),
            version,
            provisional: matches!(request.dispatch, Dispatch::Inline { .. }),
            restores: false,
            at,
            trace: &request.trace,
            generation: request.generation,
        };
        let id = self.append(
            &request.key,
            row.as_ref(),
            write,
            request.dispatch,
            &request.trace,
            request.generation,
        )?;
        if matches!(request.dispatch, Dispatch::Inline { .. }) {
            let does = request.value.is_some();
            self.calls.begin(id, request.key.clone(), does);
        }
        let before = row.and_then(|row| row.value);
        Ok(Accepted::Written { id, before })
    }

    /// What can be answered from what stands: the row is as wanted and settled, or a call under way writes the same.
    fn without_writing(
        &mut self,
        request: &Request<R::Value>,
        row: Option<&Row<R::Value>>,
    ) -> Result<Option<Accepted<R::Value>>, O::Error> {
        let does = request.value.is_some();
        let Some(row) = row else {
            return Ok((!does).then_some(Accepted::Unchanged { last: None }));
        };
        if row.value != request.value {
            let older = self.calls.equal_but_older(&request.key, does);
            let joins = older.filter(|_| !self.rules.holds(Rule::JoinCurrentVersion));
            return Ok(joins.map(Accepted::Joined));
        }
        let partition = request.key.partition(self.outbox.partitions()?);
        let source = outbox::lane(self.outbox, partition)?.source(row.version.epoch);
        let id = EventId {
            source,
            sequence: row.version.sequence,
        };
        let received = outbox::received_by_all(self.outbox, source, id.sequence, self.rules)?;
        let unchanged = Accepted::Unchanged {
            last: Some((id, received)),
        };
        if received || !row.provisional {
            self.calls.settle(id);
            return Ok(Some(unchanged));
        }
        // Who does not wait for the receivers does not wait for another's call either: the row is made its own.
        if request.dispatch == Dispatch::Background && self.rules.holds(Rule::BackgroundJoinsNone) {
            return Ok(None);
        }
        if !does && !self.rules.holds(Rule::UndoJoins) {
            return Ok(Some(unchanged));
        }
        if self.calls.has_failed(id) && !self.rules.holds(Rule::JoinUntilCompensated) {
            return Ok(Some(unchanged));
        }
        if self.calls.is_known(id) {
            return Ok(Some(Accepted::Joined(id)));
        }
        let anew = self.rules.holds(Rule::WriteAnewIfUnsettled);
        Ok((!anew).then_some(unchanged))
    }

    /// Takes a failed call's write back, if the row still is as the call wrote it and no receipt covers its event.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed, and the call's outcome is unknown.
    pub fn compensate(&mut self, failed: &Failed<R::Value>) -> Result<Compensated, O::Error> {
        let EventId { source, sequence } = failed.call;
        let row = self.rows.row(&failed.key)?;
        let own = row
            .as_ref()
            .is_some_and(|row| row.version == source.version(sequence));
        if !own && self.rules.holds(Rule::CompensateOwnVersion) {
            return Ok(Compensated::Stands);
        }
        if resync::overtook(self.outbox, source)?.is_some()
            && self.rules.holds(Rule::ResyncKeepsCalls)
        {
            return Ok(Compensated::Stands);
        }
        // What only a run had said is void once the receiver restarts, and may have been told to a caller before that.
        let received = self.calls.is_settled(failed.call)
            || outbox::received_by_all(self.outbox, source, sequence, self.rules)?;
        if received && self.rules.holds(Rule::CompensateUnreceived) {
            return Ok(Compensated::Stands);
        }
        let write = |version, at| Write {
            value: failed.before.as_ref(),
            version,
            provisional: false,
            restores: true,
            at,
            trace: &failed.trace,
            generation: failed.generation,
        };
        let Failed {
            key,
            trace,
            generation,
            ..
        } = failed;
        let row = row.as_ref();
        self.append(key, row, write, Dispatch::Background, trace, *generation)
            .map(Compensated::Undone)
    }

    /// Numbers the next event of the key's partition, writes the row and puts the event into the outbox.
    fn append<'v>(
        &mut self,
        key: &Key,
        before: Option<&Row<R::Value>>,
        write: impl FnOnce(Version, Timestamp) -> Write<'v, R::Value>,
        dispatch: Dispatch,
        trace: &TraceContext,
        generation: Generation,
    ) -> Result<EventId, O::Error>
    where
        R::Value: 'v,
    {
        let partition = key.partition(self.outbox.partitions()?);
        let EventId { source, sequence } = outbox::next(self.outbox, partition)?;
        let write = write(source.version(sequence), self.at);
        let value = write.value;
        let data = self.rows.write(key, write)?;
        let event = Event {
            source,
            sequence,
            time: self.at,
            body: Body::Data(data),
            trace: trace.clone(),
            generation,
        };
        self.outbox.append(event, dispatch)?;
        self.state_changed(key, before, value, source)?;
        let id = EventId { source, sequence };
        // A transaction that was rolled back gives its numbers back: what it began under this one never was.
        self.calls.end(id);
        Ok(id)
    }

    /// The digest follows the row, in the same transaction.
    fn state_changed(
        &mut self,
        key: &Key,
        before: Option<&Row<R::Value>>,
        value: Option<&R::Value>,
        source: Source,
    ) -> Result<(), O::Error> {
        if let Some(before) = before
            && let Some(value) = &before.value
        {
            let hash = RollingHash::default() - self.rows.hash(key, value);
            let wrote = source.lane.source(before.version.epoch);
            self.outbox.add_to_digest(wrote, hash)?;
        }
        if let Some(value) = value {
            let hash = self.rows.hash(key, value);
            self.outbox.add_to_digest(source, hash)?;
        }
        Ok(())
    }
}
