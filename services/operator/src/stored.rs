//! A Channel as the API server holds it.
//!
//! Nothing is taken for granted of its spec and its status: a Channel that a former definition let in is reported as it is, and does not
//! keep the others from being read.

use std::borrow::Cow;

use duet_crd::kubernetes::Status;
use duet_crd::{API_VERSION, Channel, GROUP, KIND, Problem, Problems, VERSION};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the definition calls a list of Channels.
const PLURAL: &str = "channels";

/// A Channel as the API server holds it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Stored {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: Value,
    #[serde(default)]
    pub(crate) status: Value,
}

impl Resource for Stored {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Which Channel it is, and what Kubernetes says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    /// Whether somebody deleted it; it is there until the last finalizer is gone.
    pub(crate) is_deleted: bool,
    /// Whether it waits for its stream to be removed.
    pub(crate) has_finalizer: bool,
}

/// The finalizer: the Channel's stream is to be removed before the Channel goes.
pub(crate) const FINALIZER: &str = "duet.dev/stream";

impl Stored {
    pub(crate) fn subject(&self) -> Subject {
        let metadata = &self.metadata;
        Subject {
            namespace: self.namespace().unwrap_or_default(),
            name: self.name_any(),
            uid: self.uid().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            is_deleted: metadata.deletion_timestamp.is_some(),
            has_finalizer: self.finalizers().iter().any(|name| name == FINALIZER),
        }
    }

    /// The document, and which fields of its spec this version does not know.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn document(&self) -> Result<(Channel, Vec<Problem>), Problems> {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": self.metadata,
            "spec": self.spec,
        });
        Channel::from_cluster(&object)
    }

    /// The status, as far as it makes sense.
    pub(crate) fn status(&self) -> Status {
        serde_json::from_value(self.status.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_makes_no_sense_is_read_and_all_that_is_wrong_is_told() {
        let stored: Stored = serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": KIND,
            "metadata": {"name": "reactions", "namespace": "demo", "uid": "u", "generation": 2},
            "spec": {"from": "reaction", "to": [], "mode": "Fast"},
            "status": {"mode": "Slow"},
        }))
        .unwrap();
        let problems = stored.document().unwrap_err().to_string();
        assert!(
            problems.contains("spec.to") && problems.contains("spec.mode"),
            "{problems}"
        );
        assert_eq!(stored.status(), Status::default());
    }
}
