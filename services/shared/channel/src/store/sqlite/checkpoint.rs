//! What the log holds is copied into the store's file beside the writer, which waits only for what came in the meantime.
//!
//! SQLite's own way is that the commit which fills the log copies all of it: everybody who waits for that commit or the next waits for
//! some thousand pages and two syncs more. Here a thread of its own does that, while commits go on. The log begins anew only when all of
//! it is copied, so once the thread is done the writer copies the rest itself: a few commits' worth.
//! <https://sqlite.org/wal.html#ckpt>

use std::ffi::c_int;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// At so many times what is worth copying commits wait: the disk is slower than what comes.
const MOST: c_int = 4;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nobody's: the log is short.
    Nobody,
    /// The thread's.
    Thread,
    /// The writer's, which copies the rest.
    Writer,
    /// The store is closed.
    Over,
}

#[derive(Debug)]
struct Shared {
    turn: Mutex<Turn>,
    changed: Condvar,
}

impl Shared {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, turn: &mut Turn, to: Turn) {
        *turn = to;
        self.changed.notify_all();
    }

    fn wait<'t>(
        &self,
        turn: MutexGuard<'t, Turn>,
        while_so: impl Fn(Turn) -> bool,
    ) -> MutexGuard<'t, Turn> {
        let waited = self.changed.wait_while(turn, |turn| while_so(*turn));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread. It ends when this is dropped, which waits for it.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts it with a connection of its own, beside the writer's. So many pages of log make it worth copying them: of those that are
    /// written again and again only the last is copied.
    pub(super) fn start(
        own: Connection,
        writer: &mut Connection,
        worth: u16,
    ) -> Result<Self, StartError> {
        let worth = c_int::from(worth.max(1));
        let shared = Arc::new(Shared {
            turn: Mutex::new(Turn::Nobody),
            changed: Condvar::new(),
        });
        let mut log = Log {
            shared: shared.clone(),
            pages: 0,
            worth,
            next: worth,
        };
        writer.wal_hook(Some(move |wal: &mut Wal, pages| {
            log.committed(wal, pages);
            Ok(())
        }))?;
        let of_thread = shared.clone();
        let thread = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || copy(&of_thread, &own))?;
        Ok(Checkpointer {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        let mut turn = self.shared.turn();
        self.shared.pass(&mut turn, Turn::Over);
        drop(turn);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic was told of
        }
    }
}

/// Why it can't be started.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum StartError {
    /// SQLite has no room for the hook.
    Hook(#[from] rusqlite::Error),
    /// There is no thread more.
    Thread(#[from] std::io::Error),
}

fn copy(shared: &Shared, connection: &Connection) {
    loop {
        let turn = shared.wait(shared.turn(), |turn| {
            matches!(turn, Turn::Nobody | Turn::Writer)
        });
        if *turn == Turn::Over {
            return;
        }
        drop(turn);
        // What is not copied now is copied later: it stays in the log.
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = copied {
            tracing::warn!(%error, "the log could not be copied into the store's file");
        }
        let mut turn = shared.turn();
        if *turn == Turn::Thread {
            shared.pass(&mut turn, Turn::Writer);
        }
    }
}

/// The log, as the writer sees it after each commit.
struct Log {
    shared: Arc<Shared>,
    /// How many pages it had.
    pages: c_int,
    worth: c_int,
    /// At how many they are copied the next time: more, while a reader holds the log back.
    next: c_int,
}

impl Log {
    fn committed(&mut self, wal: &mut Wal, pages: c_int) {
        if pages < self.pages {
            self.next = self.worth; // it began anew
        }
        self.pages = pages;
        if pages < self.next {
            return;
        }
        let mut turn = self.shared.turn();
        if *turn == Turn::Thread && pages >= self.worth * MOST {
            turn = self.shared.wait(turn, |turn| turn == Turn::Thread);
        }
        match *turn {
            Turn::Nobody => self.shared.pass(&mut turn, Turn::Thread),
            Turn::Writer => {
                let _ = wal.checkpoint(); // as above
                self.next = pages.saturating_add(self.worth);
                *turn = Turn::Nobody;
            }
            Turn::Thread | Turn::Over => {}
        }
    }
}
