//! The life of a key's events as the tables tell it: see [`crate::life`]. Over a connection, on a reader or on a file that no process has
//! open.

use std::collections::BTreeSet;

use duet_protocol::event::{EventId, Key};
use duet_protocol::resync::{Resync, Stage};
use duet_protocol::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, StoreId, Version};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::Connection;

use super::codec::unsigned;
use super::outbox::EpochRow;
use super::{generations, inbox, resync, standing};
use crate::life::{
    Applied, Arrival, Holds, Kept, Name, Received, Resynced, Row, Sent, Waiting, When,
};
use crate::store::{Identity, StoreError};

/// How many of the outbox's newest events are looked through: they have no index by key.
const LOOKED_THROUGH: i64 = 200_000;
/// How many of a key's events are told of, in the outbox and in the parked table.
const TOLD: i64 = 32;

/// What a sending service's own row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRow {
    /// The value, in a word; none once it is undone.
    pub value: Option<String>,
    /// The event that wrote it.
    pub version: Version,
    /// When that was accepted.
    pub accepted: Timestamp,
    /// The generation that it was accepted under; none in a row from before that was kept.
    pub generation: Option<Generation>,
    /// A call that waited wrote it, and takes it back if it fails.
    pub provisional: bool,
    /// It restores what was there before a call that failed.
    pub restores: bool,
    /// The trace that it was accepted in, if that was sampled.
    pub trace: Option<String>,
}

/// What a sender's store tells of a key, whose row the service has read.
///
/// # Errors
/// Those of SQLite, and of rows that can't be read.
pub fn sender(
    connection: &Connection,
    key: &Key,
    row: Option<OwnRow>,
    now: Timestamp,
) -> Result<Sent, StoreError> {
    let identity = identity(connection)?;
    let row = row.map(|row| told(connection, identity, key, row));
    let row = row.transpose()?;
    let (waiting, waiting_cut) = waiting(connection, identity, key)?;
    let mentioned = row.iter().filter_map(|row| row.generation);
    let mentioned: BTreeSet<u64> = mentioned
        .chain(waiting.iter().map(|event| event.generation))
        .collect();
    let mut generations = Vec::new();
    for generation in mentioned {
        generations.extend(generations::get(connection, Generation(generation))?);
    }
    if let Some(newest) = generations::newest(connection)?
        && generations.last() != Some(&newest)
    {
        generations.push(newest);
    }
    Ok(Sent {
        now: When(now),
        row,
        waiting,
        waiting_cut,
        generations,
        resync: resync::standing(connection, identity)?.map(resynced),
        process: None,
    })
}

fn resynced((resync, stage): (Resync, Stage)) -> Resynced {
    let opened = resync.sources.into_iter().map(|source| {
        let sequence = Sequence(1);
        Name(EventId { source, sequence })
    });
    Resynced {
        begun: When(resync.begun),
        stage: stage.into(),
        opened: opened.collect(),
    }
}

fn identity(connection: &Connection) -> Result<Identity, StoreError> {
    let mut select = connection.prepare("SELECT id, partitions FROM store")?;
    Ok(select.query_row([], |row| {
        Ok(Identity {
            store: StoreId(unsigned(row.get(0)?)),
            partitions: row.get(1)?,
            incarnation: Incarnation::ZERO,
        })
    })?)
}

fn told(
    connection: &Connection,
    identity: Identity,
    key: &Key,
    row: OwnRow,
) -> Result<Row, StoreError> {
    let lane = Lane {
        store: identity.store,
        partitions: identity.partitions,
        partition: key.partition(identity.partitions),
    };
    let event = Name::of(lane, row.version);
    Ok(Row {
        value: row.value,
        event,
        accepted: When(row.accepted),
        generation: row.generation.map(|generation| generation.0),
        provisional: row.provisional,
        restores: row.restores,
        trace: row.trace,
        receivers: receivers(connection, identity, event.0)?,
    })
}

