//! The Channel as a custom resource: its definition, its status, and its relation to the document.
//!
//! The spec is the document's own [`Spec`]; what the API server keeps around it (metadata, status) is Kubernetes'.
//! The definition's rules need Kubernetes 1.30 or later.

mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};

pub use crate::channel::ChannelResource;
pub use status::{Diverging, Participants, Status, StatusMode};

use crate::problem::{Problem, Problems};
use crate::{Channel, Metadata};

/// The name of the definition, `channels.duet.dev`: whose rights to ask for.
pub const DEFINITION: &str = "channels.duet.dev";

/// The definition that makes the API server know Channels.
pub fn definition() -> CustomResourceDefinition {
    ChannelResource::crd()
}

impl Channel {
    /// The document that a resource holds.
    ///
    /// # Errors
    /// All that is wrong with it: the API server held it to the rules of the definition it has, which may be another.
    pub fn from_resource(resource: &ChannelResource) -> Result<Channel, Problems> {
        let value = serde_json::to_value(resource)
            .map_err(|error| Problem::of_document(format!("can't be written: {error}")))?;
        Channel::from_cluster(&value).map(|(channel, _)| channel)
    }
}

/// The resource to create from a document: its name, namespace, labels, annotations and spec.
impl From<Channel> for ChannelResource {
    fn from(Channel { metadata, spec, .. }: Channel) -> Self {
        let Metadata {
            name,
            namespace,
            labels,
            annotations,
            generation: _,
            uid: _,
        } = metadata;
        let mut resource = ChannelResource::new(name.as_str(), spec);
        resource.metadata.namespace = namespace;
        *resource.labels_mut() = labels;
        *resource.annotations_mut() = annotations;
        resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{API_VERSION, EXAMPLE, KIND};

    #[test]
    fn the_resource_is_named_as_the_document_says() {
        let definition = definition();
        assert_eq!(definition.metadata.name.as_deref(), Some(DEFINITION));
        let names = &definition.spec.names;
        assert_eq!(
            (names.kind.as_str(), names.plural.as_str()),
            (KIND, "channels")
        );
        assert_eq!(names.short_names, Some(vec!["chan".to_owned()]));
        let resource = ChannelResource::from(Channel::from_yaml(EXAMPLE).unwrap());
        let value = serde_json::to_value(resource).unwrap();
        assert_eq!(value["apiVersion"], API_VERSION);
        assert_eq!(value["kind"], KIND);
    }

    #[test]
    fn a_document_goes_into_a_resource_and_comes_back() {
        let channel = Channel::from_yaml(EXAMPLE).unwrap();
        let resource = ChannelResource::from(channel.clone());
        assert_eq!(Channel::from_resource(&resource), Ok(channel));
    }
}
