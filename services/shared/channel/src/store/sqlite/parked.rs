//! The parked table over SQLite: what could not be applied yet, dead letters, and jobs.

use std::time::Duration;

use duet_protocol::delivery::{Fingerprint, Parked, State, is_retry_due};
use duet_protocol::event::{Event, EventId, Key};
use duet_protocol::receive::Failure;
use duet_protocol::sequence::{Epoch, Sequence};
use duet_protocol::sweep::Sweep;
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, signed, unsigned};
use super::inbox::{cause, lane};
use super::transaction::SqliteTx;
use crate::store::StoreError;

/// What the table has since attempts end, as a migration of the channel's.
pub(super) const TABLE: &str = "
-- Events that were received and could not be applied: those that are tried again, dead letters, and jobs.
ALTER TABLE parked ADD COLUMN dead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parked ADD COLUMN job INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parked ADD COLUMN last_failure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parked ADD COLUMN fingerprint INTEGER NOT NULL DEFAULT 0; -- of the cause
ALTER TABLE parked ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parked ADD COLUMN died_of INTEGER;                        -- the fingerprint of what it died of last
ALTER TABLE parked ADD COLUMN futile INTEGER NOT NULL DEFAULT 0;      -- its latest redrives that ended in that again
UPDATE parked SET last_failure = first_failure;
DROP INDEX parked_by_next_attempt;
CREATE INDEX parked_due ON parked (next_attempt) WHERE NOT dead AND NOT job;
CREATE INDEX parked_jobs ON parked (next_attempt) WHERE NOT dead AND job;
CREATE INDEX parked_by_cause ON parked (fingerprint, dead, first_failure, last_failure);

-- The redrive that was begun last, as JSON.
CREATE TABLE redrive (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    document TEXT NOT NULL
) STRICT;
";

/// What a job that never failed has for a cause.
const WAITS: &str = "it is a job, and waits for its turn";

/// What names an event.
pub(super) fn name(id: EventId) -> [i64; 5] {
    let EventId { source, sequence } = id;
    [
        signed(source.lane.store.0),
        source.lane.partitions.into(),
        source.lane.partition.0.into(),
        signed(source.epoch.0),
        signed(sequence.0),
    ]
}

/// Where the row is whose event `name` names.
macro_rules! named {
    () => {
        " store = ?1 AND partitions = ?2 AND partition = ?3 AND epoch = ?4 AND sequence = ?5"
    };
}
pub(super) use named;

/// Whether an event is in the table, dead or not.
pub(super) fn is_there(connection: &Connection, event: EventId) -> Result<bool, StoreError> {
    let select = concat!("SELECT 1 FROM parked WHERE", named!());
    Ok(connection.prepare_cached(select)?.exists(name(event))?)
}

/// How many rows the parked table has. Mostly none, and then nothing has to be looked up in it.
pub(super) fn rows(tx: &mut SqliteTx<'_>) -> Result<u64, StoreError> {
    match tx.memory.inbox.parked {
        Some(count) => Ok(count),
        None => {
            let (parked, dead) = counts(tx.connection)?;
            tx.memory.inbox.parked = Some(parked + dead);
            Ok(parked + dead)
        }
    }
}

/// How an event stands in the table.
pub(super) fn get(tx: &mut SqliteTx<'_>, id: EventId) -> Result<Option<Parked>, StoreError> {
    if rows(tx)? == 0 {
        return Ok(None);
    }
    let mut select = tx.connection.prepare_cached(concat!(
        "SELECT dead, next_attempt, attempts, redrives, died_of, futile FROM parked WHERE",
        named!()
    ))?;
    let parked = |row: &Row<'_>| {
        let died_of: Option<i64> = row.get(4)?;
        Ok(Parked {
            state: state(row, 0)?,
            attempts: row.get(2)?,
            redrives: row.get(3)?,
            died_of: died_of.map(|cause| Fingerprint(unsigned(cause))),
            futile: row.get(5)?,
        })
    };
    Ok(select.query_row(name(id), parked).optional()?)
}

/// From the columns dead and next_attempt, the first of which is at `at`.
pub(super) fn state(row: &Row<'_>, at: usize) -> rusqlite::Result<State> {
    let next_attempt = Timestamp::from_micros(row.get(at + 1)?);
    Ok(match row.get(at)? {
        true => State::Dead,
        false => State::Parked { next_attempt },
    })
}

