//! A Channel as the Kubernetes API gives it.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use duet_crd::{Channel, EXAMPLE};
use duet_protocol::settings::{Generation, Settings};
use serde_json::{Value, json};

/// The example, as an API server returns it.
fn object() -> Value {
    let mut object: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    object["metadata"] = json!({
        "name": "reactions",
        "namespace": "duet",
        "uid": "6a5c9a3e-6b43-4a0f-9a5e-0d6a1a4e9a55",
        "resourceVersion": "4711",
        "generation": 7,
        "creationTimestamp": "2026-11-24T12:00:00Z",
        "labels": {"app.kubernetes.io/name": "duet"},
        "finalizers": ["duet.dev/stream"],
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
    });
    object["status"] = json!({"observedGeneration": 6, "mode": "Switching"});
    object
}

#[test]
fn it_is_read_with_its_identity_and_means_the_same_as_the_file() {
    let (channel, unknown) = Channel::from_cluster(&object()).unwrap();
    assert_eq!(unknown, []);
    assert_eq!(channel.metadata.generation, Some(7));
    assert_eq!(
        channel.metadata.uid.as_deref(),
        Some("6a5c9a3e-6b43-4a0f-9a5e-0d6a1a4e9a55")
    );
    let file = Channel::from_yaml(EXAMPLE).unwrap();
    assert_eq!(channel.spec, file.spec);
    let settings = Settings::try_from(&channel).unwrap();
    assert_eq!(settings.generation, Generation(7));
}

#[test]
fn fields_of_a_newer_definition_are_left_aside_and_told() {
    let mut object = object();
    object["spec"]["sync"]["retry"] = json!({"maxAttempts": 3});
    object["spec"]["sync"]["priority"] = json!(1);
    object["spec"]["to"][0]["weight"] = json!(2);
    let (channel, unknown) = Channel::from_cluster(&object).unwrap();
    assert_eq!(channel.spec, Channel::from_yaml(EXAMPLE).unwrap().spec);
    let mut paths: Vec<_> = unknown
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["spec.sync.priority", "spec.sync.retry", "spec.to[0].weight"]
    );
}

#[test]
fn what_is_known_and_wrong_is_refused_all_the_same() {
    let mut object = object();
    object["spec"]["sync"]["retry"] = json!({});
    object["spec"]["mode"] = json!("Hybrid");
    assert_eq!(
        Channel::from_cluster(&object).unwrap_err().to_string(),
        "spec.mode must be Sync or Async, not \"Hybrid\""
    );
    for no_channel in [
        json!(null),
        json!([]),
        json!({}),
        json!({"metadata": 1, "spec": []}),
    ] {
        assert!(Channel::from_cluster(&no_channel).is_err(), "{no_channel}");
    }
}
