//! What the writer keeps in memory of posts: who is told what of them, and what their counts change by, which is written once for all
//! of a commit group.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use duet_channel::store::StoreError;
use duet_channel::store::sqlite::WriteBehind;
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::domain::Kind;

/// See the module. Only the store's writer uses it, so that its lock is free.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Posts>);

/// How many posts are kept; over it, all are looked up anew. One takes a few hundred bytes.
const MOST: usize = 4096;

#[derive(Debug, Default)]
struct Posts {
    /// Owner and title of posts that are there.
    told: HashMap<Box<str>, Told>,
    /// How many more reactions of a kind each post has than its rows say.
    counts: HashMap<Box<str>, Vec<(Kind, i64)>>,
}

/// What an event tells of its post.
#[derive(Clone, Debug)]
struct Told {
    owner: Box<str>,
    title: Box<str>,
}

impl Kept {
    /// Whether a post is there.
    pub fn exists(&self, connection: &Connection, post: &str) -> Result<bool> {
        Ok(self.told(connection, post, |_, _| ())?.is_some())
    }

    /// What is made of a post's owner and title; none if it isn't there.
    pub(super) fn told<T>(
        &self,
        connection: &Connection,
        post: &str,
        make: impl FnOnce(&str, &str) -> T,
    ) -> Result<Option<T>> {
        let mut posts = self.lock();
        if let Some(Told { owner, title }) = posts.told.get(post) {
            return Ok(Some(make(owner, title)));
        }
        let mut select =
            connection.prepare_cached("SELECT owner, title FROM posts WHERE post = ?1")?;
        let read = |row: &rusqlite::Row<'_>| {
            let (owner, title) = (row.get(0)?, row.get(1)?);
            Ok(Told { owner, title })
        };
        let Some(told) = select.query_row([post], read).optional()? else {
            return Ok(None);
        };
        let made = make(&told.owner, &told.title);
        if posts.told.len() >= MOST {
            posts.told.clear();
        }
        posts.told.insert(post.into(), told);
        Ok(Some(made))
    }

    /// A post is about to be put: what is kept of it is no longer so.
    pub(super) fn forget(&self, post: &str) {
        self.lock().told.remove(post);
    }

    /// Changes how many reactions of a kind a post has.
    pub(super) fn count(&self, post: &str, kind: Kind, change: i64) {
        let mut posts = self.lock();
        let Some(kinds) = posts.counts.get_mut(post) else {
            posts.counts.insert(post.into(), vec![(kind, change)]);
            return;
        };
        match kinds.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, count)) => *count += change,
            None => kinds.push((kind, change)),
        }
    }

    /// Writes what is only in memory: before counts are read in the transaction, and before it is committed.
    ///
    /// # Errors
    /// Those of SQLite; then the transaction must be rolled back.
    pub fn write(&self, connection: &Connection) -> Result<()> {
        let mut posts = self.lock();
        for (post, kinds) in posts.counts.drain() {
            for (kind, change) in kinds.into_iter().filter(|(_, change)| *change != 0) {
                connection
                    .prepare_cached(
                        "INSERT INTO counts (post, kind, count) VALUES (?1, ?2, ?3)
                         ON CONFLICT (post, kind) DO UPDATE SET count = count + excluded.count",
                    )?
                    .execute(params![post, kind.code(), change])?;
            }
        }
        Ok(())
    }

    /// A panic while it was locked fails its job, and with that everything here is dropped.
    fn lock(&self) -> MutexGuard<'_, Posts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteBehind for Kept {
    fn write_back(&self, connection: &Connection) -> Result<(), StoreError> {
        Ok(self.write(connection)?)
    }

    fn rolled_back(&self) {
        let mut posts = self.lock();
        posts.told.clear();
        posts.counts.clear();
    }
}
