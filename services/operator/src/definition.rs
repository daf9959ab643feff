//! Keeps the cluster's definition of a Channel current: Helm installs it, and never upgrades it.

use std::time::Duration;

use duet_crd::kubernetes::{DEFINITION, VERSION, definition};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cluster::said;

/// Helm's own name as a field manager. Helm 4 applies the definition at every `helm install`, and gives up where another manager has
/// set it otherwise: one that an earlier release's operator kept current would be in the way of the next release.
const MANAGER: &str = "helm";

/// Makes the definition this version's, unless a newer version wrote it. Whether that is settled: what can't be done is in the log, and
/// Channels go on being looked after by the definition that there is.
pub(crate) async fn make_current(client: &Client) -> bool {
    match attempt(client).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                error = said(&error),
                definition = DEFINITION,
                "the definition stays as it is for now"
            );
            false
        }
    }
}

/// Tries again until it is settled, or until `stop`: at start the way to the API may not be there yet.
pub(crate) async fn make_current_later(client: &Client, every: Duration, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(every) => {}
        }
        if attempt(client).await.is_ok() {
            return;
        }
    }
}

async fn attempt(client: &Client) -> Result<(), kube::Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let ours = env!("CARGO_PKG_VERSION");
    let there = definitions.get(DEFINITION).await?;
    let theirs = there.annotations().get(VERSION);
    if theirs.is_some_and(|theirs| is_newer(theirs, ours)) {
        tracing::warn!(
            definition = DEFINITION,
            version = theirs,
            "the definition is a newer version's, and stays"
        );
        return Ok(());
    }
    let by = PatchParams::apply(MANAGER).force();
    definitions
        .patch(DEFINITION, &by, &Patch::Apply(definition()))
        .await?;
    tracing::info!(
        definition = DEFINITION,
        version = ours,
        "the definition is this version's"
    );
    Ok(())
}

/// Whether a version is surely newer than another. What is no version counts as newer: it is not ours to judge.
fn is_newer(theirs: &str, ours: &str) -> bool {
    match (numbers(theirs), numbers(ours)) {
        (Some(theirs), Some(ours)) => theirs > ours,
        _ => true,
    }
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    version
        .split('.')
        .map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::api_server;

    #[tokio::test]
    async fn what_can_not_be_done_at_start_is_tried_until_it_is_settled() {
        let mut newer = definition();
        let annotations = newer.metadata.annotations.get_or_insert_default();
        annotations.insert(VERSION.to_owned(), "99.0.0".to_owned());
        let newer = serde_json::to_string(&newer).unwrap();
        let config = api_server(move |_, before| match before {
            0..3 => ("500 Internal Server Error", "{}".to_owned()),
            _ => ("200 OK", newer.clone()),
        })
        .await;
        let client = Client::try_from(config).unwrap();
        assert!(!make_current(&client).await);
        let stop = CancellationToken::new();
        make_current_later(&client, Duration::from_millis(1), &stop).await;
        assert!(make_current(&client).await);
    }

    #[test]
    fn a_newer_versions_definition_is_not_ours_to_change() {
        for (theirs, newer) in [
            ("0.1.0", false),
            ("0.0.9", false),
            ("0.2.0", true),
            ("0.10.0", true),
            ("1.0.0-rc.1", true),
            ("", true),
        ] {
            assert_eq!(is_newer(theirs, "0.1.0"), newer, "{theirs}");
        }
    }
}
