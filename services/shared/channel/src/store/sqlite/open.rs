//! Opening: the lock, the settings that make the store durable, its tables, its identity, and the new epoch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Incarnation, StoreId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::checkpoint::Checkpointer;
use super::codec::{signed, unsigned};
use super::error::is_corruption;
use super::lock::Lock;
use super::log_writes;
use super::options::Options;
use super::readers::Readers;
use super::schema::{self, Versions};
use super::standing;
use super::transaction::{Limits, Memory, SqliteTx};
use super::writer::{Grouping, Writer};
use super::{Open, SqliteStore};
use crate::store::{CommittedGroup, Identity, StoreError};

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory can't be made or written.
    #[error("the store's directory {} can't be written: {source}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is open already, here or in another process.
    #[error("the store {} is in use{}", .path.display(), .process.map(|id| format!(" by process {id}")).unwrap_or_default())]
    Locked {
        /// The store's file.
        path: PathBuf,
        /// The process that has it open, if it could be told.
        process: Option<u32>,
    },
    /// It was written by a newer version, whose tables this one does not know.
    #[error(
        "the {tables} tables of the store {} have version {found}, and this program knows them up to version {known}: use a newer one",
        .path.display()
    )]
    NewerSchema {
        /// The store's file.
        path: PathBuf,
        /// Whose tables: `channel` or `service`.
        tables: &'static str,
        /// The file's version.
        found: usize,
        /// The newest version known here.
        known: usize,
    },
    /// The file is SQLite's, but not a store of Duet's.
    #[error("{} is a database of another program", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, or is not SQLite's.
    #[error("the store {} is damaged: {cause}", .path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        cause: Arc<str>,
    },
    /// A setting without which commits would not be durable is not in force.
    #[error("the store {} would not be durable: {setting} is {found:?}, not {needed:?}", .path.display())]
    NotDurable {
        /// The store's file.
        path: PathBuf,
        /// SQLite's name of the setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        needed: &'static str,
    },
    /// Anything else.
    #[error("the store {} can't be opened: {cause}", .path.display())]
    Failed {
        /// The store's file.
        path: PathBuf,
        /// Why.
        cause: Arc<str>,
    },
}

impl SqliteStore {
    /// Opens the store in the file at `path`, and makes it and its directory if they aren't there. It blocks: on disk, not for
    /// long.
    ///
    /// With the store comes what it commits: after each commit, and before its callers are answered, the events that it appended,
    /// in order. The first are those that open this opening's epochs.
    ///
    /// # Errors
    /// [`OpenError`]; then the file is as it was.
    pub fn open(
        path: &Path,
        options: Options,
    ) -> Result<(Self, mpsc::UnboundedReceiver<CommittedGroup>), OpenError> {
        let lock = Lock::take(path)?;
        let opening = Opening {
            path,
            options: &options,
        };
        let mut connection = opening.connection()?;
        let began = SystemTime::now();
        let memory = opening.memory(&connection)?;
        let (committed, commits) = mpsc::unbounded_channel();
        let grouping = Grouping {
            _checkpointer: opening.checkpointer(&mut connection)?,
            connection,
            memory,
            committed,
            began,
            _lock: lock,
        };
        opening.start(grouping).map(|store| (store, commits))
    }

    /// Opens it as [`SqliteStore::open`] does. Where another process has it, that one is waited for as long as `patience` says: it may
    /// be about to end. Dropped, it has opened nothing.
    ///
    /// # Errors
    /// [`OpenError`]; then the file is as it was.
    pub async fn open_when_free(
        path: &Path,
        options: Options,
        patience: Duration,
    ) -> Result<(Self, mpsc::UnboundedReceiver<CommittedGroup>), OpenError> {
        let deadline = Instant::now() + patience;
        let mut told = false;
        loop {
            match Self::open(path, options.clone()) {
                Err(error @ OpenError::Locked { .. }) if Instant::now() < deadline => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!("{error}: waiting for it to end");
                    }
                    sleep(PAUSE).await;
                }
                opened => return opened,
            }
        }
    }
}

