//! Groups that change other than by news, which is [`super::sums`]'. What is summed up must be written before.

use duet_web::ids::{PostId, UserId};
use rusqlite::{Connection, Result, params};

use crate::domain::{Newness, Told};

/// Whether a reaction comes into its group, or was there before and changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    New,
    Known,
}

impl Member {
    pub(super) fn of(was_there: bool) -> Self {
        if was_there {
            Member::Known
        } else {
            Member::New
        }
    }
}

/// A reaction that comes into its group without being news. Call [`settle`] once its row is written.
pub(super) fn join(connection: &Connection, told: &Told, newness: Newness) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO groups (owner, post, title, count, newness, at, read_up_to) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?4)
             ON CONFLICT (owner, post) DO UPDATE SET count = count + 1",
        )?
        .execute(params![told.owner.as_str(), told.post.as_str(), told.title.as_str(), newness.0, told.at.micros()])?;
    Ok(())
}

/// A reaction that leaves its group. Call [`settle`] once its row is written.
pub(super) fn leave(connection: &Connection, owner: &UserId, post: &PostId) -> Result<()> {
    connection
        .prepare_cached("UPDATE groups SET count = count - 1 WHERE owner = ?1 AND post = ?2")?
        .execute([owner.as_str(), post.as_str()])?;
    Ok(())
}

/// Brings a group in line with its rows after one went or changed its place: its newest one is found anew, an empty group goes.
pub(super) fn settle(connection: &Connection, owner: &UserId, post: &PostId) -> Result<()> {
    let group = [owner.as_str(), post.as_str()];
    let emptied = connection
        .prepare_cached("DELETE FROM groups WHERE owner = ?1 AND post = ?2 AND count <= 0")?
        .execute(group)?;
    if emptied > 0 {
        connection
            .prepare_cached("DELETE FROM kinds WHERE owner = ?1 AND post = ?2")?
            .execute(group)?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE groups SET (newness, at) = (
               SELECT newness, at FROM notifications
               WHERE post = ?2 AND owner = ?1 AND kind IS NOT NULL AND user <> owner AND decision <> 2
               ORDER BY newness DESC LIMIT 1)
             WHERE owner = ?1 AND post = ?2",
        )?
        .execute(group)?;
    Ok(())
}
