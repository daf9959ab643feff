//! The directory that a pair lives in, and who holds it.
//!
//! ```text
//! .duet/
//!   channel.yaml     the Channel document, made with its defaults where there is none
//!   reaction/        Reaction's store
//!   notification/    Notification's store
//!   nats/            JetStream's storage
//!   up.json          addresses and processes of the `duet up` that runs, or of one that was killed
//!   up.lock          locked while `duet up` runs
//!   compare.json     what a `duet compare` has changed and will put back
//!   compare.lock     locked while `duet compare` runs
//! ```

use crate::{
    failure::{Doing, Failure, Kind},
    running::Running,
};
use std::{
    fs::{File, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Where a pair lives if nothing else is said, below the working directory.
const DEFAULT: &str = ".duet";

/// Which directory a verb works on.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataDir {
    /// Where the pair on this machine keeps its stores, its Channel document and its addresses
    #[arg(long = "data-dir", value_name = "DIR", default_value = DEFAULT)]
    path: PathBuf,
}

/// A file that is locked as long as this process runs; the system lets go of it however that ends.
#[derive(Debug)]
pub(crate) struct Held(#[expect(dead_code, reason = "the lock lives as long as the file")] File);

impl DataDir {
    /// This one, whatever the command line says.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// As given, unless it is the default.
    pub(crate) fn given(&self) -> Option<&Path> {
        (self.path != Path::new(DEFAULT)).then_some(&self.path)
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The Channel document's usual place.
    pub(crate) fn channel(&self) -> PathBuf {
        self.path.join("channel.yaml")
    }

    /// The directory of one part.
    pub(crate) fn of(&self, part: &str) -> PathBuf {
        self.path.join(part)
    }

    /// Makes the directory if it isn't there, and takes it for this process alone.
    pub(crate) fn hold(&mut self) -> Result<Held, Failure> {
        let hint = "Choose another with --data-dir DIR.";
        std::fs::create_dir_all(&self.path)
            .doing(|| format!("make the data directory {}", self.path.display()))
            .map_err(|failure| failure.hint(hint))?;
        // Children and later commands may have another working directory.
        self.path = std::path::absolute(&self.path).doing(|| "tell where it runs".to_owned())?;
        match self.lock("up.lock").map_err(|failure| failure.hint(hint))? {
            Some(held) => Ok(held),
            None => {
                let by = self.named().map(|it| format!(" (process {})", it.duet.pid));
                let what = format!(
                    "another `duet up`{} runs on {}",
                    by.unwrap_or_default(),
                    self.path.display()
                );
                Err(Failure::new(Kind::Taken, what).hint(hint))
            }
        }
    }

    /// Locks a file of the directory for this process alone; none if another has it.
    pub(crate) fn lock(&self, file: &str) -> Result<Option<Held>, Failure> {
        let path = self.path.join(file);
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .doing(|| format!("write into the data directory {}", self.path.display()))?;
        match opened.try_lock() {
            Ok(()) => Ok(Some(Held(opened))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).doing(|| format!("lock {}", path.display()))
            }
        }
    }

    /// Writes what the other verbs are to know; the file is there whole or not at all.
    pub(crate) fn tell(&self, running: &Running) -> Result<(), Failure> {
        self.keep("up.json", running)
    }

    /// Writes a file of the directory, as JSON; it is there whole or not at all.
    pub(crate) fn keep(&self, name: &str, data: &impl serde::Serialize) -> Result<(), Failure> {
        let path = self.path.join(name);
        let beside = self.path.join(format!(".{name}.new"));
        let write = || {
            let mut file = File::create(&beside)?;
            serde_json::to_writer_pretty(&file, data)?;
            file.write_all(b"\n")?;
            std::fs::rename(&beside, &path)
        };
        write().doing(|| format!("write {}", path.display()))
    }

    /// Takes away what was told: nothing runs any more.
    pub(crate) fn tell_nothing(&self) {
        let _ = std::fs::remove_file(self.path.join("up.json"));
    }

    /// What the last `duet up` told, whether it still runs or was killed.
    pub(crate) fn named(&self) -> Option<Running> {
        serde_json::from_slice(&std::fs::read(self.path.join("up.json")).ok()?).ok()
    }

    /// The `duet up` that runs, if one does.
    pub(crate) fn running(&self) -> Option<Running> {
        self.named().filter(|running| running.duet.is_running())
    }

    /// The `duet up` that must run for a verb to make sense.
    pub(crate) fn must_run(&self) -> Result<Running, Failure> {
        self.running().ok_or_else(|| {
            let what = format!(
                "no `duet up` runs on the data directory {}",
                self.path.display()
            );
            Failure::new(Kind::NotRunning, what)
                .hint("Start it (`make run`, or `duet up`), or name its directory with --data-dir. If the pair is in a Kubernetes cluster, say where with --namespace.")
        })
    }

    /// Makes the Channel document if there is none. Says whether it was made.
    pub(crate) fn make_channel(file: &Path, document: &str) -> Result<bool, Failure> {
        match File::create_new(file) {
            Ok(mut new) => new
                .write_all(document.as_bytes())
                .map(|()| true)
                .doing(|| format!("write {}", file.display())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).doing(|| format!("make {}", file.display())),
        }
    }
}
