//! A receiver's tables: the inbox, what is parked, and the service's rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use duet_protocol::event::{EventId, RollingHash};
use duet_protocol::inbox::Inbox;
use duet_protocol::ledger::Endings;
use duet_protocol::sequence::{Epoch, Lane, Sequence, Source};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{AuditRows, Finding, MOST, Stands, each, hash, lane, snapshot};
use crate::store::StoreError;
use crate::store::sqlite::codec::{self, unsigned};
use crate::store::sqlite::{inbox, ledger};

/// What a receiver's tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverTables {
    /// What the Channel calls it, where its service runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it keeps all that its sender has; else only what it has can be compared.
    pub keeps_all: bool,
    /// The lanes that it knows of.
    pub lanes: Vec<HeldLane>,
    /// What in it can't be.
    pub findings: Vec<Finding>,
}

/// What is held of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldLane {
    /// The sender's store,
    pub store: u64,
    /// into how many partitions it is divided,
    pub partitions: u16,
    /// and which of them.
    pub partition: u16,
    /// Epochs below are closed.
    pub floor: u64,
    /// Closed epochs below were not counted: they are from before this receiver began, or before there were counts.
    pub counted_since: u64,
    /// How many of its events a person discarded since the receiver began.
    pub discarded: u64,
    /// Its epochs, ascending.
    pub epochs: Vec<HeldEpoch>,
}

/// What is held of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldEpoch {
    /// The epoch.
    pub epoch: u64,
    /// Whether more of it may come.
    pub open: bool,
    /// All up to here are held.
    pub watermark: u64,
    /// The sum of their hashes.
    pub hash: u64,
    /// How many are held in all.
    pub received: u64,
    /// How many of these are the channel's own.
    pub own: u64,
    /// How many were applied,
    pub applied: u64,
    /// superseded,
    pub superseded: u64,
    /// discarded,
    pub discarded: u64,
    /// are parked,
    pub parked: u64,
    /// and are dead.
    pub dead: u64,
}

/// Reads a receiver's tables.
///
/// # Errors
/// If they can't be read at all.
pub fn receiver(
    connection: &Connection,
    rows: &dyn AuditRows,
) -> Result<ReceiverTables, StoreError> {
    let _one = snapshot(connection)?;
    let mut tables = ReceiverTables {
        keeps_all: rows.keeps_all(),
        ..ReceiverTables::default()
    };
    let mut inboxes = BTreeMap::new();
    for lane in lanes(connection)? {
        inboxes.insert(lane, inbox::of(connection, lane)?);
    }
    let mut digests: BTreeMap<Lane, RollingHash> = BTreeMap::new();
    each(connection, rows, |row| {
        if let Some(event) = row.event(None) {
            let inbox = inboxes.get(&event.source.lane);
            if inbox.is_none_or(|inbox| !inbox.holds(event)) && tables.findings.len() < MOST {
                let what = "its row names an event that was not received";
                let finding = Finding::new(what).of_key(&*row.key);
                tables.findings.push(finding.of_event(event));
            }
            if inbox.is_some_and(|inbox| event.source.epoch >= inbox.state.since) {
                *digests.entry(event.source.lane).or_default() += hash(row);
            }
        }
    })?;
    let mut parked = parked(connection, &inboxes, &mut tables.findings)?;
    for (lane, inbox) in &inboxes {
        let digest = digests.get(lane).copied().unwrap_or_default();
        if inbox.state.is_told && inbox.written() != digest {
            let what = "the rows that its events wrote are not those that were written: their digest differs from the one that was kept";
            let newest = inbox.epochs.keys().next_back().copied();
            let source = lane.source(newest.unwrap_or(inbox.floor));
            tables.findings.push(Finding::new(what).of_source(source));
        }
        tables
            .lanes
            .push(held(connection, *lane, inbox, &mut parked)?);
    }
    tables.findings.extend(rows.check(connection)?);
    Ok(tables)
}

pub(super) fn lanes(connection: &Connection) -> Result<Vec<Lane>, StoreError> {
    let mut select = connection.prepare(
        "SELECT store, partitions, partition FROM inbox_lanes ORDER BY store, partition",
    )?;
    let lanes = select.query_map([], |row| lane(row, 0))?;
    Ok(lanes.collect::<Result<_, _>>()?)
}

/// How many events of each source are parked or dead.
pub(super) fn counts(connection: &Connection) -> Result<BTreeMap<Source, u64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT store, partitions, partition, epoch, count(*) FROM parked GROUP BY 1, 2, 3, 4",
    )?;
    let counts = select.query_map([], |row| {
        let source = lane(row, 0)?.source(Epoch(unsigned(row.get(3)?)));
        Ok((source, unsigned(row.get(4)?)))
    })?;
    Ok(counts.collect::<Result<_, _>>()?)
}

