//! A receiver's tables: the inbox, what is parked, and the service's rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use duet_protocol::event::{EventId, RollingHash};
use duet_protocol::inbox::Inbox;
use duet_protocol::ledger::Endings;
use duet_protocol::sequence::{Epoch, Lane, Sequence, Source};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{AuditRows, Finding, MOST, Stands, each, hash, lane};
use crate::store::StoreError;
use crate::store::sqlite::codec::{signed, unsigned};
use crate::store::sqlite::{inbox, ledger};

/// What a receiver's tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverTables {
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
    let snapshot = connection.unchecked_transaction()?;
    let mut tables = ReceiverTables {
        keeps_all: rows.keeps_all(),
        ..ReceiverTables::default()
    };
    let mut inboxes = BTreeMap::new();
    for lane in lanes(&snapshot)? {
        inboxes.insert(lane, inbox::of(&snapshot, lane)?);
    }
    let mut digests: BTreeMap<Lane, RollingHash> = BTreeMap::new();
    each(&snapshot, rows, |row| {
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
    let mut parked = parked(&snapshot, &inboxes, &mut tables.findings)?;
    for (lane, inbox) in &inboxes {
        let digest = digests.get(lane).copied().unwrap_or_default();
        if inbox.state.discarded == 0 && inbox.digest().is_some_and(|kept| kept != digest) {
            let what = "the rows that its events wrote are not those that were written: their digest differs from the one that was kept";
            let newest = inbox.epochs.keys().next_back().copied();
            let source = lane.source(newest.unwrap_or(inbox.floor));
            tables.findings.push(Finding::new(what).of_source(source));
        }
        tables
            .lanes
            .push(held(&snapshot, *lane, inbox, &mut parked)?);
    }
    tables.findings.extend(rows.check(&snapshot)?);
    Ok(tables)
}

fn lanes(connection: &Connection) -> Result<Vec<Lane>, StoreError> {
    let mut select = connection.prepare(
        "SELECT store, partitions, partition FROM inbox_lanes ORDER BY store, partition",
    )?;
    let lanes = select.query_map([], |row| lane(row, 0))?;
    Ok(lanes.collect::<Result<_, _>>()?)
}

/// How many events of each source are parked and dead; and which of them can't be.
fn parked(
    connection: &Connection,
    inboxes: &BTreeMap<Lane, Inbox>,
    findings: &mut Vec<Finding>,
) -> Result<BTreeMap<Source, (u64, u64)>, StoreError> {
    let mut select = connection.prepare(
        "SELECT store, partitions, partition, epoch, sequence, key, dead FROM parked ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    let mut counts: BTreeMap<Source, (u64, u64)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let source = lane(row, 0)?.source(Epoch(unsigned(row.get(3)?)));
        let event = EventId {
            source,
            sequence: Sequence(unsigned(row.get(4)?)),
        };
        let inbox = inboxes.get(&source.lane);
        if inbox.is_none_or(|inbox| !inbox.holds(event)) && findings.len() < MOST {
            let finding = Finding {
                key: row.get(5)?,
                ..Finding::new("an event is parked that was not received")
            };
            findings.push(finding.of_event(event));
        }
        let (parked, dead) = counts.entry(source).or_default();
        match row.get(6)? {
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
    let mut select = connection.prepare_cached(
        "SELECT epoch, inbox_closed.last, hash, own, applied, superseded, inbox_closed.discarded
         FROM inbox_closed JOIN inbox_lanes ON inbox_lanes.id = lane
         WHERE store = ?1 AND partitions = ?2 AND partition = ?3 ORDER BY epoch",
    )?;
    let of_lane = (signed(lane.store.0), lane.partitions, lane.partition.0);
    let mut rows = select.query(of_lane)?;
    let mut epochs = Vec::new();
    while let Some(row) = rows.next()? {
        let last = unsigned(row.get(1)?);
        let epoch = Epoch(unsigned(row.get(0)?));
        let hash = RollingHash(unsigned(row.get(2)?));
        let endings = ledger::endings(row, 3)?;
        epochs.push(of(epoch, false, (last, hash), last, endings));
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
    /// Whether something of the key's lane was discarded.
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
    let snapshot = connection.unchecked_transaction()?;
    let mut waiting = snapshot.prepare_cached("SELECT count(*) FROM parked WHERE key = ?1")?;
    let mut inboxes: BTreeMap<Lane, Inbox> = BTreeMap::new();
    let mut answers = Vec::with_capacity(keys.len());
    for (key, event) in keys {
        let inbox = match event {
            None => None,
            Some(event) => {
                let lane = event.source.lane;
                let inbox = match inboxes.entry(lane) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(inbox::of(&snapshot, lane)?),
                };
                Some((&*inbox, *event))
            }
        };
        answers.push(AtReceiver {
            row: rows.of(&snapshot, key)?,
            held: inbox.is_some_and(|(inbox, event)| inbox.holds(event)),
            waiting: unsigned(waiting.query_row([key], |row| row.get(0))?),
            discarded: inbox.is_some_and(|(inbox, _)| inbox.state.discarded > 0),
        });
    }
    Ok(answers)
}
