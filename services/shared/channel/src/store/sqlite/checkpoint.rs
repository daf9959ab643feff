//! What the log holds is copied into the store's file beside the writer, which waits only for what came in the meantime.
//!
//! SQLite's own way is that the commit which fills the log copies all of it: everybody who waits for that commit or the next waits for
//! some thousand pages and two syncs more. Here a thread of its own copies and syncs them, while commits go on. The log begins anew only
//! when all of it is copied, so once the thread is done the writer copies the rest itself: a few commits' worth.
//! <https://sqlite.org/wal.html#ckpt>

use std::ffi::c_int;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, ffi};

/// At so many times what is worth copying commits wait: the disk is slower than what comes.
const MOST: c_int = 4;

/// While somebody who reads holds the log back, it is tried again after so much of what is worth copying.
const STEPS: c_int = 16;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nobody's: the log is short.
    Nobody,
    /// The thread's.
    Thread,
    /// The writer's, which copies the rest.
    Writer,
    /// Only the writer's: the thread has ended.
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

    fn pass(&self, to: Turn) {
        let mut turn = self.turn();
        if *turn != Turn::Over {
            *turn = to;
        }
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
        let shared = Arc::new(Shared {
            turn: Mutex::new(Turn::Nobody),
            changed: Condvar::new(),
        });
        let (of_writer, mut log) = (shared.clone(), Log::new(worth));
        writer.wal_hook(Some(move |wal: &mut Wal, pages| {
            committed(&of_writer, &mut log, wal, pages);
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
        self.shared.pass(Turn::Over);
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

/// However the thread ends, the writer does not wait for it.
struct Ends<'s>(&'s Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.pass(Turn::Over);
    }
}

fn copy(shared: &Shared, connection: &Connection) {
    let _ends = Ends(shared);
    loop {
        let turn = shared.wait(shared.turn(), |turn| {
            matches!(turn, Turn::Nobody | Turn::Writer)
        });
        if *turn == Turn::Over {
            return;
        }
        drop(turn);
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        tell(copied.and_then(|()| sync(connection)));
        shared.pass(Turn::Writer);
    }
}

/// What can't be copied now is copied later: it stays in the log.
fn tell(copied: Result<(), rusqlite::Error>) {
    if let Err(error) = copied {
        tracing::warn!(%error, "the log could not be copied into the store's file");
    }
}

/// Puts on the disk what was copied. SQLite does so itself only once nothing is left in the log: by the writer, that is.
#[expect(
    unsafe_code,
    reason = "a file that SQLite has open is synced through SQLite: to close another handle to it would drop its locks"
)]
fn sync(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open, and is used by this thread alone; SQLite sets the pointer to its file, whose methods live as long.
    let code = unsafe {
        let handle = connection.handle();
        let into = (&raw mut file).cast();
        match ffi::sqlite3_file_control(handle, ptr::null(), ffi::SQLITE_FCNTL_FILE_POINTER, into) {
            ffi::SQLITE_OK => {
                let methods = file.as_ref().and_then(|file| file.pMethods.as_ref());
                match methods.and_then(|methods| methods.xSync) {
                    Some(sync) => sync(file, ffi::SQLITE_SYNC_FULL),
                    None => ffi::SQLITE_IOERR,
                }
            }
            code => code,
        }
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// After each commit, by the writer.
fn committed(shared: &Shared, log: &mut Log, wal: &mut Wal, pages: c_int) {
    let mut turn = shared.turn();
    loop {
        match log.committed(pages, &mut turn) {
            Next::Nothing => return,
            Next::Thread => return shared.changed.notify_all(),
            Next::Wait => turn = shared.wait(turn, |turn| turn == Turn::Thread),
            Next::Copy => return tell(wal.checkpoint()),
        }
    }
}

/// What follows a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The thread is to copy.
    Thread,
    /// The thread is waited for.
    Wait,
    /// The writer copies.
    Copy,
}

/// The log, as the writer sees it after each commit.
#[derive(Debug)]
struct Log {
    /// How many pages it had.
    pages: c_int,
    worth: c_int,
    /// At how many something is to be done.
    next: c_int,
    /// It has begun anew since the thread was last asked to copy it.
    anew: bool,
}

impl Log {
    fn new(worth: u16) -> Self {
        let worth = c_int::from(worth.max(1));
        Log {
            pages: 0,
            worth,
            next: worth,
            anew: false,
        }
    }

    fn committed(&mut self, pages: c_int, turn: &mut Turn) -> Next {
        if pages < self.pages {
            (self.next, self.anew) = (self.worth, true);
        }
        if self.anew && *turn == Turn::Writer {
            // The thread may still have synced when it began anew.
            *turn = Turn::Nobody;
        }
        self.pages = pages;
        let over = pages.saturating_sub(self.next);
        match *turn {
            _ if over < 0 => Next::Nothing,
            Turn::Nobody => {
                self.anew = false;
                *turn = Turn::Thread;
                Next::Thread
            }
            Turn::Thread if over >= self.worth * (MOST - 1) => Next::Wait,
            Turn::Thread => Next::Nothing,
            Turn::Writer | Turn::Over => {
                self.next = pages.saturating_add((self.worth / STEPS).max(1));
                Next::Copy
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows each of these commits, and whose turn it is then.
    fn after(log: &mut Log, turn: &mut Turn, commits: &[c_int]) -> (Vec<Next>, Turn) {
        let all = commits.iter().map(|pages| log.committed(*pages, turn));
        (all.collect(), *turn)
    }

    #[test]
    fn the_thread_copies_what_is_worth_it_and_the_writer_the_rest() {
        let (mut log, mut turn) = (Log::new(100), Turn::Nobody);
        let went = after(&mut log, &mut turn, &[60, 99, 100, 130]);
        let thread = [Next::Nothing, Next::Nothing, Next::Thread, Next::Nothing];
        assert_eq!(went, (thread.to_vec(), Turn::Thread));
        turn = Turn::Writer; // it is done
        assert_eq!(log.committed(140, &mut turn), Next::Copy);
        let anew = after(&mut log, &mut turn, &[10, 100]);
        assert_eq!(anew, (vec![Next::Nothing, Next::Thread], Turn::Thread));
    }

    #[test]
    fn where_the_log_begins_anew_by_itself_the_next_one_is_the_threads_again() {
        let (mut log, mut turn) = (Log::new(100), Turn::Nobody);
        log.committed(100, &mut turn);
        turn = Turn::Writer; // it copied all of it: nothing came meanwhile
        let anew = after(&mut log, &mut turn, &[5, 100]);
        assert_eq!(anew, (vec![Next::Nothing, Next::Thread], Turn::Thread));
    }

    #[test]
    fn where_it_begins_anew_while_the_thread_syncs_the_next_one_is_the_threads_too() {
        let (mut log, mut turn) = (Log::new(100), Turn::Nobody);
        let syncs = after(&mut log, &mut turn, &[100, 5, 10]);
        let waits = [Next::Thread, Next::Nothing, Next::Nothing];
        assert_eq!(syncs, (waits.to_vec(), Turn::Thread));
        turn = Turn::Writer; // it is done
        let filled = after(&mut log, &mut turn, &[15, 100]);
        assert_eq!(filled, (vec![Next::Nothing, Next::Thread], Turn::Thread));
    }

    #[test]
    fn one_that_begins_anew_with_a_large_commit_is_the_threads() {
        let (mut log, mut turn) = (Log::new(100), Turn::Nobody);
        log.committed(300, &mut turn);
        turn = Turn::Writer; // it copied all of it
        assert_eq!(log.committed(150, &mut turn), Next::Thread);
    }

    #[test]
    fn a_log_that_is_held_back_is_tried_again_and_again() {
        let (mut log, mut turn) = (Log::new(160), Turn::Nobody);
        log.committed(160, &mut turn);
        turn = Turn::Writer;
        let went = after(&mut log, &mut turn, &[161, 170, 171, 180, 181]);
        let tries = [
            Next::Copy,
            Next::Nothing,
            Next::Copy,
            Next::Nothing,
            Next::Copy,
        ];
        assert_eq!(went, (tries.to_vec(), Turn::Writer));
    }

    #[test]
    fn commits_wait_for_a_thread_that_is_far_behind_and_for_none_that_has_ended() {
        let (mut log, mut turn) = (Log::new(100), Turn::Nobody);
        let went = after(&mut log, &mut turn, &[100, 399, 400]);
        let waits = [Next::Thread, Next::Nothing, Next::Wait];
        assert_eq!(went, (waits.to_vec(), Turn::Thread));
        turn = Turn::Over;
        assert_eq!(log.committed(400, &mut turn), Next::Copy);
        assert_eq!(log.committed(401, &mut turn), Next::Nothing);
    }
}