/// Whether anything of a key is in the table.
pub(super) fn is_key_there(tx: &mut SqliteTx<'_>, key: &Key) -> Result<bool, StoreError> {
    if rows(tx)? == 0 {
        return Ok(false);
    }
    let select = "SELECT 1 FROM parked WHERE key = ?1";
    let mut select = tx.connection.prepare_cached(select)?;
    Ok(select.exists([key.as_str()])?)
}

/// Puts an event into the table; what has no failure is a job.
pub(super) fn put(
    tx: &mut SqliteTx<'_>,
    event: &Event,
    failure: Option<&Failure>,
    parked: Parked,
) -> Result<(), StoreError> {
    let count = rows(tx)?;
    if count >= tx.memory.limits.parked {
        return Err(StoreError::ParkedFull); // push back, don't drop
    }
    let [store, partitions, partition, epoch, sequence] = name(event.id());
    let codec::BodyColumns { kind, key, data } = codec::body(&event.body)?;
    let now = tx.memory.clock.wall().micros();
    let why = cause(failure.map_or(WAITS, |failure| &failure.cause));
    let mut insert = tx.connection.prepare_cached(concat!(
        "INSERT INTO parked (store, partitions, partition, epoch, sequence, ",
        codec::event_columns!(),
        ", cause, fingerprint, first_failure, last_failure, attempts, next_attempt, dead, job, redrives, died_of, futile,
           hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)"
    ))?;
    insert.execute(params![
        store,
        partitions,
        partition,
        epoch,
        sequence,
        event.time.micros(),
        kind,
        key,
        &*data,
        &*event.trace.traceparent,
        &*event.trace.tracestate,
        signed(event.generation.0),
        why,
        signed(Fingerprint::of(why).0),
        now,
        parked.attempts,
        next_attempt(parked, now),
        parked.is_dead(),
        failure.is_none(),
        parked.redrives,
        parked.died_of.map(|cause| signed(cause.0)),
        parked.futile,
        signed(event.hash().0),
    ])?;
    tx.memory.inbox.parked = Some(count + 1);
    Ok(())
}

/// A dead letter has no next attempt: the time then says since when it is dead.
fn next_attempt(parked: Parked, now: i64) -> i64 {
    match parked.state {
        State::Parked { next_attempt } => next_attempt.micros(),
        State::Dead => now,
    }
}

/// Changes how an event stands, and with a failure also why.
pub(super) fn change(
    tx: &mut SqliteTx<'_>,
    id: EventId,
    failure: Option<&Failure>,
    parked: Parked,
) -> Result<(), StoreError> {
    let [store, partitions, partition, epoch, sequence] = name(id);
    let now = tx.memory.clock.wall().micros();
    let mut update = tx.connection.prepare_cached(concat!(
        "UPDATE parked SET dead = ?6, next_attempt = ?7, attempts = ?8, redrives = ?9, died_of = ?10, futile = ?11 WHERE",
        named!()
    ))?;
    update.execute(params![
        store,
        partitions,
        partition,
        epoch,
        sequence,
        parked.is_dead(),
        next_attempt(parked, now),
        parked.attempts,
        parked.redrives,
        parked.died_of.map(|cause| signed(cause.0)),
        parked.futile,
    ])?;
    if let Some(failure) = failure {
        let why = cause(&failure.cause);
        let mut update = tx.connection.prepare_cached(concat!(
            "UPDATE parked SET cause = ?6, fingerprint = ?7, last_failure = ?8 WHERE",
            named!()
        ))?;
        let fingerprint = signed(Fingerprint::of(why).0);
        update.execute(params![
            store,
            partitions,
            partition,
            epoch,
            sequence,
            why,
            fingerprint,
            now
        ])?;
    }
    Ok(())
}

/// Takes an event out of the table.
pub(super) fn remove(tx: &mut SqliteTx<'_>, id: EventId) -> Result<(), StoreError> {
    let count = rows(tx)?;
    let mut delete = tx
        .connection
        .prepare_cached(concat!("DELETE FROM parked WHERE", named!()))?;
    let gone = delete.execute(name(id))?;
    tx.memory.inbox.parked = Some(count.saturating_sub(gone as u64));
    Ok(())
}

