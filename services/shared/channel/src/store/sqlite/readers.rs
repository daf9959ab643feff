//! The threads that read beside the writer, each on a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use super::error::refused;
use super::savepoint::run;
use super::writer::join;
use crate::store::StoreError;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// How to reach the readers.
pub(super) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Read>>>,
    threads: Vec<AsyncMutex<Option<thread::JoinHandle<()>>>>,
}

impl Readers {
    /// Starts a thread for each connection; at most `waiting` reads wait for them.
    pub(super) fn start(connections: Vec<Connection>, waiting: usize) -> std::io::Result<Self> {
        let (queue, reads) = mpsc::channel::<Read>(waiting);
        let reads = Arc::new(Mutex::new(reads));
        let mut threads = Vec::with_capacity(connections.len());
        for connection in connections {
            let reads = Arc::clone(&reads);
            let next = move || {
                // One thread waits in the queue, the others for their turn to wait.
                let mut reads = reads.lock().unwrap_or_else(PoisonError::into_inner);
                reads.blocking_recv()
            };
            let serve = move || {
                while let Some(read) = next() {
                    read(&connection);
                }
            };
            let thread = thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(serve)?;
            threads.push(AsyncMutex::new(Some(thread)));
        }
        Ok(Readers {
            queue: Mutex::new(Some(queue)),
            threads,
        })
    }

    pub(super) async fn read<R, J>(&self, job: J) -> Result<R, StoreError>
    where
        R: Send + 'static,
        J: FnOnce(&Connection) -> Result<R, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let read = Box::new(move |connection: &Connection| {
            if !caller.is_closed() {
                let answer = catch_unwind(AssertUnwindSafe(|| snapshot(connection, job)));
                let panicked = |_| Err(refused("the read panicked"));
                let _ = caller.send(answer.unwrap_or_else(panicked));
            }
        });
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.as_ref().ok_or(StoreError::Closed)?.try_send(read) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
                Err(TrySendError::Closed(_)) => return Err(StoreError::Closed),
            }
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Has the threads finish what waits, and waits for their end.
    pub(super) async fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        for thread in &self.threads {
            join(thread).await;
        }
    }
}

/// Runs a read over one state of the store, whatever is committed meanwhile.
fn snapshot<R>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<R, StoreError>,
) -> Result<R, StoreError> {
    /// Ends the transaction also if the read panics.
    struct End<'c>(&'c Connection);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            if let Err(error) = run(self.0, "ROLLBACK") {
                tracing::error!(%error, "a read could not be ended");
            }
        }
    }
    run(connection, "BEGIN")?;
    let _end = End(connection);
    job(connection)
}
