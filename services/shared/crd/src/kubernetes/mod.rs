//! The Channel as a custom resource: its definition, its status, and its relation to the document.
//!
//! The spec is the document's own [`Spec`](crate::Spec); what the API server keeps around it (metadata, status) is Kubernetes'.
//! The definition's rules are CEL with quantities, which Kubernetes 1.29 and later know; they were tried on 1.34.

mod precedence;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};
use serde_json::Value;

pub use crate::channel::ChannelResource;
pub use precedence::{Claim, Over, Rival, rival};
pub use status::{CanaryStatus, Diverging, Participants, Status, StatusMode};

use crate::problem::{Problem, Problems};
use crate::{Channel, Metadata};

/// The name of the definition, `channels.duet.dev`: whose rights to ask for.
pub const DEFINITION: &str = "channels.duet.dev";

/// The annotation of the definition that says which version of Duet it is of.
pub const VERSION: &str = "duet.dev/version";

/// The definition that makes the API server know Channels.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = ChannelResource::crd();
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert(VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    definition
}

/// The definition as the chart carries it, in `helm/duet/crds/channels.yaml`.
pub fn manifest() -> String {
    const HEADER: &str = "# Generated from the types in services/shared/crd; its tests/definition.rs says how. Not to be edited.";
    let mut definition = serde_json::to_value(definition()).expect("a definition is JSON");
    whole_numbers(&mut definition);
    let definition = serde_yaml_ng::to_string(&definition).expect("and so YAML");
    format!("{HEADER}\n{definition}")
}

/// Bounds are floating-point numbers to the API; a reader expects 512, not 512.0.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0) {
                #[expect(clippy::cast_possible_truncation, reason = "bounds are small")]
                let whole = whole as i64;
                *number = whole.into();
            }
        }
        _ => {}
    }
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
