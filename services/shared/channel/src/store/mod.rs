//! The store seam: one trait, durable tables for outbox and inbox, and transactions that the service's own statements join.
//!
//! A store runs jobs. A job is a function over a transaction; the store groups the jobs that wait, commits them at once, and only
//! then answers each. [`conformance`] is the suite that every store passes; [`sqlite`] is the embedded one.

pub mod conformance;
pub mod sqlite;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Event, EventId};
use duet_protocol::membership::Changed;
use duet_protocol::outbox::{EpochState, Mark, OutboxTables};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::InboxTables;
use duet_protocol::resync::{Resync, Stage};
use duet_protocol::sequence::{Incarnation, Sequence, Source, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::sweep::Sweeping;
use duet_protocol::time::Timestamp;

use crate::dead_letters::{Cause, Cursor, Filter, Page, Redrive};
use crate::transport::{Position, Undecodable};

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The transaction was not committed: nothing of it is durable.
    #[error("the store did not commit: {0}")]
    NotCommitted(Arc<str>),
    /// The commit itself failed: whether it is durable is not known.
    #[error("the store can't tell whether it committed: {0}")]
    Unknown(Arc<str>),
    /// What was read can't be what this version wrote.
    #[error("the store holds what this version can't read: {0}")]
    Corrupt(Arc<str>),
    /// As many events are parked as may be. Nothing was done; there is room once some are applied, redriven or discarded.
    #[error("the parked table is full")]
    ParkedFull,
    /// Too many jobs wait. Nothing was done; try again later.
    #[error("the store has too much to do")]
    Overloaded,
    /// The store is closed. Nothing was done.
    #[error("the store is closed")]
    Closed,
}

/// An open transaction: the protocol's tables, and beside them what the service's own statements run on.
pub trait Transaction<'t>:
    OutboxTables<Error = StoreError> + InboxTables<Error = StoreError>
{
    /// What the service's own statements run on.
    type Connection;

    /// The connection, inside this transaction. It is borrowed from the store, not from the transaction, so that the service's
    /// rows and the protocol's tables can be used side by side.
    fn connection(&self) -> &'t Self::Connection;

    /// Keeps a message of `path` that could not be decoded, under its place; once, however often it comes.
    fn put_undecodable(&mut self, path: &str, undecodable: &Undecodable) -> Result<(), StoreError>;

    /// Remembers how far the consumer of `path` has come, in the transaction that applied it.
    fn put_position(&mut self, path: &str, position: &Position) -> Result<(), StoreError>;

    /// Does `work`, and takes back what it wrote.
    fn rolled_back<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, StoreError>,
    ) -> Result<R, StoreError>;

    /// The letters that match after a place and up to another, at most `limit`, in the order in which they were parked.
    fn letters(
        &mut self,
        filter: &Filter,
        after: Cursor,
        up_to: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// How many letters match.
    fn matching(&mut self, filter: &Filter) -> Result<u64, StoreError>;

    /// How many events the parked table has, dead letters and jobs among them. Costs nothing where it was asked before.
    fn parked_rows(&mut self) -> Result<u64, StoreError>;

    /// The place of the letter that was parked last.
    fn newest_letter(&mut self) -> Result<Cursor, StoreError>;

    /// The redrive that was begun last.
    fn redrive(&mut self) -> Result<Option<Redrive>, StoreError>;

    /// Keeps a redrive, in the place of the one before.
    fn put_redrive(&mut self, redrive: &Redrive) -> Result<(), StoreError>;
}

/// An event that was just committed, and how it is to be dispatched.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The event.
    pub event: Arc<Event>,
    /// How it goes on.
    pub dispatch: Dispatch,
}

/// What one commit brought, in order.
#[derive(Clone, Debug)]
pub struct CommittedGroup {
    /// The events that were put into the outbox.
    pub events: Vec<Committed>,
    /// Who joined and left: each before the event at this place, and after those before it.
    pub changes: Vec<(usize, Changed)>,
    /// When the transaction began, and when it was durable.
    pub span: (SystemTime, SystemTime),
}

/// Who a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made with the store.
    pub store: StoreId,
    /// Fixed when the store is made.
    pub partitions: u16,
    /// Made anew at this opening, durable before anything else was done.
    pub incarnation: Incarnation,
}

/// How the outbox stands, as read when a sender starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStanding {
    /// Every source with events in the outbox, and each partition's [`HELLO_EPOCHS`](duet_protocol::record::HELLO_EPOCHS) newest, ascending.
    pub sources: Vec<(Source, EpochState)>,
    /// What each receiver said of them.
    pub receivers: Vec<ReceiverStanding>,
    /// The last resync, and how far it is.
    pub resync: Option<(Resync, Stage)>,
}

