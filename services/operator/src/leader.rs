//! Which of several operators acts: the one that holds the Lease.
//!
//! Losing the Lease ends what is under way at once. Two may act for a moment if clocks disagree, which harms nothing: all that the
//! operator writes is the same, whoever writes it, and writing it twice changes nothing.

use std::time::Duration;

use duet_web::health::Readiness;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, said};

/// How long a Lease holds without being renewed, in seconds.
const DURATION: u64 = 15;
/// How long before its end it is renewed, in seconds.
const GRACE: u64 = 5;
/// The longest that the API server may take for it: less than the above, so that a Lease that can't be renewed is given up in time.
const ANSWER: Duration = Duration::from_secs(3);
/// Between two attempts after an error.
const PAUSE: Duration = Duration::from_secs(2);
/// How long giving it back may take.
const RELEASE: Duration = Duration::from_secs(3);

/// What readiness calls it.
const PART: &str = "lease";

/// A Lease to be held.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    pub(crate) lease: String,
    /// Who holds it: the pod.
    pub(crate) identity: String,
    pub(crate) cluster: Cluster,
    /// Where it is told that the Lease can't be had. That another holds it is no reason not to be ready.
    pub(crate) readiness: Readiness,
}

impl Election {
    /// Holds the Lease whenever it can, until `stop`; runs what `act` makes while it does. That ends by itself once it is told to stop,
    /// and is dropped if the Lease is lost.
    pub(crate) async fn run<F: Future<Output = ()>>(
        &self,
        stop: &CancellationToken,
        act: impl Fn() -> F,
    ) {
        while !stop.is_cancelled() {
            let held = async {
                let manager = self.manager().await?;
                self.readiness.ready(PART);
                wait_for(&manager, true).await?;
                Ok::<_, Error>(manager)
            };
            let held = tokio::select! {
                () = stop.cancelled() => return,
                held = held => held,
            };
            match held {
                Ok(manager) => self.lead(&manager, act()).await,
                Err(error) => {
                    tracing::warn!(%error, lease = self.lease, "the lease can't be had");
                    self.readiness.not_ready(PART, error.to_string());
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn lead(&self, manager: &LeaseManager, acting: impl Future<Output = ()>) {
        tracing::info!(
            lease = self.lease,
            identity = self.identity,
            "holds the lease"
        );
        tokio::select! {
            biased;
            lost = wait_for(manager, false) => {
                let error = lost.err().map(tracing::field::display);
                tracing::warn!(error, lease = self.lease, "the lease is lost");
            }
            () = acting => match timeout(RELEASE, manager.release()).await {
                Ok(Ok(())) => tracing::info!(lease = self.lease, "the lease is given back"),
                _ => tracing::warn!(lease = self.lease, "the lease is not given back; it will run out"),
            },
        }
    }

    async fn manager(&self) -> Result<LeaseManager, Error> {
        let params = LeaseParams::new(&self.identity, DURATION, GRACE);
        let manager = LeaseManagerBuilder::new(self.cluster.client(ANSWER)?, &self.lease)
            .with_namespace(&self.cluster.namespace)
            .with_parameters(params);
        Ok(manager.build().await?)
    }
}

/// Waits until the Lease is held, or not. An error is one of renewing it, too: whoever can't renew it has it no more.
async fn wait_for(manager: &LeaseManager, holds: bool) -> Result<(), Error> {
    while manager.changed().await? != holds {}
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", said(.0))]
    Client(#[from] kube::Error),
    #[error("{}", of_lease(.0))]
    Lease(#[from] LeaseManagerError),
}

fn of_lease(error: &LeaseManagerError) -> String {
    match error {
        LeaseManagerError::KubeError(error) => said(error),
        other => other.to_string(),
    }
}
