//! What users have muted.

use duet_web::ids::UserId;
use rusqlite::{Connection, Result, params};

use super::checked;
use crate::domain::{Kind, Mute, ReactionKind, Told};

/// What a row of the table mutes.
#[derive(Clone, Copy)]
enum What {
    Post = 1,
    Kind = 2,
    User = 3,
}

/// Whether a post's owner has muted what is told: its post, its kind or its user.
pub(super) fn is_muted(connection: &Connection, told: &Told, kind: &ReactionKind) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM mutes WHERE user = ?1 AND what = 1 AND name = ?2)
                 OR EXISTS (SELECT 1 FROM mutes WHERE user = ?1 AND what = 2 AND name = ?3)
                 OR EXISTS (SELECT 1 FROM mutes WHERE user = ?1 AND what = 3 AND name = ?4)",
        )?
        .query_row(
            [
                told.owner.as_str(),
                told.post.as_str(),
                kind.as_str(),
                told.user.as_str(),
            ],
            |row| row.get(0),
        )
}

/// What a user has muted.
pub fn get(connection: &Connection, user: &UserId) -> Result<Mute> {
    let mut mute = Mute::default();
    let mut select = connection.prepare_cached("SELECT name, what FROM mutes WHERE user = ?1")?;
    let mut rows = select.query([user.as_str()])?;
    while let Some(row) = rows.next()? {
        match row.get(1)? {
            1 => drop(mute.posts.insert(checked(row, 0)?)),
            // One that is not known here is a newer version's: it goes on muting, untold.
            2 => mute.kinds.extend(Kind::of(&checked(row, 0)?)),
            _ => drop(mute.users.insert(checked(row, 0)?)),
        }
    }
    Ok(mute)
}

/// Replaces what a user has muted. Tell [`Memory`](super::Memory::mutes_now) in the same transaction.
pub fn put(connection: &Connection, user: &UserId, mute: &Mute) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM mutes WHERE user = ?1")?
        .execute([user.as_str()])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO mutes (user, what, name) VALUES (?1, ?2, ?3)")?;
    let mut insert =
        |what: What, name: &str| insert.execute(params![user.as_str(), what as i64, name]);
    for post in &mute.posts {
        insert(What::Post, post.as_str())?;
    }
    for kind in &mute.kinds {
        insert(What::Kind, kind.as_str())?;
    }
    for user in &mute.users {
        insert(What::User, user.as_str())?;
    }
    Ok(())
}

/// Tells every user who has muted anything.
pub(super) fn each_user(connection: &Connection, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut select = connection.prepare("SELECT DISTINCT user FROM mutes")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        tell(row.get_ref(0)?.as_str()?);
    }
    Ok(())
}