/// What one receiver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverStanding {
    /// Who.
    pub name: ReceiverName,
    /// The newest incarnation that it spoke under; zero if it never spoke.
    pub incarnation: Incarnation,
    /// The source of each partition that it joined with.
    pub begin: Vec<Source>,
    /// What it holds of each of [`OutboxStanding::sources`], in the same order: all of those before it joined.
    pub marks: Vec<(Source, Mark)>,
}

/// The oldest event in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// When it was accepted.
    pub accepted: Timestamp,
    /// The Channel's generation that it was accepted under: no event in the outbox is of an older one.
    pub generation: Generation,
}

/// How much a store holds that is not yet done with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// For each receiver, the outbox's events that it has not said it holds.
    pub unacknowledged: Vec<(ReceiverName, u64)>,
    /// Events that were received and could not be applied yet, and jobs that are not done.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// The most that both together may be.
    pub parked_limit: u64,
    /// Messages that could not be decoded.
    pub undecodable: u64,
}

/// A durable store: the protocol's tables and the service's own, in one place and one transaction.
///
/// Jobs that are submitted while a commit is under way share the next one: one fsync serves them all. A job that fails is rolled back
/// and answered alone; the others of its group are run again, so a job may run more than once, and has no effect outside the
/// transaction that it can't repeat.
pub trait Store: Clone + Send + Sync + 'static {
    /// What the service's own statements run on.
    type Connection;
    /// A transaction.
    type Tx<'t>: Transaction<'t, Connection = Self::Connection>;

    /// Who this store is.
    fn identity(&self) -> Identity;

    /// Runs a job in a transaction, and returns once it is durable. Jobs run in the order in which they are first polled, and
    /// one that was polled runs even if its caller no longer waits.
    ///
    /// # Errors
    /// [`StoreError`], which says whether anything can be durable.
    fn write<R, J>(&self, job: J) -> impl Future<Output = Result<R, StoreError>> + Send
    where
        R: Send + 'static,
        J: for<'t> FnMut(&mut Self::Tx<'t>) -> Result<R, StoreError> + Send + 'static;

    /// Reads beside the writer, from the last commit.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be read, or too many reads wait.
    fn read<R, J>(&self, job: J) -> impl Future<Output = Result<R, StoreError>> + Send
    where
        R: Send + 'static,
        J: FnOnce(&Self::Connection) -> Result<R, StoreError> + Send + 'static;

    /// How the outbox stands.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn outbox(&self) -> impl Future<Output = Result<OutboxStanding, StoreError>> + Send;

    /// A source's events after `after`, ascending, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn events(
        &self,
        source: Source,
        after: Sequence,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Event>, StoreError>> + Send;

    /// The oldest event in the outbox; `None` if it is empty. Looks at one row for each source.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn oldest(&self) -> impl Future<Output = Result<Option<Oldest>, StoreError>> + Send;

    /// For each receiver that lacks something that was accepted, when the oldest of that was: events that open an epoch are none.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn oldest_of_each(
        &self,
    ) -> impl Future<Output = Result<Vec<(ReceiverName, Timestamp)>, StoreError>> + Send;

    /// The parked events whose next attempt is due, where none waits longer than `longest`
    /// ([`is_retry_due`](duet_protocol::delivery::is_retry_due)): at most `limit`, the longest due first; and when the next one
    /// after them is due. Dead letters are none of them, nor are jobs.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn due(
        &self,
        now: Timestamp,
        longest: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<Event>, Option<Timestamp>), StoreError>> + Send;

    /// The same of jobs; of those that are due and of one key, only the oldest.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn due_jobs(
        &self,
        now: Timestamp,
        longest: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<Event>, Option<Timestamp>), StoreError>> + Send;

    /// The letters that match after a place, at most `limit`, in the order in which they were parked.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn letters(
        &self,
        filter: Filter,
        after: Cursor,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// The causes of the letters that match, those of most letters first: at most 100.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn causes(&self, filter: Filter)
    -> impl Future<Output = Result<Vec<Cause>, StoreError>> + Send;

    /// The redrive that was begun last.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn redrive(&self) -> impl Future<Output = Result<Option<Redrive>, StoreError>> + Send;

    /// How much the store holds that is not yet done with. It scans what it counts: for status, not for every request.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Whether an event of this store is known to be held, by each receiver; `None` if it never was accepted here.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn receivers_of(
        &self,
        event: EventId,
    ) -> impl Future<Output = Result<Option<Vec<(ReceiverName, bool)>>, StoreError>> + Send;

    /// Whether an event was received here and is not parked.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn is_done(&self, event: EventId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The last resync of the outbox, and how far it is; `None` if there never was one.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn resync(&self) -> impl Future<Output = Result<Option<(Resync, Stage)>, StoreError>> + Send;

    /// The sweeps under way here, as a receiver's.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn sweeping(&self) -> impl Future<Output = Result<Vec<Sweeping>, StoreError>> + Send;

    /// How far the consumer of `path` had come when it was last committed.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn position(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;

    /// Finishes what waits, and closes: once it returns, the store can be opened again. What is submitted afterwards is [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = ()> + Send;
}
