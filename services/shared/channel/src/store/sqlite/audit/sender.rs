//! A sender's tables: the outbox, the epochs, what receivers said, and the service's rows.

use std::collections::BTreeMap;

use duet_protocol::event::RollingHash;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{AuditRows, Finding, MOST, each, hash, snapshot};
use crate::store::StoreError;
use crate::store::sqlite::codec::{self, unsigned};
use crate::store::sqlite::outbox::EpochRow;
use crate::store::sqlite::standing;

/// What a sender's tables say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SenderTables {
    /// The store's identity.
    pub store: u64,
    /// How many partitions it has.
    pub partitions: u16,
    /// Every epoch that it had, ascending in each partition.
    pub epochs: Vec<SentEpoch>,
    /// Its receivers.
    pub receivers: Vec<Said>,
    /// What in it can't be.
    pub findings: Vec<Finding>,
}

/// One epoch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentEpoch {
    /// The partition.
    pub partition: u16,
    /// The epoch.
    pub epoch: u64,
    /// The last sequence that was numbered.
    pub last: u64,
    /// How many of these are the channel's own.
    pub own: u64,
    /// Up to here every receiver has said that it holds it.
    pub forgotten: u64,
    /// The sum of the hashes of all that was numbered.
    pub hash: u64,
    /// The sum of the hashes up to the place that was asked for; none if it was forgotten beyond that, or nothing was asked.
    pub hash_at: Option<u64>,
}

/// What one receiver is known to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Who.
    pub name: String,
    /// What it begins with, in each partition.
    pub begins: Vec<Begin>,
    /// Partition, epoch, and up to where it said that it holds that.
    pub marks: Vec<(u16, u64, u64)>,
}

/// What a receiver is sent of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begin {
    /// The partition.
    pub partition: u16,
    /// Events of this epoch and later ones.
    pub epoch: u64,
    /// It is to have the rows that events of this epoch and later ones wrote.
    pub rows_since: u64,
}

impl SenderTables {
    /// A partition's lane.
    pub fn lane(&self, partition: u16) -> Lane {
        Lane {
            store: StoreId(self.store),
            partitions: self.partitions,
            partition: Partition(partition),
        }
    }

    /// An epoch's source.
    pub fn source(&self, epoch: &SentEpoch) -> Source {
        self.lane(epoch.partition).source(Epoch(epoch.epoch))
    }
}

/// Reads a sender's tables, and the hashes up to the places `at`.
///
/// # Errors
/// If they can't be read at all.
pub fn sender(
    connection: &Connection,
    rows: &dyn AuditRows,
    at: &BTreeMap<Source, Sequence>,
) -> Result<SenderTables, StoreError> {
    let _one = snapshot(connection)?;
    let (store, partitions) =
        connection.query_row("SELECT id, partitions FROM store", [], |row| {
            Ok((unsigned(row.get(0)?), row.get(1)?))
        })?;
    let mut tables = SenderTables {
        store,
        partitions,
        epochs: Vec::new(),
        receivers: Vec::new(),
        findings: Vec::new(),
    };
    let mut kept = epochs(connection, &mut tables, at)?;
    each(connection, rows, |row| {
        if let Some(event) = row.event(Some((store, partitions))) {
            let place = (event.source.lane.partition.0, row.epoch);
            match kept.get_mut(&place) {
                Some(left) => *left = *left - hash(row),
                None => {
                    let what = "its row names an epoch that this store never had";
                    let finding = Finding::new(what).of_key(&*row.key).of_event(event);
                    push(&mut tables.findings, finding);
                }
            }
        }
    })?;
    for ((partition, epoch), left) in kept {
        if left != RollingHash::default() {
            let source = tables.lane(partition).source(Epoch(epoch));
            let what = "the rows that its events wrote are not those that were written: their digest differs from the one that was kept";
            push(&mut tables.findings, Finding::new(what).of_source(source));
        }
    }
    tables.findings.extend(rows.check(connection)?);
    receivers(connection, &mut tables)?;
    Ok(tables)
}

fn push(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < MOST {
        findings.push(finding);
    }
}

/// The epochs, and of each the digest that was kept.
fn epochs(
    connection: &Connection,
    tables: &mut SenderTables,
    at: &BTreeMap<Source, Sequence>,
) -> Result<BTreeMap<(u16, u64), RollingHash>, StoreError> {
    let mut select = connection.prepare(
        "SELECT id, partition, epoch, last, forgotten, hash, own, digest FROM epochs ORDER BY partition, id",
    )?;
    let mut rows = select.query([])?;
    let mut digests = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, partition) = (EpochRow(row.get(0)?), row.get(1)?);
        let epoch = Epoch(unsigned(row.get(2)?));
        let state = standing::epoch_state(row, 3)?;
        let source = tables.lane(partition).source(epoch);
        let mut sent = SentEpoch {
            partition,
            epoch: epoch.0,
            last: state.last.0,
            own: state.own,
            forgotten: state.forgotten.0,
            hash: state.hash.0,
            hash_at: None,
        };
        let at = at.get(&source).copied();
        outbox(connection, id, source, &mut sent, at, &mut tables.findings)?;
        tables.epochs.push(sent);
        digests.insert((partition, epoch.0), state.digest);
    }
    let strays = connection.query_row(
        "SELECT count(*) FROM outbox WHERE id >> 40 NOT IN (SELECT id FROM epochs)",
        [],
        |row| row.get::<_, i64>(0),
    )?;
    if strays > 0 {
        let what = format!("the outbox has {strays} events of epochs that this store never had");
        push(&mut tables.findings, Finding::new(what));
    }
    Ok(digests)
}

