//! Drops undone rows once every receiver holds the events that undid them: until then a row's version keeps an older call's
//! failure from bringing it back.

use std::time::Duration;

use duet_channel::store::sqlite::{SqliteStore, SqliteTx};
use duet_channel::store::{Store, StoreError, Transaction};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::sequence::{Lane, Partition, Version};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::reactions;

/// How often it is looked for such rows.
const EVERY: Duration = Duration::from_secs(10);
/// How many rows one transaction drops at most.
const AT_ONCE: usize = 256;

/// Runs until `stop`. What it can't do now it does later.
pub(crate) async fn run(store: SqliteStore, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
        if let Err(error) = sweep(&store).await {
            tracing::warn!(%error, "undone rows could not be dropped");
        }
    }
}

async fn sweep(store: &SqliteStore) -> Result<(), StoreError> {
    let dropped = |tx: &mut SqliteTx<'_>| match settled(tx)? {
        Some(up_to) => Ok(reactions::drop_undone(tx.connection(), up_to, AT_ONCE)?),
        None => Ok(0),
    };
    while store.write(dropped).await? == AT_ONCE {}
    Ok(())
}

/// Every event up to and including this version is held by every receiver.
fn settled<T: OutboxTables>(tx: &mut T) -> Result<Option<Version>, T::Error> {
    let (store, partitions) = (tx.store()?, tx.partitions()?);
    let mut settled = None;
    for partition in (0..partitions).map(Partition) {
        let lane = Lane {
            store,
            partitions,
            partition,
        };
        let Some(head) = tx.head(partition)? else {
            return Ok(None);
        };
        let oldest = tx.unforgotten(lane, head)?.first().copied().unwrap_or(head);
        let source = lane.source(oldest);
        let Some(state) = tx.epoch(source)? else {
            return Ok(None);
        };
        let own = source.version(state.forgotten);
        settled = Some(settled.map_or(own, |settled: Version| settled.min(own)));
    }
    Ok(settled)
}