/// Takes at most `limit` events out of the table that a sweep takes; how many it took.
pub(super) fn sweep(tx: &mut SqliteTx<'_>, sweep: &Sweep, limit: usize) -> Result<u64, StoreError> {
    let count = rows(tx)?;
    if count == 0 {
        return Ok(0);
    }
    let select = "SELECT id, key, epoch FROM parked WHERE epoch < ?1 ORDER BY id";
    let mut select = tx.connection.prepare_cached(select)?;
    let mut rows = select.query([signed(sweep.below.0)])?;
    let mut taken = Vec::new();
    while taken.len() < limit
        && let Some(row) = rows.next()?
    {
        let key = row.get::<_, Option<String>>(1)?.and_then(Key::new);
        let epoch = Epoch(unsigned(row.get(2)?));
        if key.is_none_or(|key| sweep.takes(&key, epoch)) {
            taken.push(row.get::<_, i64>(0)?);
        }
    }
    let delete = "DELETE FROM parked WHERE id = ?1";
    let mut delete = tx.connection.prepare_cached(delete)?;
    for id in &taken {
        delete.execute([id])?;
    }
    let taken = taken.len() as u64;
    tx.memory.inbox.parked = Some(count.saturating_sub(taken));
    Ok(taken)
}

/// How many are to be tried again, and how many are dead.
pub(super) fn counts(connection: &Connection) -> Result<(u64, u64), StoreError> {
    let count = "SELECT count(*), coalesce(sum(dead), 0) FROM parked";
    let (all, dead): (i64, i64) = connection
        .prepare_cached(count)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((unsigned(all - dead), unsigned(dead)))
}

/// Selects what is to be tried again, for `event`, in an order that its index has.
macro_rules! by_next_attempt {
    ($which:expr, $order:literal) => {
        concat!(
            "SELECT store, partitions, partition, epoch, sequence, next_attempt, ",
            codec::event_columns!(),
            " FROM parked WHERE NOT dead AND ",
            $which,
            " ORDER BY ",
            $order
        )
    };
}

/// See [`Store::due`](crate::store::Store::due).
pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    longest: Duration,
    limit: usize,
) -> Result<(Vec<Event>, Option<Timestamp>), StoreError> {
    let mut events = Vec::new();
    let (mut next, is_due) = (None, |at| is_retry_due(at, now, longest));
    let first = by_next_attempt!("NOT job", "next_attempt, id");
    let mut select = connection.prepare_cached(first)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_micros(row.get(5)?);
        if events.len() == limit || !is_due(at) {
            next = Some(at);
            break;
        }
        events.push(event(row)?);
    }
    // What is due only because it is too far off stands at the other end, behind what is not due.
    let mut select = connection.prepare_cached(by_next_attempt!("NOT job", "next_attempt DESC"))?;
    let mut rows = select.query([])?;
    while next.is_some_and(|next| !is_due(next)) && events.len() < limit {
        match rows.next()? {
            Some(row) if is_due(Timestamp::from_micros(row.get(5)?)) => events.push(event(row)?),
            _ => break,
        }
    }
    Ok((events, next))
}

/// See [`Store::due_jobs`](crate::store::Store::due_jobs). What is due is as [`is_retry_due`] has it.
pub(super) fn due_jobs(
    connection: &Connection,
    now: Timestamp,
    longest: Duration,
    limit: usize,
) -> Result<(Vec<Event>, Option<Timestamp>), StoreError> {
    let too_far = (now + longest).micros();
    let mut select = connection.prepare_cached(by_next_attempt!(
        "job AND (next_attempt <= ?1 OR next_attempt > ?2)
         AND NOT EXISTS (SELECT 1 FROM parked older WHERE older.key = parked.key AND older.job AND NOT older.dead
           AND (older.next_attempt <= ?1 OR older.next_attempt > ?2)
           AND (older.epoch, older.sequence) < (parked.epoch, parked.sequence))",
        "next_attempt, id LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![now.micros(), too_far, limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event(row)?);
    }
    let next = "SELECT min(next_attempt) FROM parked WHERE NOT dead AND job AND next_attempt > ?1";
    let mut select = connection.prepare_cached(next)?;
    let next: Option<i64> = select.query_row([now.micros()], |row| row.get(0))?;
    Ok((events, next.map(Timestamp::from_micros)))
}

fn event(row: &Row<'_>) -> Result<Event, StoreError> {
    let source = lane(row)?.source(Epoch(unsigned(row.get(3)?)));
    codec::event(row, 6, source, Sequence(unsigned(row.get(4)?)))
}
