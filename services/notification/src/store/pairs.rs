use duet_channel::life::{Applied, Name, When};
use duet_channel::store::StoreError;
use duet_protocol::event::{Event, Key};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId, Version};
use duet_protocol::time::Timestamp;
use duet_web::ids::UserId;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Result, Row, params};

use super::checked;
use crate::domain::{Newness, ReactionKind, Standing, TakenBack, Told, Verdict};

/// What a pair's row holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub owner: UserId,
    pub kind: Option<ReactionKind>,
    pub at: Timestamp,
    /// Its place in the group, if it is or was in one.
    pub newness: Newness,
    pub before: Before,
    /// Of the event that wrote it.
    pub source: Source,
    pub version: Version,
    /// Of the event that wrote it, as the column has it.
    decision: i64,
}

/// How the pair stood before the last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It was in its group, at this place.
    Shown(Newness),
    /// It stood, and was in no group.
    Hidden,
    /// It did not stand, or nothing of it had come.
    Nothing,
}

impl Held {
    pub(super) fn standing(&self, user: &str) -> Standing {
        let hidden = user == self.owner.as_str() || self.decision == code(Some(Verdict::Muted));
        // Of a row from before decisions were kept, an undone one was in its group.
        let withdrawn = [0, code(Some(Verdict::Withdrawn))].contains(&self.decision);
        match (&self.kind, hidden) {
            (Some(_), true) => Standing::Hidden,
            (Some(_), false) => Standing::Shown,
            (None, false) if withdrawn => Standing::Withdrawn,
            (None, false) => Standing::Unseen,
            (None, true) => Standing::Gone,
        }
    }

    /// The kind under which the owner sees it, if the owner does.
    pub(super) fn shown(&self, user: &str) -> Option<&ReactionKind> {
        let kind = self.kind.as_ref();
        kind.filter(|_| self.standing(user) == Standing::Shown)
    }

    /// What was decided of the event that wrote the row, as far as it can tell.
    pub(super) fn verdict(&self, user: &str) -> Option<Verdict> {
        let decided = [
            Verdict::Notified,
            Verdict::Muted,
            Verdict::Own,
            Verdict::Withdrawn,
        ];
        let kept = decided
            .into_iter()
            .find(|it| code(Some(*it)) == self.decision);
        match kept {
            None if self.decision == 0 && user == self.owner.as_str() => Some(Verdict::Own),
            None if self.decision == 0 && self.kind.is_some() => Some(Verdict::Notified),
            kept => kept,
        }
    }

    /// How the pair stands, as what comes next has to remember it.
    pub(super) fn as_before(&self, user: &str) -> Before {
        match self.standing(user) {
            Standing::Shown => Before::Shown(self.newness),
            Standing::Hidden => Before::Hidden,
            Standing::Withdrawn | Standing::Gone | Standing::Unseen => Before::Nothing,
        }
    }

    /// What became here of the change that `told` takes back.
    pub(super) fn taken_back(&self, told: &Told) -> TakenBack {
        let came = told.restores && !told.announces && self.kind.is_some() && self.at != told.at;
        match self.before {
            Before::Shown(_) if came => TakenBack::FromShown,
            Before::Hidden if came => TakenBack::FromHidden,
            _ => TakenBack::Unknown,
        }
    }
}

/// A verdict as the column `decision` has it; 0 stands in rows from before there was one.
const fn code(verdict: Option<Verdict>) -> i64 {
    match verdict {
        Some(Verdict::Notified) => 1,
        Some(Verdict::Muted) => 2,
        Some(Verdict::Own) => 3,
        Some(Verdict::Withdrawn) => 4,
        None => 5,
    }
}

/// How [`Before::Hidden`] stands in the column `newness_before`, where [`Before::Nothing`] is NULL.
const HIDDEN: i64 = -1;

/// The statements that almost every event runs, each prepared once for a batch.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    get: Option<CachedStatement<'c>>,
    put: Option<CachedStatement<'c>>,
}

impl<'c> Statements<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            get: None,
            put: None,
        }
    }

    /// What a pair's row holds.
    pub(super) fn get(&mut self, post: &str, user: &str) -> Result<Option<Held>> {
        let get = prepared(&mut self.get, self.connection, GET)?;
        get.query_row([post, user], held).optional()
    }
}

/// A statement that is prepared when it is first wanted.
fn prepared<'s, 'c>(
    statement: &'s mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> Result<&'s mut CachedStatement<'c>> {
    match statement {
        Some(statement) => Ok(statement),
        none => Ok(none.insert(connection.prepare_cached(sql)?)),
    }
}

const GET: &str = "SELECT owner, kind, at, newness, newness_before, epoch, sequence, decision, store, partitions, partition
     FROM notifications WHERE post = ?1 AND user = ?2";

pub(super) fn get(connection: &Connection, post: &str, user: &str) -> Result<Option<Held>> {
    Statements::new(connection).get(post, user)
}

fn held(row: &Row<'_>) -> Result<Held> {
    let kind = match row.get_ref(1)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(checked(row, 1)?),
    };
    let epoch = Epoch(row.get::<_, i64>(5)?.cast_unsigned());
    let sequence = Sequence(row.get::<_, i64>(6)?.cast_unsigned());
    let lane = Lane {
        store: StoreId(row.get::<_, i64>(8)?.cast_unsigned()),
        partitions: row.get(9)?,
        partition: Partition(row.get(10)?),
    };
    Ok(Held {
        owner: checked(row, 0)?,
        kind,
        at: Timestamp::from_micros(row.get(2)?),
        newness: Newness(row.get(3)?),
        before: match row.get(4)? {
            None => Before::Nothing,
            Some(HIDDEN) => Before::Hidden,
            Some(newness) => Before::Shown(Newness(newness)),
        },
        decision: row.get(7)?,
        source: lane.source(epoch),
        version: Version { epoch, sequence },
    })
}

