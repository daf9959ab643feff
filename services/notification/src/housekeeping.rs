//! What the store need not keep for ever.

use std::time::Duration;

use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::{Store, Transaction};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::changes;

/// How many changes other than news are kept: a stream that is resumed from before them begins anew.
const CHANGES: u32 = 100_000;
/// How often the oldest are forgotten.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps what streams are resumed by within its bound, until `stop`.
pub(crate) async fn forget_changes(store: SqliteStore, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
        let forget = store.write(|tx| Ok(changes::forget(tx.connection(), CHANGES)?));
        if let Err(error) = forget.await {
            tracing::warn!(%error, "old changes can't be forgotten");
        }
    }
}
