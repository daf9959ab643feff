//! The definition in the chart is the one that the type generates, and so is what the chart's values are held to.

#![cfg(feature = "kubernetes")]
#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use std::path::Path;

#[test]
fn the_chart_has_the_definition_that_the_type_generates() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../helm/duet/crds/channels.yaml");
    let generated = duet_crd::kubernetes::manifest();
    if std::env::var_os("DUET_BLESS").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == generated,
        "helm/duet/crds/channels.yaml is not what the type says; write it anew with\n    \
         DUET_BLESS=1 cargo test -p duet-crd --features kubernetes --test definition"
    );
}

/// In `values.schema.json` it stands last, so that it is written anew as text: the rest is by hand.
#[test]
fn the_charts_values_are_held_to_the_same() {
    const BEGIN: &str = "\"channelSpec\": ";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../helm/duet/values.schema.json");
    let mut spec = duet_crd::schema()["properties"]["spec"].clone();
    for_values(&mut spec);
    // The chart has a sentence of its own for these two.
    let fields = spec["properties"].as_object_mut().unwrap();
    for end in ["from", "to"] {
        fields.insert(end.to_owned(), true.into());
    }
    let written = serde_json::to_string_pretty(&spec).unwrap();
    let schema = std::fs::read_to_string(&file).unwrap();
    let (by_hand, _) = schema.split_once(BEGIN).unwrap();
    let generated = format!(
        "{by_hand}{BEGIN}{}\n  }}\n}}\n",
        written.replace('\n', "\n    ")
    );
    if std::env::var_os("DUET_BLESS").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == generated,
        "helm/duet/values.schema.json is not what the type says; write it anew with\n    \
         DUET_BLESS=1 cargo test -p duet-crd --features kubernetes --test definition"
    );
}

/// Nothing is required, since the API server sets defaults after Helm has looked; and Kubernetes' own keywords mean nothing to Helm.
fn for_values(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(keywords) => {
            keywords.retain(|keyword, _| !keyword.starts_with("x-kubernetes-"));
            keywords.values_mut().for_each(for_values);
            // Only the keyword is a list; a field of that name would be an object.
            if keywords.get("required").is_some_and(|it| it.is_array()) {
                keywords.remove("required");
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(for_values),
        _ => {}
    }
}
