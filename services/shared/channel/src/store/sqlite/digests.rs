//! The digests of a store that was written to before there were any: summed over the rows as they are then.

use std::collections::BTreeMap;

use duet_protocol::event::RollingHash;
use duet_protocol::sequence::{Lane, Source};
use rusqlite::Connection;

use super::audit::{AuditRows, each, hash};
use super::codec::{signed, unsigned};
use crate::store::StoreError;

/// Gives each epoch and each lane its digest. The tables are those of today.
pub(super) fn begin(connection: &Connection, rows: &dyn AuditRows) -> Result<(), StoreError> {
    let own = connection.query_row("SELECT id, partitions FROM store", [], |row| {
        Ok((unsigned(row.get(0)?), row.get(1)?))
    })?;
    let (mut sent, mut held) = (Sums::default(), Sums::default());
    let mut versions = connection.prepare("UPDATE versions SET hash = ?2 WHERE key = ?1")?;
    let mut hashes = Vec::new();
    each(connection, rows, |row| {
        let Some(event) = row.event(Some(own)) else {
            return;
        };
        let sums = if row.lane.is_none() {
            &mut sent
        } else {
            &mut held
        };
        *sums.entry(event.source).or_default() += hash(row);
        hashes.extend(row.hash.map(|hash| (row.key.clone(), hash)));
    })?;
    for (key, hash) in hashes {
        versions.execute((key, signed(hash)))?;
    }
    let mut epochs =
        connection.prepare("UPDATE epochs SET digest = ?3 WHERE partition = ?1 AND epoch = ?2")?;
    for (source, digest) in sent {
        let Source { lane, epoch } = source;
        epochs.execute((lane.partition.0, signed(epoch.0), signed(digest.0)))?;
    }
    let of_lane = "lane = (SELECT id FROM inbox_lanes WHERE store = ?1 AND partitions = ?2 AND partition = ?3)";
    let mut open = connection.prepare(&format!(
        "UPDATE inbox_epochs SET digest = ?5 WHERE {of_lane} AND epoch = ?4"
    ))?;
    let mut closed: BTreeMap<Lane, RollingHash> = BTreeMap::new();
    for (source, digest) in held {
        let Source { lane, epoch } = source;
        let [store, epoch, sum] = [lane.store.0, epoch.0, digest.0].map(signed);
        let of = (store, lane.partitions, lane.partition.0, epoch, sum);
        if open.execute(of)? == 0 {
            *closed.entry(lane).or_default() += digest;
        }
    }
    let mut lanes = connection.prepare(
        "UPDATE inbox_lanes SET digest = ?4 WHERE store = ?1 AND partitions = ?2 AND partition = ?3",
    )?;
    for (lane, digest) in closed {
        let [store, sum] = [lane.store.0, digest.0].map(signed);
        lanes.execute((store, lane.partitions, lane.partition.0, sum))?;
    }
    Ok(())
}

type Sums = BTreeMap<Source, RollingHash>;