fn receivers(
    connection: &Connection,
    identity: Identity,
    event: EventId,
) -> Result<Vec<Holds>, StoreError> {
    let all = standing::receivers_of(connection, identity, event)?;
    let holds = |(name, holds): (duet_protocol::receipt::ReceiverName, bool)| Holds {
        receiver: name.to_string(),
        holds,
    };
    Ok(all.unwrap_or_default().into_iter().map(holds).collect())
}

/// The key's events in the outbox, and whether there are more events than are looked through.
fn waiting(
    connection: &Connection,
    identity: Identity,
    key: &Key,
) -> Result<(Vec<Waiting>, bool), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM
           (SELECT newest.id, partition, epoch, type, time, generation FROM
              (SELECT id, key, type, time, generation FROM outbox ORDER BY id DESC LIMIT ?2) newest
            JOIN epochs ON epochs.id = newest.id >> 40
            WHERE key = ?1 ORDER BY newest.id DESC LIMIT ?3)
         ORDER BY id",
    )?;
    let mut rows = select.query((key.as_str(), LOOKED_THROUGH, TOLD))?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let lane = Lane {
            store: identity.store,
            partitions: identity.partitions,
            partition: Partition(row.get(1)?),
        };
        let version = Version {
            epoch: Epoch(unsigned(row.get(2)?)),
            sequence: EpochRow::sequence(row.get(0)?),
        };
        let event = Name::of(lane, version);
        waiting.push(Waiting {
            event,
            kind: row.get(3)?,
            accepted: When(Timestamp::from_micros(row.get(4)?)),
            generation: unsigned(row.get(5)?),
            receivers: receivers(connection, identity, event.0)?,
        });
    }
    let mut more = connection.prepare_cached("SELECT 1 FROM outbox LIMIT 1 OFFSET ?1")?;
    Ok((waiting, more.exists([LOOKED_THROUGH])?))
}

/// What a receiver's store tells of a key, whose row the service has read; and how an event stands in the inbox, if one is asked about.
///
/// # Errors
/// Those of SQLite, and of rows that can't be read.
pub fn receiver(
    connection: &Connection,
    key: &Key,
    row: Option<Applied>,
    asked: Option<EventId>,
    now: Timestamp,
) -> Result<Received, StoreError> {
    let arrival = asked.map(|event| arrival(connection, event));
    Ok(Received {
        now: When(now),
        row,
        kept: kept(connection, key)?,
        arrival: arrival.transpose()?,
        generation: generations::newest(connection)?,
    })
}

fn arrival(connection: &Connection, event: EventId) -> Result<Arrival, StoreError> {
    let inbox = inbox::of(connection, event.source.lane)?;
    Ok(if event.source.epoch < inbox.floor {
        Arrival::Closed
    } else if inbox.holds(event) {
        Arrival::Received
    } else {
        Arrival::NotYet
    })
}

fn kept(connection: &Connection, key: &Key) -> Result<Vec<Kept>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT store, partitions, partition, epoch, sequence, time, attempts, first_failure,
                iif(dead, NULL, next_attempt), cause, job
         FROM parked WHERE key = ?1 ORDER BY epoch, sequence LIMIT ?2",
    )?;
    let when = |micros| When(Timestamp::from_micros(micros));
    let kept = select.query_map((key.as_str(), TOLD), |row| {
        let version = Version {
            epoch: Epoch(unsigned(row.get(3)?)),
            sequence: Sequence(unsigned(row.get(4)?)),
        };
        Ok(Kept {
            event: Name::of(inbox::lane(row)?, version),
            accepted: when(row.get(5)?),
            attempts: row.get(6)?,
            first_failure: when(row.get(7)?),
            next_attempt: row.get::<_, Option<i64>>(8)?.map(when),
            cause: row.get(9)?,
            job: row.get(10)?,
        })
    })?;
    Ok(kept.collect::<Result<_, _>>()?)
}
