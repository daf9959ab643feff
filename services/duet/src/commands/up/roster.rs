//! What runs, kept in `up.json` as it changes: for the other verbs, and for the `duet up` that finds what this one left.

use crate::{data_dir::DataDir, process::Process, running::Running};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Roster {
    data: DataDir,
    running: Mutex<Running>,
}

impl Roster {
    pub(super) fn new(data: DataDir, running: Running) -> Self {
        Self {
            data,
            running: Mutex::new(running),
        }
    }

    /// A process of this name runs now.
    pub(super) fn started(&self, name: &str, process: Option<Process>) {
        let mut running = self.lock();
        match process {
            Some(process) => running.children.insert(name.to_owned(), process),
            None => running.children.remove(name),
        };
        if let Err(failure) = self.data.tell(&running) {
            eprintln!("duet: {failure}");
        }
    }

    pub(super) fn now(&self) -> Running {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
