//! Deletes the namespace's Channels and waits until they are gone: what has to happen before the operator goes, for it is the operator
//! that removes streams.

use std::time::Duration;

use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::{sleep, timeout};

use crate::cluster::said;
use crate::stored::Stored;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Why the Channels are not gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the Channels can't be deleted: {}", said(.0))]
    Api(#[from] kube::Error),
    #[error(
        "not gone in {within:?}: {names}. The operator removes their streams first: see its log, or give the streams up with `kubectl patch channel NAME --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'`"
    )]
    Stay {
        /// Which.
        names: String,
        /// How long was waited.
        within: Duration,
    },
}

/// Deletes them, and waits for so long at most. No Channel, or no definition of one, is as good.
pub(crate) async fn channels(
    client: Client,
    namespace: &str,
    within: Duration,
) -> Result<(), Error> {
    let channels: Api<Stored> = Api::namespaced(client, namespace);
    let mut left = Vec::new();
    let gone = timeout(within, async {
        loop {
            left = there(&channels).await?;
            if left.is_empty() {
                return Ok(());
            }
            for stored in left
                .iter()
                .filter(|stored| stored.metadata.deletion_timestamp.is_none())
            {
                let name = stored.name_any();
                tracing::info!(channel = name, "deleted");
                match channels.delete(&name, &DeleteParams::default()).await {
                    Err(kube::Error::Api(error)) if error.code == 404 => {}
                    result => drop(result?),
                }
            }
            sleep(PAUSE).await;
        }
    });
    match gone.await {
        Ok(result) => result,
        Err(_) => Err(Error::Stay {
            names: left
                .iter()
                .map(ResourceExt::name_any)
                .collect::<Vec<_>>()
                .join(", "),
            within,
        }),
    }
}

async fn there(channels: &Api<Stored>) -> Result<Vec<Stored>, kube::Error> {
    match channels.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
