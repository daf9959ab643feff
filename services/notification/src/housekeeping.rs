//! What the store need not keep for ever.

use std::time::Duration;

use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::{Store, StoreError, Transaction};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::changes;

/// How many changes other than news are kept: a stream that is resumed from before them begins anew.
const CHANGES: u32 = 100_000;
/// How often the oldest are forgotten.
const EVERY: Duration = Duration::from_secs(10);
/// How many in one transaction: what is received waits for it.
const AT_ONCE: u32 = 512;

/// Keeps what streams are resumed by within its bound, until `stop`.
pub(crate) async fn forget_changes(store: SqliteStore, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
        if let Err(error) = forget(&store).await {
            tracing::warn!(%error, "old changes can't be forgotten");
        }
    }
}

async fn forget(store: &SqliteStore) -> Result<(), StoreError> {
    let over = store.read(|connection| Ok(changes::newest_over(connection, CHANGES)?));
    let Some(up_to) = over.await? else {
        return Ok(());
    };
    let some = || store.write(move |tx| Ok(changes::forget(tx.connection(), up_to, AT_ONCE)?));
    while some().await? {}
    Ok(())
}