/// How many events of each source are parked and dead; and which of them can't be.
fn parked(
    connection: &Connection,
    inboxes: &BTreeMap<Lane, Inbox>,
    findings: &mut Vec<Finding>,
) -> Result<BTreeMap<Source, (u64, u64)>, StoreError> {
    let mut select = connection.prepare(concat!(
        "SELECT store, partitions, partition, epoch, sequence, dead, hash, ",
        codec::event_columns!(),
        " FROM parked ORDER BY id"
    ))?;
    let mut rows = select.query([])?;
    let mut counts: BTreeMap<Source, (u64, u64)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let source = lane(row, 0)?.source(Epoch(unsigned(row.get(3)?)));
        let event = EventId {
            source,
            sequence: Sequence(unsigned(row.get(4)?)),
        };
        let inbox = inboxes.get(&source.lane);
        let kept: Option<i64> = row.get(6)?;
        let wrong = match codec::event(row, 7, source, event.sequence) {
            _ if inbox.is_none_or(|inbox| !inbox.holds(event)) => {
                Some("an event is parked that was not received")
            }
            Ok(read) if kept.is_none_or(|kept| read.hash().0 == unsigned(kept)) => None,
            Ok(_) => {
                Some("the event that is parked is not the one that was received: its hash differs")
            }
            Err(_) => Some("the event that is parked can't be read"),
        };
        if let Some(wrong) = wrong.filter(|_| findings.len() < MOST) {
            let finding = Finding {
                key: row.get("key").ok(),
                ..Finding::new(wrong)
            };
            findings.push(finding.of_event(event));
        }
        let (parked, dead) = counts.entry(source).or_default();
        match row.get(5)? {
            true => *dead += 1,
            false => *parked += 1,
        }
    }
    Ok(counts)
}

/// What is held of a lane.
fn held(
    connection: &Connection,
    lane: Lane,
    inbox: &Inbox,
    parked: &mut BTreeMap<Source, (u64, u64)>,
) -> Result<HeldLane, StoreError> {
    let mut epochs = Vec::new();
    for (epoch, last, hash, endings) in ledger::closed(connection, lane)? {
        epochs.push(of(epoch, false, (last.0, hash), last.0, endings));
    }
    for (epoch, inbox) in &inbox.epochs {
        let at = (inbox.watermark.0, inbox.hash);
        epochs.push(of(*epoch, true, at, inbox.received(), inbox.endings));
    }
    for held in &mut epochs {
        let source = lane.source(Epoch(held.epoch));
        (held.parked, held.dead) = parked.remove(&source).unwrap_or_default();
    }
    Ok(HeldLane {
        store: lane.store.0,
        partitions: lane.partitions,
        partition: lane.partition.0,
        floor: inbox.floor.0,
        counted_since: inbox.closed.since.0,
        discarded: inbox.state.discarded,
        epochs,
    })
}

fn of(
    epoch: Epoch,
    open: bool,
    (watermark, hash): (u64, RollingHash),
    received: u64,
    endings: Endings,
) -> HeldEpoch {
    HeldEpoch {
        epoch: epoch.0,
        open,
        watermark,
        hash: hash.0,
        received,
        own: endings.own,
        applied: endings.applied,
        superseded: endings.superseded,
        discarded: endings.discarded,
        parked: 0,
        dead: 0,
    }
}

/// How a key stands at a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AtReceiver {
    /// Its row.
    pub row: Option<Stands>,
    /// Whether the event that was asked about has been received; `false` if none was.
    pub held: bool,
    /// How many events of the key are parked or dead.
    pub waiting: u64,
    /// Whether the event that was asked about was discarded, and nothing newer is here; or may have been, where so many were that not all
    /// are known any more.
    pub discarded: bool,
}

/// How keys stand at a receiver, and whether it has received an event of each: in one snapshot.
///
/// # Errors
/// Those of the tables.
pub fn at_receiver(
    connection: &Connection,
    rows: &dyn AuditRows,
    keys: &[(String, Option<EventId>)],
) -> Result<Vec<AtReceiver>, StoreError> {
    let _one = snapshot(connection)?;
    let mut waiting = connection.prepare_cached("SELECT count(*) FROM parked WHERE key = ?1")?;
    let mut inboxes: BTreeMap<Lane, Inbox> = BTreeMap::new();
    let mut answers = Vec::with_capacity(keys.len());
    for (key, event) in keys {
        let inbox = match event {
            None => None,
            Some(event) => {
                let lane = event.source.lane;
                let inbox = match inboxes.entry(lane) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(inbox::of(connection, lane)?),
                };
                Some((&*inbox, *event))
            }
        };
        let row = rows.of(connection, key)?;
        let mut discarded = false;
        if let Some((inbox, event)) = inbox.filter(|(inbox, _)| inbox.state.discarded > 0) {
            let lane = event.source.lane;
            let version = (event.source.epoch.0, event.sequence.0);
            let newer = row
                .as_ref()
                .is_some_and(|row| (row.epoch, row.sequence) > version);
            let all_known = ledger::discarded(connection, lane)? >= inbox.state.discarded;
            discarded = !all_known || (!newer && ledger::is_discarded(connection, event)?);
        }
        answers.push(AtReceiver {
            row,
            held: inbox.is_some_and(|(inbox, event)| inbox.holds(event)),
            waiting: unsigned(waiting.query_row([key], |row| row.get(0))?),
            discarded,
        });
    }
    Ok(answers)
}
