use std::sync::Arc;

use duet_channel::store::StoreError;
use duet_channel::store::sqlite::life::OwnRow;
use duet_protocol::accept::{Row, Rows, Write};
use duet_protocol::event::{Data, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::sequence::{Epoch, Sequence, Version};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use duet_web::ids::{PostId, UserId};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{Kept, checked};
use crate::domain::{Kind, Pair, Reaction, Stand, Told};

/// A pair's reaction; none if there is none.
pub fn get(connection: &Connection, pair: &Pair) -> Result<Option<Reaction>> {
    connection
        .prepare_cached("SELECT user, kind, at FROM reactions WHERE post = ?1 AND user = ?2 AND kind IS NOT NULL")?
        .query_row([pair.post.as_str(), pair.user.as_str()], reaction)
        .optional()
}

/// Up to `limit` reactions to a post in the order of their users, from the one after `after` on.
pub fn page(
    connection: &Connection,
    post: &PostId,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<Reaction>> {
    connection
        .prepare_cached(
            "SELECT user, kind, at FROM reactions
             WHERE post = ?1 AND user > ?2 AND kind IS NOT NULL ORDER BY user LIMIT ?3",
        )?
        .query_map(
            params![
                post.as_str(),
                after.map_or("", UserId::as_str),
                i64::try_from(limit).unwrap_or(i64::MAX)
            ],
            reaction,
        )?
        .collect()
}

fn reaction(row: &rusqlite::Row<'_>) -> Result<Reaction> {
    Ok(Reaction {
        user: checked(row, 0)?,
        kind: kind(row, 1)?,
        at: Timestamp::from_micros(row.get(2)?),
    })
}

fn kind(row: &rusqlite::Row<'_>, column: usize) -> Result<Kind> {
    let code = row.get(column)?;
    Kind::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, code))
}

/// What a pair's row tells of the event that wrote it; none if there is none.
pub fn own_row(connection: &Connection, key: &Key) -> Result<Option<OwnRow>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT kind, at, epoch, sequence, provisional, generation, restored, trace FROM reactions
         WHERE post = ?1 AND user = ?2",
    )?;
    // A key that is no pair's has no row.
    let row = select.query_row(Pair::split(key).unwrap_or_default(), |row| {
        let value = match row.get_ref(0)? {
            ValueRef::Null => None,
            _ => Some(kind(row, 0)?.name().to_owned()),
        };
        let (generation, restored): (i64, Option<i64>) = (row.get(5)?, row.get(6)?);
        let trace: Option<[u8; 16]> = row.get(7)?;
        Ok(OwnRow {
            value,
            version: Version {
                epoch: Epoch(row.get::<_, i64>(2)?.cast_unsigned()),
                sequence: Sequence(row.get::<_, i64>(3)?.cast_unsigned()),
            },
            accepted: Timestamp::from_micros(restored.map_or_else(|| row.get(1), Ok)?),
            generation: (generation > 0).then(|| Generation(generation.cast_unsigned())),
            provisional: row.get(4)?,
            restores: restored.is_some(),
            trace: trace.map(|id| format!("{:032x}", u128::from_be_bytes(id))),
        })
    });
    Ok(row.optional()?)
}

/// Drops at most `limit` undone rows whose events every receiver holds: those up to and including `up_to`.
pub fn drop_undone(connection: &Connection, up_to: Version, limit: usize) -> Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM reactions WHERE (post, user) IN (
               SELECT post, user FROM reactions
               WHERE kind IS NULL AND (epoch, sequence) <= (?1, ?2) ORDER BY epoch, sequence LIMIT ?3)",
        )?
        .execute(params![up_to.epoch.0.cast_signed(), up_to.sequence.0.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)])
}

/// The rows that events write, in the transaction that their outbox is in.
pub struct Table<'c> {
    connection: &'c Connection,
    kept: Arc<Kept>,
    /// What the row that was read last held: it is the one that is then written.
    last_read: Option<(Key, Option<Kind>)>,
}

impl<'c> Table<'c> {
    /// The rows of a transaction.
    pub fn new(connection: &'c Connection, kept: Arc<Kept>) -> Self {
        Self {
            connection,
            kept,
            last_read: None,
        }
    }
}