/// Between two tries to open what another process has.
const PAUSE: Duration = Duration::from_millis(50);

struct Opening<'o> {
    path: &'o Path,
    options: &'o Options,
}

/// What commits stand on: asked for, then read back. The setting, its value, and how it reads.
const DURABLE: [(&str, &str, &str); 5] = [
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    // On macOS fsync leaves data in the drive's cache; elsewhere these two change nothing.
    ("fullfsync", "ON", "1"),
    ("checkpoint_fullfsync", "ON", "1"),
    ("foreign_keys", "ON", "1"),
];

/// What the writer is quicker with, whether or not it is in force.
const MEASURED: [(&str, &str); 2] = [
    // 16 MiB: keys come in no order, and what isn't in this cache is read again from the log.
    ("cache_size", "-16384"),
    // In bytes: a log that grew while a reader held it back gives the disk back.
    ("journal_size_limit", "67108864"),
];

/// How long a statement waits for a lock. Only a tool that looks into the file from outside holds one for long.
const BUSY: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps: the channel's, about fifty, and the service's.
const STATEMENTS: usize = 128;

impl Opening<'_> {
    /// The writer's connection, to a file that this version knows.
    fn connection(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        self.versions(&connection)?; // before anything is changed
        self.make_durable(&connection)?;
        for (setting, value) in MEASURED {
            self.set(&connection, setting, value)?;
        }
        Ok(connection)
    }

    fn make_durable(&self, connection: &Connection) -> Result<(), OpenError> {
        for (setting, value, needed) in DURABLE {
            let found = self.set(connection, setting, value)?;
            if found != needed {
                return Err(OpenError::NotDurable {
                    path: self.path.to_owned(),
                    setting,
                    found,
                    needed,
                });
            }
        }
        Ok(())
    }

    /// Starts the thread that copies the log.
    fn checkpointer(&self, writer: &mut Connection) -> Result<Checkpointer, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let own = self.connect(flags)?;
        self.make_durable(&own)?;
        let started = Checkpointer::start(own, writer, self.options.log);
        started.map_err(|error| self.failed(error))
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, OpenError> {
        let connection = log_writes::layer()
            .and_then(|layer| Connection::open_with_flags_and_vfs(self.path, flags, layer))
            .map_err(|error| self.error(error))?;
        connection
            .busy_timeout(BUSY)
            .map_err(|error| self.error(error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Else a statement whose plan might gain from what is bound to it is planned anew whenever something else is.
        let plan_once = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
        connection
            .set_db_config(plan_once, true)
            .map_err(|error| self.error(error))?;
        Ok(connection)
    }

    /// Makes a setting, and reads it back.
    fn set(
        &self,
        connection: &Connection,
        setting: &str,
        value: &str,
    ) -> Result<String, OpenError> {
        connection
            .pragma_update_and_check(None, setting, value, |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()), // most say nothing when they are set
                error => Err(error),
            })
            .map_err(|error| self.error(error))?;
        let read = connection.pragma_query_value(None, setting, |row| {
            use rusqlite::types::ValueRef;
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            })
        });
        read.map_err(|error| self.error(error))
    }

    fn versions(&self, connection: &Connection) -> Result<Option<Versions>, OpenError> {
        let path = || self.path.to_owned();
        let versions = match schema::versions(connection).map_err(|error| self.error(error))? {
            Ok(Some(versions)) => versions,
            Ok(None) => return Ok(None),
            Err(schema::Foreign) => return Err(OpenError::Foreign { path: path() }),
        };
        for (tables, found, known) in [
            ("channel", versions.channel, schema::CHANNEL.len()),
            ("service", versions.service, self.options.service.len()),
        ] {
            if found > known {
                return Err(OpenError::NewerSchema {
                    path: path(),
                    tables,
                    found,
                    known,
                });
            }
        }
        Ok(Some(versions))
    }

    /// Brings the tables up to date, takes a new incarnation and opens new epochs, all in one transaction.
    fn memory(&self, connection: &Connection) -> Result<Memory, OpenError> {
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(|error| self.error(error))?;
        let versions = self.versions(connection)?;
        let opened = self
            .migrate(connection, versions)
            .and_then(|()| Ok(self.take_incarnation(connection)?))
            .and_then(|identity| {
                let limits = Limits {
                    parked: self.options.parked,
                    undecodable: self.options.undecodable,
                };
                let mut memory = Memory::new(identity, limits, self.options.clock);
                self.open_epochs(connection, &mut memory)?;
                connection.execute_batch("COMMIT")?;
                Ok(memory)
            });
        opened.map_err(|error| match error {
            StoreError::Corrupt(cause) => OpenError::Corrupt {
                path: self.path.to_owned(),
                cause,
            },
            other => self.failed(other),
        })
    }

    fn migrate(
        &self,
        connection: &Connection,
        versions: Option<Versions>,
    ) -> Result<(), StoreError> {
        let new = StoreId(self.options.random);
        let Options { service, audit, .. } = self.options;
        schema::migrate(connection, versions, service, *audit, new)
    }

    fn take_incarnation(&self, connection: &Connection) -> rusqlite::Result<Identity> {
        let (store, partitions, newest) =
            connection.query_row("SELECT id, partitions, incarnation FROM store", [], |row| {
                let newest = Epoch(unsigned(row.get(2)?));
                Ok((StoreId(unsigned(row.get(0)?)), row.get(1)?, newest))
            })?;
        let random = (self.options.random >> 32) as u32;
        let incarnation = Incarnation::next(newest, self.options.clock.wall(), random);
        connection.execute("UPDATE store SET incarnation = ?1", [signed(incarnation.0)])?;
        Ok(Identity {
            store,
            partitions,
            incarnation,
        })
    }

    fn open_epochs(&self, connection: &Connection, memory: &mut Memory) -> Result<(), StoreError> {
        let Some(outbox) = &self.options.outbox else {
            return Ok(());
        };
        let mut tx = SqliteTx { connection, memory };
        let new = NewEpochs {
            wall: self.options.clock.wall(),
            random: self.options.random as u32,
            generation: outbox.generation,
        };
        let receivers = outbox.receivers.as_deref();
        membership::open(&mut tx, receivers, new, &Rules::default())?;
        tx.write_back()?;
        standing::prune_marks(connection)
    }

    /// Hands the opening's own events on, and starts the threads.
    fn start(&self, mut grouping: Grouping) -> Result<SqliteStore, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readers = (0..self.options.readers.max(1)).map(|_| self.connect(flags));
        let readers = readers.collect::<Result<_, _>>()?;
        let identity = grouping.memory.identity;
        grouping.hand_over();
        let Options {
            jobs_waiting,
            group,
            reads_waiting,
            ..
        } = *self.options;
        let readers = Readers::start(readers, reads_waiting.max(1));
        let writer = Writer::start(grouping, jobs_waiting.max(1), group.max(1));
        Ok(SqliteStore(Arc::new(Open {
            identity,
            parked_limit: self.options.parked,
            writer: writer.map_err(|error| self.failed(error))?,
            readers: readers.map_err(|error| self.failed(error))?,
        })))
    }

    fn error(&self, error: rusqlite::Error) -> OpenError {
        if is_corruption(&error) {
            return OpenError::Corrupt {
                path: self.path.to_owned(),
                cause: error.to_string().into(),
            };
        }
        self.failed(error)
    }

    fn failed(&self, cause: impl std::fmt::Display) -> OpenError {
        OpenError::Failed {
            path: self.path.to_owned(),
            cause: cause.to_string().into(),
        }
    }
}
