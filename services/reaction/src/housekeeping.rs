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

#[cfg(test)]
mod tests {
    use duet_channel::clock::Clock;
    use duet_channel::store::sqlite::Options;
    use duet_protocol::receipt::ReceiverName;
    use duet_protocol::sequence::Sequence;
    use duet_protocol::settings::Generation;

    use super::*;
    use crate::store::MIGRATIONS;

    async fn rows(store: &SqliteStore) -> i64 {
        let count = |connection: &rusqlite::Connection| {
            let count = "SELECT count(*) FROM reactions";
            Ok(connection.query_row(count, [], |row| row.get(0))?)
        };
        store.read(count).await.unwrap()
    }

    #[tokio::test]
    async fn an_undone_row_goes_once_every_receiver_holds_the_event_that_undid_it() {
        let dir = tempfile::tempdir().unwrap();
        let receivers = Some(vec![ReceiverName::new("notification").unwrap()]);
        let options =
            Options::new(MIGRATIONS, Clock::start(), 7).sending(receivers, Generation::FIRST);
        let (store, _committed) = SqliteStore::open(&dir.path().join("store"), options).unwrap();
        let (source, _) = store.outbox().await.unwrap().sources[0];
        let undone = move |tx: &mut SqliteTx<'_>| {
            let insert =
                "INSERT INTO reactions (post, user, kind, at, epoch, sequence, provisional)
                          VALUES ('p1', 'ana', NULL, 0, ?1, 1, 0)";
            tx.connection()
                .execute(insert, [source.epoch.0.cast_signed()])?;
            Ok(())
        };
        store.write(undone).await.unwrap();

        sweep(&store).await.unwrap();
        assert_eq!(rows(&store).await, 1);
        store
            .write(move |tx| tx.forget(source, Sequence(1)))
            .await
            .unwrap();
        sweep(&store).await.unwrap();
        assert_eq!(rows(&store).await, 0);
        store.close().await;
    }
}
