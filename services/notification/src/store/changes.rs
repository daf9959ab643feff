//! In which order groups changed: what a stream tells.

use duet_protocol::sequence::Incarnation;
use duet_web::ids::{PostId, UserId};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{checked, inbox};
use crate::domain::{Group, Newness};

/// The last change of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stands among all changes.
    pub newness: Newness,
    /// Of which post's group.
    pub post: PostId,
    /// The group as it is now; none if it went.
    pub group: Option<Group>,
}

/// Notes that a group changed other than by news: some of it went, or was read.
pub(super) fn note(
    connection: &Connection,
    owner: &UserId,
    post: &PostId,
    newness: Newness,
) -> Result<()> {
    connection
        .prepare_cached("REPLACE INTO changes (newness, owner, post) VALUES (?1, ?2, ?3)")?
        .execute(params![newness.0, owner.as_str(), post.as_str()])?;
    Ok(())
}

/// A part of an owner's changes, and how much is known by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
    /// Whether there are no more of them now.
    pub is_last: bool,
    /// Up to where these are all of the owner's changes.
    pub up_to: Newness,
    /// Up to where changes other than news, of whatever owner, are forgotten.
    pub forgotten: Newness,
}

/// Up to `limit` of an owner's changes after `after`: see [`after`].
pub fn page(connection: &Connection, owner: &UserId, after: Newness, limit: usize) -> Result<Page> {
    let number = |sql: &str| {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([], |row| row.get(0).map(Newness))
    };
    // Before the changes are read, so that none that is older can be missing among them; and what is forgotten after them.
    let newest = number("SELECT ifnull(max(newness), 0) FROM changes")?;
    let changes = self::after(connection, owner, after, limit)?;
    let forgotten = number("SELECT up_to FROM changes_forgotten")?;
    let last = changes.last().map_or(after, |change| change.newness);
    let is_last = changes.len() < limit;
    Ok(Page {
        changes,
        is_last,
        up_to: if is_last { last.max(newest) } else { last },
        forgotten,
    })
}

/// Up to `limit` of an owner's groups, by their last change after `after`, the oldest change first. What changed several times comes
/// once, as it is now.
pub fn after(
    connection: &Connection,
    owner: &UserId,
    after: Newness,
    limit: usize,
) -> Result<Vec<Change>> {
    let changes = connection
        .prepare_cached(
            "SELECT * FROM (
               SELECT newness, post FROM groups
               WHERE owner = ?1 AND newness > ?2
                 AND NOT EXISTS (SELECT 1 FROM changes WHERE owner = ?1 AND post = groups.post AND newness > groups.newness)
               ORDER BY newness LIMIT ?3)
             UNION ALL SELECT * FROM (
               SELECT newness, post FROM changes
               WHERE owner = ?1 AND newness > ?2
                 AND NOT EXISTS (SELECT 1 FROM groups WHERE owner = ?1 AND post = changes.post AND newness > changes.newness)
               ORDER BY newness LIMIT ?3)
             ORDER BY newness LIMIT ?3",
        )?
        .query_map(
            params![owner.as_str(), after.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((Newness(row.get(0)?), checked(row, 1)?)),
        )?
        .collect::<Result<Vec<(Newness, PostId)>>>()?;
    let mut told = Vec::with_capacity(changes.len());
    for (newness, post) in changes {
        let group = inbox::group(connection, owner, &post)?;
        told.push(Change {
            newness,
            post,
            group,
        });
    }
    Ok(told)
}

/// After which change a stream begins that tells what an owner's changes come to from now on: none of the owner's is newer, and none that
/// is forgotten.
pub fn last(connection: &Connection, owner: &UserId) -> Result<Newness> {
    connection
        .prepare_cached(
            "SELECT max(ifnull((SELECT max(newness) FROM groups WHERE owner = ?1), 0),
                        ifnull((SELECT max(newness) FROM changes), 0),
                        (SELECT up_to FROM changes_forgotten),
                        (SELECT max(opening) << 42 FROM openings))",
        )?
        .query_row([owner.as_str()], |row| row.get(0).map(Newness))
}

/// Whether all changes after `newness` can still be told to whom it was told by the store when that was `incarnation`: not if
/// that was another store, or one that this is an older copy of, and not if too much has changed since.
pub fn are_known_after(
    connection: &Connection,
    incarnation: Incarnation,
    newness: Newness,
) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM openings WHERE incarnation = ?1 AND opening >= ?2)
                AND (SELECT up_to <= ?3 FROM changes_forgotten)",
        )?
        .query_row(
            params![incarnation.0.cast_signed(), newness.opening(), newness.0],
            |row| row.get(0),
        )
}

/// The newest change that is older than the newest `keep`, if there are more.
pub fn newest_over(connection: &Connection, keep: u32) -> Result<Option<Newness>> {
    connection
        .prepare_cached("SELECT newness FROM changes ORDER BY newness DESC LIMIT 1 OFFSET ?1")?
        .query_row([keep], |row| row.get(0).map(Newness))
        .optional()
}

/// Forgets changes up to one, at most `limit` of them, the oldest first: whether there may be more.
pub fn forget(connection: &Connection, up_to: Newness, limit: u32) -> Result<bool> {
    let (last, count): (Option<i64>, u32) = connection
        .prepare_cached(
            "SELECT max(newness), count(*) FROM (
               SELECT newness FROM changes WHERE newness <= ?1 ORDER BY newness LIMIT ?2)",
        )?
        .query_row(params![up_to.0, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if let Some(last) = last {
        connection
            .prepare_cached("DELETE FROM changes WHERE newness <= ?1")?
            .execute([last])?;
        connection
            .prepare_cached("UPDATE changes_forgotten SET up_to = ?1")?
            .execute([last])?;
    }
    Ok(count == limit)
}
