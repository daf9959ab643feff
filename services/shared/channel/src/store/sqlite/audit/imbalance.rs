//! By how many events a store does not account for what it says that it holds: for metrics and conditions, so it is asked all the time and
//! reads little. What differs, and where, is the audit's to find.

use std::collections::BTreeMap;

use duet_protocol::ledger::{Account, Endings};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Epoch, Partition, Sequence, Source};
use rusqlite::Connection;

use super::receiver::{counts, lanes};
use super::snapshot;
use crate::store::StoreError;
use crate::store::sqlite::codec::unsigned;
use crate::store::sqlite::outbox::EpochRow;
use crate::store::sqlite::{inbox, ledger, standing};

/// How many events of one epoch are counted at most: more are on their way, and are counted once they are fewer.
const COUNTED: u64 = 10_000;

/// By how many events what a receiver holds is more or less than what became of it: applied, superseded, discarded, parked or dead.
///
/// # Errors
/// Those of the tables.
pub fn of_receiver(connection: &Connection) -> Result<u64, StoreError> {
    let _one = snapshot(connection)?;
    let mut waiting = counts(connection)?;
    let mut sum = 0_u64;
    let mut add = |source: Source, received, endings: Endings| {
        let parked = waiting.remove(&source).unwrap_or_default();
        let account = Account {
            sent: Sequence(received),
            sent_own: endings.own,
            received,
            endings,
            parked,
            dead: 0,
        };
        sum = sum.saturating_add(account.imbalance());
    };
    for lane in lanes(connection)? {
        let inbox = inbox::of(connection, lane)?;
        for (epoch, inbox) in &inbox.epochs {
            add(lane.source(*epoch), inbox.received(), inbox.endings);
        }
        for (epoch, last, _, endings) in ledger::closed(connection, lane)? {
            add(lane.source(epoch), last.0, endings);
        }
    }
    Ok(sum)
}

/// By how many events what a receiver is not known to hold is more or less than what the outbox has for it; of each receiver.
///
/// # Errors
/// Those of the tables.
pub fn of_sender(connection: &Connection) -> Result<BTreeMap<ReceiverName, u64>, StoreError> {
    let _one = snapshot(connection)?;
    let mut select = connection.prepare_cached(
        "SELECT id, partition, epoch, last, forgotten, hash, own, digest FROM epochs WHERE forgotten < last",
    )?;
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE id > ?1 AND id <= ?2 LIMIT ?3)",
    )?;
    let receivers = standing::receivers(connection)?;
    let mut all: BTreeMap<_, u64> = receivers.iter().map(|it| (it.name.clone(), 0)).collect();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, epoch) = (EpochRow(row.get(0)?), Epoch(unsigned(row.get(2)?)));
        let (partition, state) = (Partition(row.get(1)?), standing::epoch_state(row, 3)?);
        for receiver in &receivers {
            let begin = receiver.begins.get(&partition);
            if begin.is_some_and(|begin| epoch < *begin) {
                continue;
            }
            let mark = standing::mark(connection, receiver.id, id, state.forgotten)?;
            let due = state.last.0.saturating_sub(mark.watermark.0);
            let beyond = mark.watermark.0.saturating_sub(state.last.0);
            let lacks = if due > COUNTED {
                0
            } else {
                let range = (
                    id.event(mark.watermark),
                    id.event(state.last),
                    COUNTED.cast_signed(),
                );
                due.abs_diff(unsigned(count.query_row(range, |row| row.get(0))?))
            };
            let sum = all.entry(receiver.name.clone()).or_default();
            *sum = sum.saturating_add(lacks).saturating_add(beyond);
        }
    }
    Ok(all)
}
