use std::time::Duration;

use duet_channel::settings::SettingsState;
use duet_channel::store::sqlite::{SqliteStore, generations};
use duet_channel::store::{Store, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Between two tries, where the store could not.
const AGAIN: Duration = Duration::from_secs(10);

/// Keeps in the store which Channel is in force since when, each time that another comes into force, until `stop`.
pub(super) async fn keep(
    store: SqliteStore,
    mut states: watch::Receiver<SettingsState>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let current = states.borrow_and_update().current.clone();
        let kept = match current {
            None => Ok(()),
            Some(in_force) => {
                let keep = store.write(move |tx| generations::keep(tx.connection(), &in_force));
                keep.await
            }
        };
        let again = async {
            match &kept {
                Ok(()) => std::future::pending().await,
                Err(error) => {
                    tracing::warn!(%error, "which Channel is in force could not be kept yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            changed = states.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}
