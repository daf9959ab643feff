//! A disk that can lose its power: it knows what was written and what of it was synced.
//!
//! After a cut, each sector that was written and not synced is there or not by chance, in no order, as on a disk with a cache; a file that
//! was cut or grown likewise. Until it is booted again every operation fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::ffi;

/// What a disk writes whole or not at all, in bytes.
pub(crate) const SECTOR: usize = 512;

/// Every disk, by the directory that it is mounted at.
static DISKS: Mutex<Vec<(PathBuf, Arc<Disk>)>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk that a file is on, if it is on one.
pub(crate) fn of(path: &str) -> Option<Arc<Disk>> {
    let disks = lock(&DISKS);
    let on = disks.iter().find(|(at, _)| Path::new(path).starts_with(at));
    on.map(|(_, disk)| disk.clone())
}

/// What SQLite answers: one of its result codes.
type Done = Result<(), i32>;

/// A disk, mounted at a directory.
pub(crate) struct Disk(Mutex<State>);

/// A file that is open on a disk.
pub(crate) struct File {
    path: String,
    /// The boot that it was opened under: no later one knows it.
    boot: u64,
}

struct State {
    boot: u64,
    power: bool,
    files: BTreeMap<String, Content>,
    dice: StdRng,
    /// The operation that the power goes at, counted down.
    cut_in: Option<u64>,
    trouble: Trouble,
    logged: Logged,
}

/// What was written to logs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logged {
    pub(crate) writes: usize,
    pub(crate) bytes: usize,
}

/// What else is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    #[default]
    Nothing,
    /// No file can grow.
    Full,
    /// Nothing can be written.
    ReadOnly,
    /// A sync fails, and what it was to save is not saved by a later one either, as on Linux.
    SyncFails,
    /// It says that it syncs, and does not.
    Lies,
}

/// What of a file would be there without power, and what was done to it since.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    since: Vec<Change>,
    /// As it is read.
    size: u64,
}

enum Change {
    Write { at: usize, data: Box<[u8]> },
    Truncate(usize),
}

impl Disk {
    /// Mounts a disk at a directory, whose files it takes for durable.
    pub(crate) fn mount(at: &Path, seed: u64) -> Arc<Disk> {
        let disk = Arc::new(Disk(Mutex::new(State {
            boot: 0,
            power: true,
            files: BTreeMap::new(),
            dice: StdRng::seed_from_u64(seed),
            cut_in: None,
            trouble: Trouble::Nothing,
            logged: Logged::default(),
        })));
        lock(&DISKS).push((at.to_owned(), disk.clone()));
        disk
    }

    /// The power goes at the `operation`th that writes, cuts or syncs from now on, counted from one.
    pub(crate) fn cut_in(&self, operation: u64) {
        lock(&self.0).cut_in = Some(operation);
    }

    /// Whether the power is gone.
    pub(crate) fn is_off(&self) -> bool {
        !lock(&self.0).power
    }

    /// From now on this is wrong with it.
    pub(crate) fn has(&self, trouble: Trouble) {
        lock(&self.0).trouble = trouble;
    }

    /// What was written to its logs so far.
    pub(crate) fn logged(&self) -> Logged {
        lock(&self.0).logged
    }