/// An epoch's events in the outbox: gapless from what is forgotten to the last, each as it was accepted.
fn outbox(
    connection: &Connection,
    id: EpochRow,
    source: Source,
    sent: &mut SentEpoch,
    at: Option<Sequence>,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached(concat!(
        "SELECT id, hash, ",
        codec::event_columns!(),
        " FROM outbox WHERE id >= ?1 AND id <= ?2 ORDER BY id"
    ))?;
    let mut rows = select.query((id.event(Sequence::ZERO), id.end()))?;
    let mut sum = RollingHash(sent.hash);
    let mut next = sent.forgotten + 1;
    let hash_at =
        |next: u64, sum: RollingHash| at.is_some_and(|at| at.0 + 1 == next).then_some(sum.0);
    sent.hash_at = hash_at(next, sum);
    while let Some(row) = rows.next()? {
        let sequence = EpochRow::sequence(row.get(0)?);
        let kept = RollingHash(unsigned(row.get(1)?));
        let event = codec::event(row, 2, source, sequence);
        let key: Option<String> = row.get("key").ok().flatten();
        let mut tell = |what: &str| {
            let finding = Finding {
                key: key.clone(),
                ..Finding::new(what)
            };
            let id = duet_protocol::event::EventId { source, sequence };
            push(findings, finding.of_event(id));
        };
        if sequence.0 < next || sequence.0 > sent.last {
            tell("the outbox has an event that was never accepted, or was forgotten");
            continue;
        }
        match &event {
            Ok(event) if event.hash() == kept => {}
            Ok(_) => tell("the outbox's event is not the one that was accepted: its hash differs"),
            Err(_) => tell("the outbox's event can't be read"),
        }
        missing(source, next..sequence.0, findings);
        sum += kept;
        next = sequence.0 + 1;
        sent.hash_at = sent.hash_at.or(hash_at(next, sum));
    }
    missing(source, next..sent.last + 1, findings);
    sent.hash = sum.0;
    Ok(())
}

fn missing(source: Source, sequences: std::ops::Range<u64>, findings: &mut Vec<Finding>) {
    for sequence in sequences.take(MOST) {
        let id = duet_protocol::event::EventId {
            source,
            sequence: Sequence(sequence),
        };
        let what = "the outbox lacks an event that not every receiver is known to hold";
        push(findings, Finding::new(what).of_event(id));
    }
}

fn receivers(connection: &Connection, tables: &mut SenderTables) -> Result<(), StoreError> {
    let mut select = connection.prepare("SELECT id, name FROM receivers ORDER BY id")?;
    let mut begins = connection.prepare(
        "SELECT partition, epoch, ifnull(rows_since, epoch) FROM begins WHERE receiver = ?1 ORDER BY partition",
    )?;
    let mut marks = connection.prepare(
        "SELECT partition, epochs.epoch, watermark FROM marks JOIN epochs ON epochs.id = marks.epoch
         WHERE receiver = ?1 ORDER BY 1, 2",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
        let begin = |row: &rusqlite::Row<'_>| {
            Ok(Begin {
                partition: row.get(0)?,
                epoch: unsigned(row.get(1)?),
                rows_since: unsigned(row.get(2)?),
            })
        };
        let begins = begins
            .query_map([id], begin)?
            .collect::<Result<Vec<_>, _>>()?;
        for partition in 0..tables.partitions {
            let begin = begins.iter().find(|begin| begin.partition == partition);
            let is_known = |begin: &Begin| {
                let mut epochs = tables.epochs.iter();
                epochs.any(|it| (it.partition, it.epoch) == (partition, begin.epoch))
            };
            // One that was there before begins were kept has none, and is sent all.
            if !begin.is_none_or(is_known) {
                let what = format!(
                    "what {name} begins with in partition {partition} is no epoch of this store"
                );
                push(&mut tables.findings, Finding::new(what));
            }
        }
        let mark = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, unsigned(row.get(1)?), unsigned(row.get(2)?)))
        };
        let marks = marks.query_map([id], mark)?.collect::<Result<_, _>>()?;
        tables.receivers.push(Said {
            name,
            begins,
            marks,
        });
    }
    Ok(())
}
