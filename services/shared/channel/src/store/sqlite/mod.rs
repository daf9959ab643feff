//! The embedded store: one SQLite file, one thread that writes, a few connections that read beside it.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | opening: the settings that make it durable, identity, the new epoch |
//! | `options` | with what |
//! | `lock` | one process a store |
//! | `log_writes` | what goes to the log goes there in few writes |
//! | `schema` | the tables, and how an older file gets them |
//! | `checkpoint` | the log is copied into the file beside the writer |
//! | `writer` | the thread that groups jobs into commits |
//! | `transaction` | what a job sees, and what the writer keeps in memory between jobs |
//! | `outbox`, `inbox` | the protocol's tables over those of SQLite |
//! | `ledger` | what is counted beside them, and the digests of the state |
//! | `digests` | those of a store from before there were any |
//! | `parked` | what could not be applied, and jobs: as the protocol changes them |
//! | `letters` | the same, as they are listed and redriven |
//! | `standing` | how the outbox stands, as read beside the writer |
//! | `readers` | the threads that read |
//! | `resync`, `sweep` | the last resync at a sender, sweeps under way at a receiver |
//! | `file` | a file that no process has open, read |
//! | `codec` | how events and runs are kept in columns |
//! | `column` | what a service reads from a column |
//! | `documents` | the rows of a sending service, if it has no tables of its own |
//! | `generations` | which Channel was in force when |
//! | `life` | what the tables tell of the life of a key's events |
//! | `audit` | reads all of it, and whether it agrees with itself |
//! | `savepoint` | what a service wraps an apply in that may fail half-way |
//! | `versions` | the versions of a receiving service's keys, if it keeps none itself |

pub mod audit;
mod checkpoint;
mod codec;
mod column;
mod digests;
pub mod documents;
mod error;
pub mod file;
pub mod generations;
mod inbox;
mod ledger;
mod letters;
pub mod life;
mod lock;
mod log_writes;
mod open;
mod options;
mod outbox;
mod parked;
mod readers;
mod resync;
mod savepoint;
mod schema;
mod standing;
mod sweep;
#[cfg(test)]
mod tests;
mod transaction;
pub mod versions;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::{Event, EventId};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::resync::{Resync, Stage};
use duet_protocol::sequence::{Sequence, Source};
use duet_protocol::sweep::Sweeping;
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{Counts, Identity, Oldest, OutboxStanding, Store, StoreError};
use crate::dead_letters::{Cause, Cursor, Filter, Page, Redrive};
use crate::transport::Position;

pub use column::checked;
pub use open::OpenError;
pub use options::{Options, Outbox};
pub use savepoint::in_savepoint;
pub use transaction::{SqliteTx, WriteBehind};

/// An open store. Its clones are the same store.
///
/// The writer's and the readers' threads end at [`Store::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct SqliteStore(Arc<Open>);

struct Open {
    identity: Identity,
    parked_limit: u64,
    writer: writer::Writer,
    readers: readers::Readers,
}

impl Store for SqliteStore {
    type Connection = Connection;
    type Tx<'t> = SqliteTx<'t>;

    fn identity(&self) -> Identity {
        self.0.identity
    }

    async fn write<R, J>(&self, job: J) -> Result<R, StoreError>
    where
        R: Send + 'static,
        J: for<'t> FnMut(&mut SqliteTx<'t>) -> Result<R, StoreError> + Send + 'static,
    {
        self.0.writer.write(job).await
    }

    async fn read<R, J>(&self, job: J) -> Result<R, StoreError>
    where
        R: Send + 'static,
        J: FnOnce(&Connection) -> Result<R, StoreError> + Send + 'static,
    {
        self.0.readers.read(job).await
    }

    async fn outbox(&self) -> Result<OutboxStanding, StoreError> {
        let identity = self.0.identity;
        self.read(move |connection| standing::outbox(connection, identity))
            .await
    }

    async fn events(
        &self,
        source: Source,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let identity = self.0.identity;
        self.read(move |connection| standing::events(connection, identity, source, after, limit))
            .await
    }

    async fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        self.read(standing::oldest).await
    }

    async fn oldest_of_each(&self) -> Result<Vec<(ReceiverName, Timestamp)>, StoreError> {
        let identity = self.0.identity;
        self.read(move |connection| standing::oldest_of_each(connection, identity))
            .await
    }

    async fn due(
        &self,
        now: Timestamp,
        longest: Duration,
        limit: usize,
    ) -> Result<(Vec<Event>, Option<Timestamp>), StoreError> {
        self.read(move |connection| parked::due(connection, now, longest, limit))
            .await
    }

    async fn due_jobs(
        &self,
        now: Timestamp,
        longest: Duration,
        limit: usize,
    ) -> Result<(Vec<Event>, Option<Timestamp>), StoreError> {
        self.read(move |connection| parked::due_jobs(connection, now, longest, limit))
            .await
    }

    async fn letters(
        &self,
        filter: Filter,
        after: Cursor,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(move |connection| letters::page(connection, &filter, after, None, limit))
            .await
    }

    async fn causes(&self, filter: Filter) -> Result<Vec<Cause>, StoreError> {
        self.read(move |connection| letters::causes(connection, &filter))
            .await
    }

    async fn redrive(&self) -> Result<Option<Redrive>, StoreError> {
        self.read(letters::redrive).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let (identity, parked_limit) = (self.0.identity, self.0.parked_limit);
        self.read(move |connection| {
            let (parked, dead) = parked::counts(connection)?;
            Ok(Counts {
                unacknowledged: standing::unacknowledged(connection, identity)?,
                parked,
                dead,
                parked_limit,
                undecodable: inbox::undecodable(connection)?,
            })
        })
        .await
    }

    async fn receivers_of(
        &self,
        event: EventId,
    ) -> Result<Option<Vec<(ReceiverName, bool)>>, StoreError> {
        let identity = self.0.identity;
        self.read(move |connection| standing::receivers_of(connection, identity, event))
            .await
    }

    async fn is_done(&self, event: EventId) -> Result<bool, StoreError> {
        self.read(move |connection| inbox::is_done(connection, event))
            .await
    }

    async fn resync(&self) -> Result<Option<(Resync, Stage)>, StoreError> {
        let identity = self.0.identity;
        self.read(move |connection| resync::standing(connection, identity))
            .await
    }

    async fn sweeping(&self) -> Result<Vec<Sweeping>, StoreError> {
        self.read(sweep::sweeping).await
    }

    async fn position(&self, path: &str) -> Result<Option<Position>, StoreError> {
        let path = path.to_owned();
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached("SELECT position FROM positions WHERE path = ?1")?;
            let position: Option<Vec<u8>> =
                select.query_row([path], |row| row.get(0)).optional()?;
            Ok(position.map(|bytes| Position(bytes.into())))
        })
        .await
    }

    async fn close(&self) {
        self.0.readers.close().await;
        // Last: its connection is then the file's only one, and leaves it whole, without a log beside it.
        self.0.writer.close().await;
    }
}