    /// Power is back: its files are what was durable and what else made it. All that was open must be closed. How many bytes that
    /// were not synced are lost.
    pub(crate) fn boot(&self) -> usize {
        let mut state = lock(&self.0);
        let state = &mut *state;
        // Most likely all or nothing is lost; what lies between is where recovery is hard.
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][state.dice.random_range(0..5)];
        let mut lost = 0;
        for (path, content) in &mut state.files {
            let left = content.after_a_cut(kept, &mut state.dice, &mut lost);
            fs::write(path, left).unwrap();
        }
        // Shared memory is memory.
        for path in state.files.keys() {
            let _ = fs::remove_file(format!("{path}-shm"));
        }
        state.files.clear();
        state.boot += 1;
        state.power = true;
        state.cut_in = None;
        state.trouble = Trouble::Nothing;
        lost
    }

    /// A file is opened: made, if it isn't there.
    pub(crate) fn open(&self, path: &str) -> Result<File, i32> {
        let mut state = lock(&self.0);
        if !state.power {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        if !state.files.contains_key(path) {
            let durable = fs::read(path).unwrap_or_default();
            let size = durable.len() as u64;
            let content = Content {
                durable,
                since: Vec::new(),
                size,
            };
            state.files.insert(path.to_owned(), content);
        }
        Ok(File {
            path: path.to_owned(),
            boot: state.boot,
        })
    }

    /// A file is deleted.
    pub(crate) fn delete(&self, path: &str) -> Done {
        let mut state = lock(&self.0);
        state.strike(ffi::SQLITE_IOERR_DELETE)?;
        state.writable(ffi::SQLITE_IOERR_DELETE)?;
        state.files.remove(path);
        Ok(())
    }

    /// A file is read.
    pub(crate) fn read(&self, file: &File) -> Done {
        let state = lock(&self.0);
        match state.power && state.boot == file.boot {
            true => Ok(()),
            false => Err(ffi::SQLITE_IOERR_READ),
        }
    }

    /// A file is written: what is on its way when the power goes may be lost, or make it.
    pub(crate) fn write(&self, file: &File, at: i64, data: &[u8]) -> Done {
        let at = usize::try_from(at).map_err(|_| ffi::SQLITE_IOERR_WRITE)?;
        let end = (at + data.len()) as u64;
        if file.path.ends_with("-wal") {
            let logged = &mut lock(&self.0).logged;
            logged.writes += 1;
            logged.bytes += data.len();
        }
        let write = |content: &mut Content| {
            content.size = content.size.max(end);
            let data = data.into();
            content.since.push(Change::Write { at, data });
        };
        let grows = |content: &Content| end > content.size;
        self.change(file, ffi::SQLITE_IOERR_WRITE, grows, write)
    }

    /// A file is cut, or grown, to a size.
    pub(crate) fn truncate(&self, file: &File, size: i64) -> Done {
        let to = usize::try_from(size).map_err(|_| ffi::SQLITE_IOERR_TRUNCATE)?;
        let truncate = |content: &mut Content| {
            content.size = to as u64;
            content.since.push(Change::Truncate(to));
        };
        let grows = |content: &Content| to as u64 > content.size;
        self.change(file, ffi::SQLITE_IOERR_TRUNCATE, grows, truncate)
    }

    /// What was written to a file is made durable.
    pub(crate) fn sync(&self, file: &File) -> Done {
        let mut state = lock(&self.0);
        state.knows(file, ffi::SQLITE_IOERR_FSYNC)?;
        state.strike(ffi::SQLITE_IOERR_FSYNC)?;
        let trouble = state.trouble;
        let content = state.files.entry(file.path.clone()).or_default();
        match trouble {
            Trouble::Lies => return Ok(()),
            Trouble::SyncFails => {
                content.since.clear();
                return Err(ffi::SQLITE_IOERR_FSYNC);
            }
            Trouble::Nothing | Trouble::Full | Trouble::ReadOnly => {}
        }
        for change in content.since.drain(..) {
            change.make(&mut content.durable);
        }
        Ok(())
    }

    fn change(
        &self,
        file: &File,
        code: i32,
        grows: impl FnOnce(&Content) -> bool,
        make: impl FnOnce(&mut Content),
    ) -> Done {
        let mut state = lock(&self.0);
        state.knows(file, code)?;
        let struck = state.strike(code);
        state.writable(code)?;
        let is_full = state.trouble == Trouble::Full;
        let content = state.files.entry(file.path.clone()).or_default();
        if is_full && grows(content) {
            return Err(ffi::SQLITE_FULL);
        }
        make(content);
        struck
    }
}

impl State {
    fn knows(&self, file: &File, code: i32) -> Done {
        let known = self.power && self.boot == file.boot;
        if known { Ok(()) } else { Err(code) }
    }

    fn writable(&self, code: i32) -> Done {
        match self.trouble {
            Trouble::ReadOnly => Err(code),
            _ => Ok(()),
        }
    }

    /// Counts an operation: the power may go with it.
    fn strike(&mut self, code: i32) -> Done {
        if let Some(left) = &mut self.cut_in {
            *left = left.saturating_sub(1);
            self.power = self.power && *left > 0;
        }
        if self.power { Ok(()) } else { Err(code) }
    }
}

impl Content {
    fn after_a_cut(&mut self, kept: f64, dice: &mut StdRng, lost: &mut usize) -> Vec<u8> {
        let mut left = std::mem::take(&mut self.durable);
        for change in self.since.drain(..) {
            match change {
                Change::Truncate(_) => {
                    if dice.random_bool(kept) {
                        change.make(&mut left);
                    }
                }
                Change::Write { at, data } => {
                    for (sector, data) in sectors(at, &data) {
                        if dice.random_bool(kept) {
                            put(&mut left, sector, data);
                        } else {
                            *lost += data.len();
                        }
                    }
                }
            }
        }
        left
    }
}

impl Change {
    fn make(self, content: &mut Vec<u8>) {
        match self {
            Change::Write { at, data } => put(content, at, &data),
            Change::Truncate(size) => content.resize(size, 0),
        }
    }
}

/// What of a write is in each sector, and where it begins.
fn sectors(at: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - at % SECTOR).min(data.len());
    let (head, tail) = data.split_at(first);
    let rest = tail.chunks(SECTOR).enumerate();
    let rest = rest.map(move |(n, chunk)| (at + first + n * SECTOR, chunk));
    std::iter::once((at, head)).chain(rest)
}

fn put(content: &mut Vec<u8>, at: usize, data: &[u8]) {
    if content.len() < at + data.len() {
        content.resize(at + data.len(), 0);
    }
    content[at..at + data.len()].copy_from_slice(data);
}
