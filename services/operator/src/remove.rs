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
    #[error("the Channels can't be deleted within {within:?}: {why}")]
    Api {
        /// What became of the last attempt.
        why: String,
        /// For how long it was tried.
        within: Duration,
    },
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

/// Deletes them, and waits for so long at most: an API that can't be asked is asked again. No Channel, or no definition of one, is as
/// good.
pub(crate) async fn channels(
    client: Client,
    namespace: &str,
    within: Duration,
) -> Result<(), Error> {
    let channels: Api<Stored> = Api::namespaced(client, namespace);
    let mut left = Err("it does not answer".to_owned());
    let gone = timeout(within, async {
        loop {
            let now = delete(&channels).await.map_err(|error| said(&error));
            match &now {
                Ok(names) if names.is_empty() => return,
                Err(why) if left.as_ref().err() != Some(why) => {
                    tracing::warn!("the Channels can't be deleted yet: {why}");
                }
                _ => {}
            }
            left = now;
            sleep(PAUSE).await;
        }
    });
    match (gone.await, left) {
        (Ok(()), _) => Ok(()),
        (Err(_), Ok(names)) => Err(Error::Stay {
            names: names.join(", "),
            within,
        }),
        (Err(_), Err(why)) => Err(Error::Api { why, within }),
    }
}

/// Deletes each that nobody has deleted yet; which there are.
async fn delete(channels: &Api<Stored>) -> Result<Vec<String>, kube::Error> {
    let there = there(channels).await?;
    let mut deleted = Ok(());
    for stored in &there {
        if stored.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let name = stored.name_any();
        match channels.delete(&name, &DeleteParams::default()).await {
            Ok(_) => tracing::info!(channel = name, "deleted"),
            Err(kube::Error::Api(error)) if error.code == 404 => {}
            // The others are not to wait for it.
            Err(error) => deleted = Err(error),
        }
    }
    deleted.map(|()| there.iter().map(ResourceExt::name_any).collect())
}

async fn there(channels: &Api<Stored>) -> Result<Vec<Stored>, kube::Error> {
    match channels.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use duet_channel::settings::kubernetes_client;
    use serde_json::json;

    use super::*;
    use crate::fixtures::api_server;

    async fn asking(
        answer: impl Fn(&str, usize) -> (&'static str, String) + Send + 'static,
    ) -> Client {
        kubernetes_client(api_server(answer).await, LONG, Duration::ZERO).unwrap()
    }

    fn list(names: &[&str]) -> (&'static str, String) {
        let channel = |name: &&str| json!({"metadata": {"name": name}, "spec": {}});
        let items: Vec<_> = names.iter().map(channel).collect();
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": items});
        ("200 OK", list.to_string())
    }

    const CAN_NOT: &str = "503 Service Unavailable";
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn an_api_that_can_not_for_a_moment_is_asked_again() {
        let client = asking(|request, before| match before {
            0 => (CAN_NOT, "{}".to_owned()),
            1 => list(&["a"]),
            2 => {
                assert!(request.starts_with("DELETE"), "{request}");
                (CAN_NOT, "{}".to_owned())
            }
            3 => list(&["a"]),
            4 => ("200 OK", "{\"metadata\": {\"name\": \"a\"}}".to_owned()),
            _ => list(&[]),
        });
        channels(client.await, "demo", LONG).await.unwrap();
    }

    #[tokio::test]
    async fn what_can_not_be_done_is_given_up_in_time_and_told() {
        let short = Duration::from_millis(300);
        let forbidden =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no right to list", "reason": "Forbidden", "code": 403})
            .to_string();
        let client = asking(move |_, _| ("403 Forbidden", forbidden.clone()));
        let error = channels(client.await, "demo", short).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Channels can't be deleted within 300ms: no right to list (403)"
        );
        let client = asking(|request, _| match request.starts_with("DELETE") {
            true => ("200 OK", "{\"metadata\": {\"name\": \"a\"}}".to_owned()),
            false => list(&["a"]),
        });
        let error = channels(client.await, "demo", short).await.unwrap_err();
        assert!(error.to_string().starts_with("not gone in 300ms: a."));
    }
}
