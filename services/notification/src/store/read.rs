//! Marks groups as read.

use duet_web::ids::{PostId, UserId};
use rusqlite::{Connection, Result, params};

use super::{Memory, changes, checked};
use crate::domain::Newness;

/// How many groups are marked in one transaction.
const AT_ONCE: usize = 256;

/// What of an owner's groups is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The group of this post, whole.
    Post(PostId),
    /// Everything that is not newer.
    UpTo(Newness),
}

/// Marks what is read of an owner's groups, as much as one transaction should: whether there may be more.
pub fn mark(connection: &Connection, memory: &Memory, owner: &UserId, read: &Read) -> Result<bool> {
    memory.sums.write(connection)?;
    match read {
        Read::Post(post) => {
            let marked = connection
                .prepare_cached(
                    "UPDATE groups SET read_up_to = newness WHERE owner = ?1 AND post = ?2 AND newness > read_up_to",
                )?
                .execute([owner.as_str(), post.as_str()])?;
            if marked > 0 {
                changes::note(connection, owner, post, memory.next())?;
            }
            Ok(false)
        }
        Read::UpTo(newness) => mark_up_to(connection, memory, owner, *newness),
    }
}

/// Of a group whose newest is newer, the rest is read all the same: undone, that newest leaves a read group.
fn mark_up_to(
    connection: &Connection,
    memory: &Memory,
    owner: &UserId,
    up_to: Newness,
) -> Result<bool> {
    let mut marked = connection
        .prepare_cached(
            "UPDATE groups SET read_up_to = min(newness, ?2) WHERE (owner, post) IN (
               SELECT owner, post FROM groups
               WHERE owner = ?1 AND newness > read_up_to AND read_up_to < min(newness, ?2)
               ORDER BY newness LIMIT ?3)
             RETURNING post, newness, newness > read_up_to",
        )?
        .query_map(params![owner.as_str(), up_to.0, AT_ONCE as i64], |row| {
            let post: PostId = checked(row, 0)?;
            Ok((Newness(row.get(1)?), post, row.get::<_, bool>(2)?))
        })?
        .collect::<Result<Vec<_>>>()?;
    marked.sort_unstable_by_key(|(newness, ..)| *newness);
    let more = marked.len() == AT_ONCE;
    for (_, post, is_unread) in marked {
        if !is_unread {
            changes::note(connection, owner, &post, memory.next())?;
        }
    }
    Ok(more)
}
