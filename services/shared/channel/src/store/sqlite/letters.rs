//! The parked table as it is listed, grouped and redriven.

use bytes::Bytes;
use duet_protocol::delivery::Fingerprint;
use duet_protocol::event::{EventId, Key, TraceContext};
use duet_protocol::sequence::{Epoch, Sequence};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::codec::{signed, unsigned};
use super::error::corrupt;
use super::inbox::lane;
use super::parked::{name, named, state};
use crate::dead_letters::{Cause, Cursor, Filter, Letter, Only, Page, Redrive};
use crate::store::StoreError;

/// The most causes that are told.
const CAUSES: i64 = 100;

/// A filter as SQL has it, and what stands for its question marks.
struct Where {
    text: String,
    values: Vec<Value>,
}

impl Where {
    fn new(connection: &Connection, filter: &Filter) -> Result<Self, StoreError> {
        let mut clause = Where {
            text: "TRUE".to_owned(),
            values: Vec::new(),
        };
        let Filter {
            ids,
            cause,
            state,
            kind,
            key_prefix,
            before,
        } = filter;
        if !ids.is_empty() {
            let select = concat!("SELECT id FROM parked WHERE", named!());
            let mut select = connection.prepare_cached(select)?;
            let mut rows = Vec::new();
            for id in ids.iter().take(Filter::MAX_IDS) {
                let row: Option<i64> = select.query_row(name(*id), |row| row.get(0)).optional()?;
                rows.extend(row.map(|row| row.to_string()));
            }
            clause.text += &format!(" AND id IN ({})", rows.join(","));
        }
        if let Some(cause) = cause {
            clause.and("fingerprint = ?", signed(cause.0));
        }
        if let Some(only) = state {
            clause.and("dead = ?", i64::from(*only == Only::Dead));
        }
        if let Some(kind) = kind {
            clause.and("type = ?", kind.to_string());
        }
        if let Some(prefix) = key_prefix {
            // The first alone has the index, the second alone is exact.
            clause.and("key >= ?", prefix.to_string());
            let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
            clause.values.push(length.into());
            clause.and("substr(key, 1, ?) = ?", prefix.to_string());
        }
        if let Some(before) = before {
            clause.and("last_failure < ?", before.micros());
        }
        Ok(clause)
    }

    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.values.push(value.into());
    }
}

/// The columns that [`letter`] reads, in its order.
const COLUMNS: &str = "store, partitions, partition, epoch, sequence, id, key, type, dead, next_attempt, job, cause, fingerprint,
    attempts, redrives, first_failure, last_failure, time, generation, traceparent, tracestate, data";

fn letter(row: &Row<'_>) -> Result<(Cursor, Letter), StoreError> {
    let at = |column| Ok::<_, StoreError>(Timestamp::from_micros(row.get(column)?));
    let key: Box<str> = row.get(6)?;
    let data: Vec<u8> = row.get(21)?;
    let letter = Letter {
        id: EventId {
            source: lane(row)?.source(Epoch(unsigned(row.get(3)?))),
            sequence: Sequence(unsigned(row.get(4)?)),
        },
        key: Key::new(key).ok_or_else(|| corrupt("a key of no length a key has"))?,
        kind: row.get(7)?,
        state: state(row, 8)?,
        is_job: row.get(10)?,
        cause: row.get(11)?,
        fingerprint: Fingerprint(unsigned(row.get(12)?)),
        attempts: row.get(13)?,
        redrives: row.get(14)?,
        first_failure: at(15)?,
        last_failure: at(16)?,
        accepted: at(17)?,
        generation: Generation(unsigned(row.get(18)?)),
        trace: TraceContext {
            traceparent: row.get(19)?,
            tracestate: row.get(20)?,
        },
        data: Bytes::from(data),
    };
    Ok((Cursor(unsigned(row.get(5)?)), letter))
}

/// The letters that match after a place and up to another, at most `limit`.
pub(super) fn page(
    connection: &Connection,
    filter: &Filter,
    after: Cursor,
    up_to: Option<Cursor>,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut clause = Where::new(connection, filter)?;
    clause.and("id > ?", signed(after.0));
    if let Some(up_to) = up_to {
        clause.and("id <= ?", signed(up_to.0));
    }
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let text = format!(
        "SELECT {COLUMNS} FROM parked WHERE {} ORDER BY id LIMIT {one_more}",
        clause.text
    );
    let mut select = connection.prepare(&text)?;
    let mut rows = select.query(params_from_iter(clause.values))?;
    let (mut page, mut last) = (Page::default(), None);
    while let Some(row) = rows.next()? {
        if page.letters.len() == limit {
            page.next = last;
            break;
        }
        let (place, letter) = letter(row)?;
        last = Some(place);
        page.letters.push(letter);
    }
    Ok(page)
}

/// How many letters match.
pub(super) fn matching(connection: &Connection, filter: &Filter) -> Result<u64, StoreError> {
    let clause = Where::new(connection, filter)?;
    let text = format!("SELECT count(*) FROM parked WHERE {}", clause.text);
    let mut select = connection.prepare(&text)?;
    let count = select.query_row(params_from_iter(clause.values), |row| row.get(0))?;
    Ok(unsigned(count))
}

/// The causes of the letters that match, those of most letters first.
pub(super) fn causes(connection: &Connection, filter: &Filter) -> Result<Vec<Cause>, StoreError> {
    let clause = Where::new(connection, filter)?;
    let text = format!(
        "SELECT fingerprint, count(*), sum(dead), min(first_failure), max(last_failure) FROM parked WHERE {}
         GROUP BY fingerprint ORDER BY count(*) DESC, fingerprint LIMIT {CAUSES}",
        clause.text
    );
    let mut select = connection.prepare(&text)?;
    let mut sentence =
        connection.prepare_cached("SELECT cause FROM parked WHERE fingerprint = ?1 LIMIT 1")?;
    let mut rows = select.query(params_from_iter(clause.values))?;
    let mut causes = Vec::new();
    while let Some(row) = rows.next()? {
        let (fingerprint, all, dead): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        causes.push(Cause {
            fingerprint: Fingerprint(unsigned(fingerprint)),
            cause: sentence.query_row([fingerprint], |row| row.get(0))?,
            parked: unsigned(all - dead),
            dead: unsigned(dead),
            first_failure: Timestamp::from_micros(row.get(3)?),
            last_failure: Timestamp::from_micros(row.get(4)?),
        });
    }
    Ok(causes)
}

/// The place of the letter that was parked last.
pub(super) fn newest(connection: &Connection) -> Result<Cursor, StoreError> {
    let select = "SELECT coalesce(max(id), 0) FROM parked";
    let newest = connection
        .prepare_cached(select)?
        .query_row([], |row| row.get(0))?;
    Ok(Cursor(unsigned(newest)))
}

/// The redrive that was begun last.
pub(super) fn redrive(connection: &Connection) -> Result<Option<Redrive>, StoreError> {
    let select = "SELECT document FROM redrive";
    let document: Option<String> = connection
        .prepare_cached(select)?
        .query_row([], |row| row.get(0))
        .optional()?;
    let redrive = document.map(|text| serde_json::from_str(&text).map_err(corrupt));
    redrive.transpose()
}

/// Keeps a redrive, in the place of the one before.
pub(super) fn put_redrive(connection: &Connection, redrive: &Redrive) -> Result<(), StoreError> {
    let document = serde_json::to_string(redrive).map_err(corrupt)?;
    connection
        .prepare_cached("REPLACE INTO redrive VALUES (1, ?1)")?
        .execute([document])?;
    Ok(())
}
