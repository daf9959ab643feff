use std::collections::BTreeMap;

use duet_protocol::time::Timestamp;
use duet_web::cursor::{Owned, Position};
use duet_web::ids::{PostId, UserId};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use serde::{Deserialize, Serialize};

use super::checked;
use crate::domain::{Group, Newness, ReactionKind};

/// Where a group stands in its owner's list: what a page ended with, or what was read up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(UserId, i64, PostId);

impl Place {
    /// The place of one of an owner's groups.
    pub fn of(owner: &UserId, group: &Group) -> Self {
        Self(owner.clone(), group.newness.0, group.post.clone())
    }

    /// How new the group was.
    pub fn newness(&self) -> Newness {
        Newness(self.1)
    }
}

impl Position for Place {
    const LIST: &'static str = "notifications";
}

impl Owned for Place {
    fn owner(&self) -> &UserId {
        &self.0
    }
}

/// Up to `limit` of an owner's groups, the newest first, from the one after `after` on.
pub fn page(
    connection: &Connection,
    owner: &UserId,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<Group>> {
    let (newness, post) = after.map_or((i64::MAX, ""), |place| (place.1, place.2.as_str()));
    let mut groups = connection
        .prepare_cached(
            "SELECT post, title, count, at, newness, newness > read_up_to FROM groups
             WHERE owner = ?1 AND (newness, post) < (?2, ?3) ORDER BY newness DESC, post DESC LIMIT ?4",
        )?
        .query_map(
            params![owner.as_str(), newness, post, i64::try_from(limit).unwrap_or(i64::MAX)],
            without_members,
        )?
        .collect::<Result<Vec<_>>>()?;
    for group in &mut groups {
        add_members(connection, owner, group)?;
    }
    Ok(groups)
}

/// An owner's group for one post, if there is one.
pub(super) fn group(
    connection: &Connection,
    owner: &UserId,
    post: &PostId,
) -> Result<Option<Group>> {
    let group = connection
        .prepare_cached(
            "SELECT post, title, count, at, newness, newness > read_up_to FROM groups
             WHERE owner = ?1 AND post = ?2",
        )?
        .query_row([owner.as_str(), post.as_str()], without_members)
        .optional()?;
    let Some(mut group) = group else {
        return Ok(None);
    };
    add_members(connection, owner, &mut group)?;
    Ok(Some(group))
}

fn without_members(row: &Row<'_>) -> Result<Group> {
    Ok(Group {
        post: checked(row, 0)?,
        title: checked(row, 1)?,
        count: row.get::<_, i64>(2)?.cast_unsigned(),
        at: Timestamp::from_micros(row.get(3)?),
        newness: Newness(row.get(4)?),
        unread: row.get(5)?,
        kinds: BTreeMap::new(),
        actors: Vec::new(),
    })
}

fn add_members(connection: &Connection, owner: &UserId, group: &mut Group) -> Result<()> {
    group.kinds = kinds(connection, owner, &group.post)?;
    group.actors = actors(connection, owner, &group.post)?;
    Ok(())
}

fn kinds(
    connection: &Connection,
    owner: &UserId,
    post: &PostId,
) -> Result<BTreeMap<ReactionKind, u64>> {
    connection
        .prepare_cached(
            "SELECT kind, count FROM kinds WHERE owner = ?1 AND post = ?2 AND count > 0",
        )?
        .query_map([owner.as_str(), post.as_str()], |row| {
            Ok((checked(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?
        .collect()
}

fn actors(connection: &Connection, owner: &UserId, post: &PostId) -> Result<Vec<UserId>> {
    connection
        .prepare_cached(
            "SELECT user FROM notifications
             WHERE post = ?2 AND owner = ?1 AND kind IS NOT NULL AND user <> owner AND decision <> 2
             ORDER BY newness DESC LIMIT ?3",
        )?
        .query_map(
            params![owner.as_str(), post.as_str(), Group::ACTORS as i64],
            |row| checked(row, 0),
        )?
        .collect()
}

/// How many of an owner's groups have something unread in them.
pub fn unread(connection: &Connection, owner: &UserId) -> Result<u64> {
    let count = connection
        .prepare_cached("SELECT count FROM unread_groups WHERE owner = ?1")?
        .query_row([owner.as_str()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(count.unwrap_or_default().cast_unsigned())
}
