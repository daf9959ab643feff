//! What SQLite takes for one commit here, by itself: the least that storing something durably costs a caller.

use crate::{
    failure::{Doing, Failure},
    waits::Waits,
};
use rusqlite::Connection;
use std::{path::Path, time::Instant};

/// Commits of which the waits are told.
const COMMITS: u32 = 500;
/// Commits before them: the file has grown, and its log is in use.
const FIRST: u32 = 100;

/// Commits one row after the other, as the stores are set: write-ahead log, synchronous=FULL.
pub(super) fn waits(home: &Path) -> Result<Waits, Failure> {
    let dir = tempfile::tempdir_in(home).doing(|| "make a directory for commits".to_owned())?;
    let mut waits = Waits::new()?;
    let mut commit = || -> rusqlite::Result<()> {
        let store = Connection::open(dir.path().join("commits.sqlite"))?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             CREATE TABLE rows (id INTEGER PRIMARY KEY, post TEXT NOT NULL, user TEXT NOT NULL, at INTEGER NOT NULL)",
        )?;
        let mut insert = store.prepare("INSERT INTO rows (post, user, at) VALUES (?1, ?2, ?3)")?;
        for commit in 0..FIRST + COMMITS {
            let row = (
                format!("post-{}", commit % 100),
                format!("user-{commit:08x}"),
                commit,
            );
            let started = Instant::now();
            insert.execute(row)?;
            if commit >= FIRST {
                waits.record(started.elapsed());
            }
        }
        Ok(())
    };
    commit().doing(|| format!("commit rows in {}", home.display()))?;
    Ok(waits)
}
