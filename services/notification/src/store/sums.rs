//! What news comes to for each group: summed up in memory while a commit group is written, and written once before it is committed.
//!
//! Reactions come in crowds to the same posts: a group, its two indexes and its kinds are then written once for all of a crowd.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use duet_channel::store::StoreError;
use duet_channel::store::sqlite::WriteBehind;
use duet_protocol::time::Timestamp;
use duet_web::ids::{PostId, Title, UserId};
use rusqlite::{Connection, Result, params};

use super::groups::Member;
use crate::domain::{Newness, ReactionKind, Told};

/// See the module. Only the store's writer uses it, so that its lock is free.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<HashMap<PostId, Vec<Sum>>>);

/// Of the group that one owner of a post sees. A post has another owner only where it was made anew in another store.
#[derive(Debug)]
struct Sum {
    owner: UserId,
    news: Option<News>,
    kinds: Vec<(ReactionKind, i64)>,
}

#[derive(Debug)]
struct News {
    title: Title,
    new_members: i64,
    newness: Newness,
    at: Timestamp,
}

impl Sums {
    /// A reaction that is news to the owner: its group, made if it is the first, becomes the owner's newest, and unread.
    pub(super) fn news(&self, told: &Told, member: Member, newness: Newness) {
        let new = i64::from(member == Member::New);
        let at = told.at;
        self.change(&told.owner, &told.post, |sum| match &mut sum.news {
            Some(news) => {
                if news.title != told.title {
                    news.title = told.title.clone();
                }
                news.new_members += new;
                (news.newness, news.at) = (newness, at);
            }
            none => {
                *none = Some(News {
                    title: told.title.clone(),
                    new_members: new,
                    newness,
                    at,
                });
            }
        });
    }

    /// Changes how many reactions of a kind a group has.
    pub(super) fn count_kind(
        &self,
        owner: &UserId,
        post: &PostId,
        kind: &ReactionKind,
        change: i64,
    ) {
        self.change(owner, post, |sum| {
            match sum.kinds.iter_mut().find(|(of, _)| of == kind) {
                Some((_, count)) => *count += change,
                None => sum.kinds.push((kind.clone(), change)),
            }
        });
    }

    fn change(&self, owner: &UserId, post: &PostId, change: impl FnOnce(&mut Sum)) {
        let mut sums = self.lock();
        if let Some(of_post) = sums.get_mut(post)
            && let Some(sum) = of_post.iter_mut().find(|sum| sum.owner == *owner)
        {
            return change(sum);
        }
        let mut sum = Sum {
            owner: owner.clone(),
            news: None,
            kinds: Vec::new(),
        };
        change(&mut sum);
        sums.entry(post.clone()).or_default().push(sum);
    }

    /// Writes what is only in memory: before a group is read or changed in any other way, and before what was summed up is committed.
    ///
    /// # Errors
    /// Those of SQLite; then the transaction must be rolled back.
    pub(super) fn write(&self, connection: &Connection) -> Result<()> {
        let mut sums = self.lock();
        for (post, of_post) in sums.drain() {
            for sum in of_post {
                write(connection, &post, &sum)?;
            }
        }
        Ok(())
    }

    /// A panic while it was locked fails its job, and with that everything here is dropped.
    fn lock(&self) -> MutexGuard<'_, HashMap<PostId, Vec<Sum>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(connection: &Connection, post: &PostId, sum: &Sum) -> Result<()> {
    let Sum { owner, news, kinds } = sum;
    if let Some(news) = news {
        connection
            .prepare_cached(
                "INSERT INTO groups (owner, post, title, count, newness, at, read_up_to) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)
                 ON CONFLICT (owner, post) DO UPDATE SET
                   title = excluded.title, count = count + excluded.count, at = excluded.at, newness = excluded.newness",
            )?
            .execute(params![
                owner.as_str(),
                post.as_str(),
                news.title.as_str(),
                news.new_members,
                news.newness.0,
                news.at.micros(),
            ])?;
    }
    for (kind, change) in kinds.iter().filter(|(_, change)| *change != 0) {
        connection
            .prepare_cached(
                "INSERT INTO kinds (owner, post, kind, count) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (owner, post, kind) DO UPDATE SET count = count + excluded.count",
            )?
            .execute(params![
                owner.as_str(),
                post.as_str(),
                kind.as_str(),
                change
            ])?;
    }
    Ok(())
}

impl WriteBehind for Sums {
    fn write_back(&self, connection: &Connection) -> Result<(), StoreError> {
        Ok(self.write(connection)?)
    }

    fn rolled_back(&self) {
        self.lock().clear();
    }
}
