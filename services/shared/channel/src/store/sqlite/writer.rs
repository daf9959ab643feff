//! The one thread that writes: it waits for a job, takes what else waits, commits once, and answers all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc};

use super::checkpoint::Checkpointer;
use super::error::refused;
use super::lock::Lock;
use super::savepoint::run;
use super::transaction::{Mark, Memory, SqliteTx};
use crate::store::{CommittedGroup, StoreError};
use crate::told::{Told, Wakes};

/// How to reach the writer.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

enum Message {
    Job(Box<dyn Job>),
    /// Finish what waits, and end.
    Close,
}

/// A job that waits to be written.
trait Job: Send {
    /// Runs it, perhaps once more than before, and keeps what it returns.
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError>;
    /// Answers its caller, with what the last run returned if that is committed.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>, wakes: &mut Wakes);
}

struct Waiting<R, J> {
    job: J,
    returned: Option<R>,
    caller: Told<Result<R, StoreError>>,
}

impl<R, J> Job for Waiting<R, J>
where
    R: Send + 'static,
    J: for<'t> FnMut(&mut SqliteTx<'t>) -> Result<R, StoreError> + Send,
{
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError> {
        self.returned = Some((self.job)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>, wakes: &mut Wakes) {
        let returned = self.returned.ok_or_else(|| refused("the job did not run"));
        self.caller.tell(outcome.and(returned), wakes);
    }
}

impl Writer {
    /// Starts the thread, for which at most `waiting` jobs wait, and which commits at most `group` at once.
    pub(super) fn start(grouping: Grouping, waiting: usize, group: usize) -> std::io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel(waiting);
        let write = move || {
            let mut grouping = grouping;
            let mut messages = Vec::with_capacity(group);
            let mut last = 0;
            while jobs.blocking_recv_many(&mut messages, group) > 0 {
                gather(&mut jobs, &mut messages, last, group);
                last = messages.len();
                let mut group = Vec::with_capacity(messages.len());
                for message in messages.drain(..) {
                    match message {
                        Message::Job(job) => group.push(job),
                        Message::Close => jobs.close(),
                    }
                }
                grouping.commit(group);
            }
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(write)?;
        Ok(Writer {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) async fn write<R, J>(&self, job: J) -> Result<R, StoreError>
    where
        R: Send + 'static,
        J: for<'t> FnMut(&mut SqliteTx<'t>) -> Result<R, StoreError> + Send + 'static,
    {
        let caller = Told::default();
        let answer = caller.taken();
        let waiting = Box::new(Waiting {
            job,
            returned: None,
            caller,
        });
        match self.queue.try_send(Message::Job(waiting)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
            Err(TrySendError::Closed(_)) => return Err(StoreError::Closed),
        }
        let ended = || Err(StoreError::Unknown(Arc::from("the writer ended")));
        answer.await.unwrap_or_else(ended)
    }

    /// Has the thread finish what waits, and waits for its end.
    pub(super) async fn close(&self) {
        // Fails if it was closed before, or has ended.
        let _ = self.queue.send(Message::Close).await;
        join(&self.thread).await;
    }
}

/// So many jobs in a group are a crowd: its callers come again as soon as they are answered.
const CROWD: usize = 16;
/// How long a crowd is waited for.
const LINGER: Duration = Duration::from_millis(1);
/// How often it is looked for who has come.
const SLICE: Duration = Duration::from_micros(100);

/// After a crowd, waits for most of it, as long as they come: a commit costs about the same for many as for few. Else who comes first
/// would be committed alone, and all others wait for that. Not for all of it: then nobody would ask while it is written.
fn gather(
    jobs: &mut mpsc::Receiver<Message>,
    messages: &mut Vec<Message>,
    last: usize,
    most: usize,
) {
    if last < CROWD {
        return;
    }
    let crowd = last * 3 / 5;
    let began = Instant::now();
    while messages.len() < crowd && began.elapsed() < LINGER {
        thread::sleep(SLICE);
        let before = messages.len();
        while messages.len() < most
            && let Ok(message) = jobs.try_recv()
        {
            messages.push(message);
        }
        if messages.len() == before {
            return;
        }
    }
}

/// Waits for a thread's end, unless another call did already.
pub(super) async fn join(thread: &Mutex<Option<thread::JoinHandle<()>>>) {
    let mut thread = thread.lock().await;
    if let Some(thread) = thread.take() {
        // Both errors are panics, which end the thread all the same.
        let _ = tokio::task::spawn_blocking(|| thread.join()).await;
    }
}

/// What the thread owns.
pub(super) struct Grouping {
    /// Ends before the connection, which leaves the file whole, being its last.
    pub(super) _checkpointer: Checkpointer,
    pub(super) connection: Connection,
    pub(super) memory: Memory,
    pub(super) committed: mpsc::UnboundedSender<CommittedGroup>,
    /// When the last transaction began.
    pub(super) began: SystemTime,
    /// Given back last of all.
    pub(super) _lock: Lock,
}

impl Grouping {
    /// Runs the jobs in one transaction, commits it, and answers all.
    ///
    /// They run side by side first. If one of them fails, all is rolled back and they run again, each in a savepoint of its own:
    /// a savepoint copies every page that its job touches, which is too dear for what mostly succeeds.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        let outcomes = match self.transaction(|grouping| grouping.together(&mut jobs)) {
            Err(error @ StoreError::Unknown(_)) => vec![Err(error); jobs.len()],
            Err(error) if jobs.len() == 1 => vec![Err(error)],
            Err(_) => {
                let mut outcomes = Vec::with_capacity(jobs.len());
                let apart = self.transaction(|grouping| grouping.apart(&mut jobs, &mut outcomes));
                match apart {
                    Ok(()) => outcomes,
                    Err(error) => vec![Err(error); jobs.len()],
                }
            }
            Ok(()) => vec![Ok(()); jobs.len()],
        };
        self.hand_over();
        let mut wakes = Wakes::default();
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            job.answer(outcome, &mut wakes);
        }
        wakes.wake();
    }

    /// Hands on what was just committed.
    pub(super) fn hand_over(&mut self) {
        let (events, changes) = self.memory.committed();
        if !events.is_empty() || !changes.is_empty() {
            // Without a sender nobody has to know: the events are in the outbox.
            let _ = self.committed.send(CommittedGroup {
                events,
                changes,
                span: (self.began, SystemTime::now()),
            });
        }
    }

    /// Does `work` in a transaction and commits it; after an error all of it is rolled back.
    fn transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.began = SystemTime::now();
        let mut full = false;
        let done = run(&self.connection, "BEGIN IMMEDIATE")
            .map_err(StoreError::from)
            .and_then(|()| work(self))
            .and_then(|()| {
                run(&self.connection, "COMMIT").map_err(|error| {
                    full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                    StoreError::Unknown(error.to_string().into())
                })
            });
        let Err(error) = done else { return Ok(()) };
        self.memory.rolled_back(Mark::default());
        // After some errors SQLite has rolled back by itself.
        let mut rolled_back = self.connection.is_autocommit();
        if !rolled_back {
            match run(&self.connection, "ROLLBACK") {
                Ok(()) => rolled_back = true,
                Err(error) => tracing::error!(%error, "a transaction could not be rolled back"),
            }
        }
        Err(match error {
            // A commit's frame is its last: there was no room for it, so no recovery finds it either. Of a failed fsync that is not so.
            StoreError::Unknown(cause) if full && rolled_back => StoreError::NotCommitted(cause),
            error => error,
        })
    }

    fn together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        for job in jobs {
            self.run(job)?;
        }
        self.write_back()
    }

    fn apart(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        outcomes: &mut Vec<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        for job in jobs {
            let mark = self.memory.mark();
            run(&self.connection, "SAVEPOINT job")?;
            let outcome = self.run(job).and_then(|()| self.write_back());
            if outcome.is_err() {
                self.memory.rolled_back(mark);
                run(&self.connection, "ROLLBACK TO job")?;
            }
            run(&self.connection, "RELEASE job")?;
            outcomes.push(outcome);
        }
        Ok(())
    }

    /// Runs one job; its panic is its error, and no one else's.
    fn run(&mut self, job: &mut Box<dyn Job>) -> Result<(), StoreError> {
        let mut tx = SqliteTx {
            connection: &self.connection,
            memory: &mut self.memory,
        };
        // What a job leaves half-done in the transaction is rolled back, and what is in memory with it.
        catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)))
            .unwrap_or_else(|_| Err(refused("the job panicked")))
    }

    fn write_back(&mut self) -> Result<(), StoreError> {
        SqliteTx {
            connection: &self.connection,
            memory: &mut self.memory,
        }
        .write_back()
    }
}
