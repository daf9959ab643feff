//! Keeps the cluster's definition of a Channel current: Helm installs it, and never upgrades it.

use duet_crd::kubernetes::{DEFINITION, VERSION, definition};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};

use crate::cluster::said;

/// Helm's own name as a field manager. Helm 4 applies the definition at every `helm install`, and gives up where another manager has
/// set it otherwise: one that an earlier release's operator kept current would be in the way of the next release.
const MANAGER: &str = "helm";

/// Makes the definition this version's, unless a newer version wrote it. What can't be done is in the log: Channels go on being
/// looked after by the definition that there is.
pub(crate) async fn keep_current(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = match definitions.get(DEFINITION).await {
        Ok(there) => there.annotations().get(VERSION).cloned(),
        Err(error) => {
            return tracing::warn!(
                error = said(&error),
                definition = DEFINITION,
                "the definition can't be read, and stays as it is"
            );
        }
    };
    if theirs
        .as_deref()
        .is_some_and(|theirs| is_newer(theirs, ours))
    {
        return tracing::warn!(
            definition = DEFINITION,
            version = theirs,
            "the definition is a newer version's, and stays"
        );
    }
    let by = PatchParams::apply(MANAGER).force();
    match definitions
        .patch(DEFINITION, &by, &Patch::Apply(definition()))
        .await
    {
        Ok(_) => tracing::info!(
            definition = DEFINITION,
            version = ours,
            "the definition is this version's"
        ),
        Err(error) => {
            tracing::warn!(
                error = said(&error),
                definition = DEFINITION,
                "the definition can't be written, and stays as it is"
            )
        }
    }
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
