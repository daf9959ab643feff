//! What a job sees, and what the writer keeps in memory between jobs.
//!
//! Heads, epochs and inboxes are written back: they change in memory, event by event, and their rows are written once, before the
//! group is committed. Whatever is rolled back is dropped here too, and read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use duet_protocol::accept::Dispatch;
use duet_protocol::event::Event;
use duet_protocol::membership::Changed;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Epoch, Partition};
use rusqlite::{Connection, params};

use super::{codec, inbox, letters, outbox, parked, resync, savepoint};
use crate::clock::Clock;
use crate::dead_letters::{Cursor, Filter, Page, Redrive};
use crate::store::{Committed, Identity, StoreError, Transaction};
use crate::transport::{Position, Undecodable};

/// A transaction in SQLite.
pub struct SqliteTx<'t> {
    pub(super) connection: &'t Connection,
    pub(super) memory: &'t mut Memory,
}

/// What a service changes in memory, job by job, and writes once before their group is committed: sums that many jobs change, say.
/// See [`SqliteTx::write_behind`].
pub trait WriteBehind: Send + Sync + 'static {
    /// Writes what is only in memory yet.
    ///
    /// # Errors
    /// Those of the store; then what the group wrote is rolled back.
    fn write_back(&self, connection: &Connection) -> Result<(), StoreError>;
    /// What was written since the last commit is rolled back: what is known may rest on it.
    fn rolled_back(&self);
}

/// What the writer knows without asking SQLite.
pub(super) struct Memory {
    pub(super) identity: Identity,
    /// The Channel's receivers; `None` until they are read.
    pub(super) receivers: Option<Vec<Receiver>>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) outbox: outbox::Memory,
    pub(super) inbox: inbox::Memory,
    /// The last resync; `None` until it is read.
    pub(super) resync: Option<resync::Known>,
    /// What the service writes behind, if it does.
    behind: Option<Arc<dyn WriteBehind>>,
    /// What the group has appended, in order.
    appended: Vec<Committed>,
    /// Who joined and left, each after so many of those.
    changes: Vec<(usize, Changed)>,
}

/// A receiver of the Channel's, and its row.
pub(super) struct Receiver {
    pub(super) id: i64,
    pub(super) name: ReceiverName,
    /// The epochs that it joined with.
    pub(super) begins: BTreeMap<Partition, Epoch>,
}

/// How much of a group was there when a job began.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    appended: usize,
    changes: usize,
}

/// How many rows the bounded tables hold.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) parked: u64,
    pub(super) undecodable: u64,
}

impl Memory {
    pub(super) fn new(identity: Identity, limits: Limits, clock: Clock) -> Self {
        Memory {
            identity,
            receivers: None,
            resync: None,
            behind: None,
            limits,
            clock,
            outbox: outbox::Memory::default(),
            inbox: inbox::Memory::default(),
            appended: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// How much has been appended so far: what [`Memory::rolled_back`] goes back to.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            appended: self.appended.len(),
            changes: self.changes.len(),
        }
    }

    /// What was written since `mark` is rolled back; what was known may rest on it.
    pub(super) fn rolled_back(&mut self, mark: Mark) {
        self.receivers = None;
        self.resync = None;
        if let Some(behind) = &self.behind {
            behind.rolled_back();
        }
        self.outbox = outbox::Memory::default();
        self.inbox = inbox::Memory::default();
        self.appended.truncate(mark.appended);
        self.changes.truncate(mark.changes);
    }

    /// The group is committed: what it appended, and who joined and left.
    pub(super) fn committed(&mut self) -> (Vec<Committed>, Vec<(usize, Changed)>) {
        let changes = std::mem::take(&mut self.changes);
        (std::mem::take(&mut self.appended), changes)
    }
}

impl SqliteTx<'_> {
    /// Writes what is only in memory yet.
    pub(super) fn write_back(&mut self) -> Result<(), StoreError> {
        self.memory.outbox.write_back(self.connection)?;
        self.memory.inbox.write_back(self.connection)?;
        match &self.memory.behind {
            Some(behind) => behind.write_back(self.connection),
            None => Ok(()),
        }
    }

    /// From now on the service writes behind. Once for each opening of the store, before anything else is written.
    pub fn write_behind(&mut self, behind: Arc<dyn WriteBehind>) {
        self.memory.behind = Some(behind);
    }

    /// To be handed to the sender once committed.
    pub(super) fn appended(&mut self, event: Event, dispatch: Dispatch) {
        self.memory.appended.push(Committed {
            event: Arc::new(event),
            dispatch,
        });
    }

    /// The same of those who joined and left.
    pub(super) fn receivers_changed(&mut self, changed: &Changed) {
        let after = self.memory.appended.len();
        self.memory.changes.push((after, changed.clone()));
    }
}

impl<'t> Transaction<'t> for SqliteTx<'t> {
    type Connection = Connection;

    fn connection(&self) -> &'t Connection {
        self.connection
    }

    fn put_position(&mut self, path: &str, position: &Position) -> Result<(), StoreError> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO positions (path, position) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET position = excluded.position",
        )?;
        put.execute(params![path, &position.0[..]])?;
        Ok(())
    }

    fn rolled_back<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.write_back()?;
        let mark = self.memory.mark();
        savepoint::run(self.connection, "SAVEPOINT rolled_back")?;
        let worked = work(self)?;
        savepoint::run(self.connection, "ROLLBACK TO rolled_back")?;
        savepoint::run(self.connection, "RELEASE rolled_back")?;
        self.memory.rolled_back(mark);
        Ok(worked)
    }

    fn letters(
        &mut self,
        filter: &Filter,
        after: Cursor,
        up_to: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        letters::page(self.connection, filter, after, up_to, limit)
    }

    fn matching(&mut self, filter: &Filter) -> Result<u64, StoreError> {
        letters::matching(self.connection, filter)
    }

    fn parked_rows(&mut self) -> Result<u64, StoreError> {
        parked::rows(self)
    }

    fn newest_letter(&mut self) -> Result<Cursor, StoreError> {
        letters::newest(self.connection)
    }

    fn redrive(&mut self) -> Result<Option<Redrive>, StoreError> {
        letters::redrive(self.connection)
    }

    fn put_redrive(&mut self, redrive: &Redrive) -> Result<(), StoreError> {
        letters::put_redrive(self.connection, redrive)
    }

    fn put_undecodable(&mut self, path: &str, undecodable: &Undecodable) -> Result<(), StoreError> {
        let Undecodable {
            place,
            payload,
            cause,
        } = undecodable;
        let mut put = self.connection.prepare_cached(
            "INSERT INTO undecodable (path, place, payload, cause, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?;
        let at = self.memory.clock.wall().micros();
        let put = put.execute(params![
            path,
            codec::signed(place.0),
            &payload[..],
            inbox::cause(cause),
            at
        ])?;
        if put > 0 {
            // Nothing waits behind these and nothing will ever apply them: over the bound, the oldest go.
            let newest = self.connection.last_insert_rowid();
            let oldest = newest.saturating_sub_unsigned(self.memory.limits.undecodable);
            let mut drop = self
                .connection
                .prepare_cached("DELETE FROM undecodable WHERE id <= ?1")?;
            drop.execute([oldest])?;
        }
        Ok(())
    }
}
