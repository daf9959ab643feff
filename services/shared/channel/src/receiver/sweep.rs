//! The task that drops what a resync leaves over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};

/// How many rows one transaction looks at: what is received waits for it.
const AT_ONCE: usize = 512;
/// How long the task rests when the store can't be written.
const REST: Duration = Duration::from_secs(1);

/// See the module.
pub struct SweepTask<S: Store, A: ReceivingService<S::Connection>>(Receiver<S, A>);

impl<S: Store, A: ReceivingService<S::Connection>> SweepTask<S, A> {
    /// The task for a receiver's store. One for each.
    pub fn new(receiver: Receiver<S, A>) -> Self {
        SweepTask(receiver)
    }

    /// Runs until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let more = self.once().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "what a resync leaves over can't be dropped");
                Some(REST)
            });
            let rest = async {
                match more {
                    Some(rest) => tokio::time::sleep(rest).await,
                    None => self.0.0.sweeps.notified().await,
                }
            };
            tokio::select! {
                () = rest => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Does some of what there is to do; how long to rest if there is more.
    async fn once(&self) -> Result<Option<Duration>, StoreError> {
        let inner = &self.0.0;
        let receiver = self.0.clone();
        let decides_by = receiver.decides_by();
        let job = move |tx: &mut S::Tx<'_>| {
            let mut rows = receiver.0.service.rows(tx.connection());
            let mut receiving = receiver.receiving(tx, &mut rows, &decides_by);
            receiving.sweep(AT_ONCE)
        };
        let more = inner.store.write(job).await?;
        Ok(more.then_some(Duration::ZERO))
    }
}