impl Rows for Table<'_> {
    type Value = Stand;
    type Error = StoreError;

    fn row(&mut self, key: &Key) -> Result<Option<Row<Stand>>, StoreError> {
        let row = self.read(key)?;
        let stands = row.as_ref().and_then(|row| row.value);
        self.last_read = Some((key.clone(), stands.map(|stand| stand.kind)));
        Ok(row)
    }

    fn write(&mut self, key: &Key, write: Write<'_, Stand>) -> Result<Data, StoreError> {
        let (post, user) = split(key)?;
        let before = match self.last_read.take() {
            Some((read, kind)) if read == *key => kind,
            _ => self
                .read(key)?
                .and_then(|row| row.value)
                .map(|stand| stand.kind),
        };
        // What is restored stands since it was made, everything else since now.
        let at = match write.value {
            Some(stand) if write.restores => stand.since,
            _ => write.at,
        };
        let kind = write.value.map(|stand| stand.kind);
        self.put(post, user, kind, at, &write)?;
        if before != kind {
            for (kind, change) in [(before, -1), (kind, 1)] {
                if let Some(kind) = kind {
                    self.kept.count(post, kind, change);
                }
            }
        }
        self.data(
            key,
            Told {
                post,
                user,
                owner: "",
                title: "",
                kind,
                at,
                restores: write.restores,
                announces: false,
            },
        )
    }

    fn page(
        &mut self,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Row<Stand>)>, StoreError> {
        let (post, user) = after.map_or(Ok(("", "")), split)?;
        let mut select = self.connection.prepare_cached(
            "SELECT kind, at, epoch, sequence, provisional, post || '/' || user FROM reactions
             WHERE (post, user) > (?1, ?2) ORDER BY post, user LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![post, user, limit], |stored| {
            Ok((stored.get::<_, String>(5)?, row(stored)?))
        })?;
        let keyed = |keyed: Result<(String, Row<Stand>)>| {
            let (key, row) = keyed?;
            let corrupt =
                || StoreError::Corrupt(format!("a pair's key of {} bytes", key.len()).into());
            Ok((Key::new(key.as_str()).ok_or_else(corrupt)?, row))
        };
        rows.map(keyed).collect()
    }

    fn announce(&mut self, key: &Key, stand: &Stand) -> Result<Data, StoreError> {
        let (post, user) = split(key)?;
        self.data(
            key,
            Told {
                post,
                user,
                owner: "",
                title: "",
                kind: Some(stand.kind),
                at: stand.since,
                restores: true,
                announces: true,
            },
        )
    }

    fn hash(&self, key: &Key, stand: &Stand) -> RollingHash {
        row_hash(key, stand.kind.name().as_bytes())
    }
}

/// A row from its columns kind, at, epoch, sequence and provisional.
fn row(row: &rusqlite::Row<'_>) -> Result<Row<Stand>> {
    let value = match row.get_ref(0)? {
        ValueRef::Null => None,
        _ => Some(Stand {
            kind: kind(row, 0)?,
            since: Timestamp::from_micros(row.get(1)?),
        }),
    };
    let epoch = Epoch(row.get::<_, i64>(2)?.cast_unsigned());
    let sequence = Sequence(row.get::<_, i64>(3)?.cast_unsigned());
    Ok(Row {
        value,
        version: Version { epoch, sequence },
        provisional: row.get(4)?,
    })
}

/// How many reactions stand.
pub fn count(connection: &Connection) -> Result<u64> {
    let sum = "SELECT coalesce(sum(count), 0) FROM counts";
    let mut sum = connection.prepare_cached(sum)?;
    sum.query_row([], |row| row.get(0).map(i64::cast_unsigned))
}

impl Table<'_> {
    fn read(&self, key: &Key) -> Result<Option<Row<Stand>>, StoreError> {
        let (post, user) = split(key)?;
        let mut select = self.connection.prepare_cached(
            "SELECT kind, at, epoch, sequence, provisional FROM reactions WHERE post = ?1 AND user = ?2",
        )?;
        Ok(select.query_row([post, user], row).optional()?)
    }

    fn put(
        &self,
        post: &str,
        user: &str,
        kind: Option<Kind>,
        at: Timestamp,
        write: &Write<'_, Stand>,
    ) -> Result<()> {
        let Write {
            version,
            provisional,
            restores,
            generation,
            trace,
            ..
        } = *write;
        self.connection
            .prepare_cached(
                "INSERT INTO reactions (post, user, kind, at, epoch, sequence, provisional, generation, restored, trace)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (post, user) DO UPDATE SET
                   kind = excluded.kind, at = excluded.at, epoch = excluded.epoch,
                   sequence = excluded.sequence, provisional = excluded.provisional,
                   generation = excluded.generation, restored = excluded.restored, trace = excluded.trace",
            )?
            .execute(params![
                post,
                user,
                kind.map(Kind::code),
                at.micros(),
                version.epoch.0.cast_signed(),
                version.sequence.0.cast_signed(),
                provisional,
                generation.0.cast_signed(),
                restores.then(|| write.at.micros()),
                trace.sampled().map(u128::to_be_bytes),
            ])?;
        Ok(())
    }

    /// What an event about a pair tells; the post's owner and title come in here.
    fn data(&self, key: &Key, told: Told<'_>) -> Result<Data, StoreError> {
        let data = self
            .kept
            .told(self.connection, told.post, |owner, title| {
                let told = Told {
                    owner,
                    title,
                    ..told
                };
                told.data(key)
            })?
            .ok_or_else(|| {
                StoreError::Corrupt(format!("{key} is of a post that is not there").into())
            })?;
        data.map_err(|error| StoreError::NotCommitted(error.to_string().into()))
    }
}

fn split(key: &Key) -> Result<(&str, &str), StoreError> {
    Pair::split(key).ok_or_else(|| StoreError::Corrupt(format!("{key} is no pair's key").into()))
}