/// What a row keeps beside what its event told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// Its place in the group, if it is or was in one.
    pub newness: Newness,
    pub before: Before,
    /// When the event was applied; none where nobody asked for it to be kept.
    pub applied: Option<Timestamp>,
}

/// What a pair's row tells of the event that wrote it; none if there is no row.
///
/// # Errors
/// Those of SQLite.
pub fn applied(connection: &Connection, key: &Key) -> Result<Option<Applied>, StoreError> {
    let Some((post, user)) = key.as_str().split_once('/') else {
        return Ok(None);
    };
    let Some(held) = get(connection, post, user)? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached(
        "SELECT store, partitions, partition, at + applied_after FROM notifications WHERE post = ?1 AND user = ?2",
    )?;
    let applied = select.query_row([post, user], |row| {
        let lane = Lane {
            store: StoreId(row.get::<_, i64>(0)?.cast_unsigned()),
            partitions: row.get(1)?,
            partition: Partition(row.get(2)?),
        };
        let applied: Option<i64> = row.get(3)?;
        Ok(Applied {
            event: Name::of(lane, held.version),
            value: held.kind.as_ref().map(ReactionKind::to_string),
            decision: held.verdict(user).map(|it| it.word().as_str().to_owned()),
            owner: Some(held.owner.to_string()),
            applied: applied.map(|micros| When(Timestamp::from_micros(micros))),
        })
    });
    Ok(Some(applied?))
}

const PUT: &str = "INSERT INTO notifications (post, user, owner, kind, at, newness, newness_before,
                                store, partitions, partition, epoch, sequence, decision, applied_after)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
     ON CONFLICT (post, user) DO UPDATE SET
       owner = excluded.owner, kind = excluded.kind, at = excluded.at,
       newness = excluded.newness, newness_before = excluded.newness_before,
       store = excluded.store, partitions = excluded.partitions, partition = excluded.partition,
       epoch = excluded.epoch, sequence = excluded.sequence, decision = excluded.decision,
       applied_after = excluded.applied_after";

impl Statements<'_> {
    /// Writes what `event` told into its pair's row.
    pub(super) fn put(
        &mut self,
        event: &Event,
        told: &Told,
        placed: Placed,
        verdict: Option<Verdict>,
    ) -> Result<()> {
        let Placed {
            newness,
            before,
            applied,
        } = placed;
        let Lane {
            store,
            partitions,
            partition,
        } = event.source.lane;
        prepared(&mut self.put, self.connection, PUT)?.execute(params![
            told.post.as_str(),
            told.user.as_str(),
            told.owner.as_str(),
            told.kind.as_ref().map(ReactionKind::as_str),
            told.at.micros(),
            newness.0,
            match before {
                Before::Shown(newness) => Some(newness.0),
                Before::Hidden => Some(HIDDEN),
                Before::Nothing => None,
            },
            store.0.cast_signed(),
            partitions,
            partition.0,
            event.source.epoch.0.cast_signed(),
            event.sequence.0.cast_signed(),
            code(verdict),
            applied.map(|applied| applied.micros() - told.at.micros()),
        ])?;
        Ok(())
    }
}

/// Drops a pair's row; what it held.
pub(super) fn remove(connection: &Connection, post: &str, user: &str) -> Result<Option<Held>> {
    let held = get(connection, post, user)?;
    connection
        .prepare_cached("DELETE FROM notifications WHERE post = ?1 AND user = ?2")?
        .execute([post, user])?;
    Ok(held)
}

/// The keys of at most `limit` pairs after one, and the epochs of the events that wrote them.
pub(super) fn epochs(
    connection: &Connection,
    post: &str,
    user: &str,
    limit: usize,
) -> Result<Vec<(Key, Epoch)>> {
    let mut select = connection.prepare_cached(
        "SELECT post || '/' || user, epoch FROM notifications
         WHERE (post, user) > (?1, ?2) ORDER BY post, user LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![post, user, limit], |row| {
        let epoch = Epoch(row.get::<_, i64>(1)?.cast_unsigned());
        Ok((row.get::<_, String>(0)?, epoch))
    })?;
    rows.filter_map(|row| match row {
        Ok((key, epoch)) => Key::new(key).map(|key| Ok((key, epoch))),
        Err(error) => Some(Err(error)),
    })
    .collect()
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

/// How many rows stand, for each store whose events wrote them; of epochs below this one, if one is given.
pub(crate) fn count(
    connection: &Connection,
    below: Option<Epoch>,
) -> std::result::Result<Vec<(StoreId, u64)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT store, count(*) FROM notifications WHERE kind IS NOT NULL AND (?1 IS NULL OR epoch < ?1) GROUP BY store",
    )?;
    let below = below.map(|below| below.0.cast_signed());
    let of_each = select.query_map([below], |row| {
        let [store, rows] = [row.get::<_, i64>(0)?, row.get(1)?].map(i64::cast_unsigned);
        Ok((StoreId(store), rows))
    })?;
    Ok(of_each.collect::<Result<_>>()?)
}
