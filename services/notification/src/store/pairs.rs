use duet_protocol::event::{Event, Key};
use duet_protocol::sequence::{Epoch, Lane, Sequence, Version};
use duet_protocol::time::Timestamp;
use duet_web::ids::UserId;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::checked;
use crate::domain::{Newness, ReactionKind, Told};

/// What a pair's row holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub owner: UserId,
    pub kind: Option<ReactionKind>,
    pub at: Timestamp,
    pub newness: Newness,
    pub newness_before: Option<Newness>,
    pub version: Version,
}

impl Held {
    /// The kind under which the owner sees it, if the owner does.
    pub(super) fn shown(&self, user: &UserId) -> Option<&ReactionKind> {
        self.kind.as_ref().filter(|_| *user != self.owner)
    }
}

pub(super) fn get(connection: &Connection, post: &str, user: &str) -> Result<Option<Held>> {
    connection
        .prepare_cached(
            "SELECT owner, kind, at, newness, newness_before, epoch, sequence FROM notifications
             WHERE post = ?1 AND user = ?2",
        )?
        .query_row([post, user], |row| {
            let kind = match row.get_ref(1)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(checked(row, 1)?),
            };
            let epoch = Epoch(row.get::<_, i64>(5)?.cast_unsigned());
            let sequence = Sequence(row.get::<_, i64>(6)?.cast_unsigned());
            Ok(Held {
                owner: checked(row, 0)?,
                kind,
                at: Timestamp::from_micros(row.get(2)?),
                newness: Newness(row.get(3)?),
                newness_before: row.get::<_, Option<i64>>(4)?.map(Newness),
                version: Version { epoch, sequence },
            })
        })
        .optional()
}

/// Writes what `event` told into its pair's row.
pub(super) fn put(
    connection: &Connection,
    event: &Event,
    told: &Told,
    newness: Newness,
    newness_before: Option<Newness>,
) -> Result<()> {
    let Lane {
        store,
        partitions,
        partition,
    } = event.source.lane;
    connection
        .prepare_cached(
            "INSERT INTO notifications (post, user, owner, kind, at, newness, newness_before,
                                        store, partitions, partition, epoch, sequence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (post, user) DO UPDATE SET
               owner = excluded.owner, kind = excluded.kind, at = excluded.at,
               newness = excluded.newness, newness_before = excluded.newness_before,
               store = excluded.store, partitions = excluded.partitions, partition = excluded.partition,
               epoch = excluded.epoch, sequence = excluded.sequence",
        )?
        .execute(params![
            told.post.as_str(),
            told.user.as_str(),
            told.owner.as_str(),
            told.kind.as_ref().map(ReactionKind::as_str),
            told.at.micros(),
            newness.0,
            newness_before.map(|newness| newness.0),
            store.0.cast_signed(),
            partitions,
            partition.0,
            event.source.epoch.0.cast_signed(),
            event.sequence.0.cast_signed(),
        ])?;
    Ok(())
}

/// The keys of at most `limit` of a lane's tombstones, up to and including a version, the oldest first.
pub(super) fn tombstones(
    connection: &Connection,
    lane: Lane,
    up_to: Version,
    limit: usize,
) -> Result<Vec<Key>> {
    let mut statement = connection.prepare_cached(
        "SELECT post || '/' || user FROM notifications
         WHERE kind IS NULL AND store = ?1 AND partitions = ?2 AND partition = ?3 AND (epoch, sequence) <= (?4, ?5)
         ORDER BY epoch, sequence LIMIT ?6",
    )?;
    let keys = statement.query_map(
        params![
            lane.store.0.cast_signed(),
            lane.partitions,
            lane.partition.0,
            up_to.epoch.0.cast_signed(),
            up_to.sequence.0.cast_signed(),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ],
        |row| row.get::<_, String>(0),
    )?;
    keys.filter_map(|key| key.map(Key::new).transpose())
        .collect()
}

/// Drops a pair's row, if it is a tombstone.
pub(super) fn drop_tombstone(connection: &Connection, post: &str, user: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM notifications WHERE post = ?1 AND user = ?2 AND kind IS NULL")?
        .execute([post, user])?;
    Ok(())
}
