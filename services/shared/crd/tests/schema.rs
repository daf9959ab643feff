//! What is true of the whole schema, so that a field that is added can't fall short of it.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use duet_crd::{Channel, EXAMPLE, schema};
use serde_json::{Value, json};

/// Every schema within the schema, with its path.
fn nodes(path: String, schema: &'static Value, found: &mut Vec<(String, &'static Value)>) {
    found.push((path.clone(), schema));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        nodes(format!("{path}.{name}"), field, found);
    }
    if let Some(items) = schema.get("items") {
        nodes(format!("{path}[]"), items, found);
    }
}

fn all() -> Vec<(String, &'static Value)> {
    let mut found = Vec::new();
    nodes(String::new(), schema(), &mut found);
    found
}

#[test]
fn every_field_is_described_and_says_its_bounds() {
    for (path, schema) in all() {
        let description = schema["description"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has no description"));
        assert!(
            description.ends_with('.') && !description.contains(['`', '[', '\n']),
            "{path}: {description}"
        );
        let rules = schema["x-kubernetes-validations"].as_array();
        let messages = rules
            .into_iter()
            .flatten()
            .filter_map(|rule| rule["message"].as_str());
        let mut bounds: Vec<String> = messages
            .filter_map(|message| Some(message.split_once(" from ")?.1.split_once(", written")?.0))
            .map(str::to_owned)
            .collect();
        if let (Some(least), Some(most)) = (schema.get("minimum"), schema.get("maximum"))
            && !path.starts_with(".metadata")
        {
            bounds.push(format!("{least} to {most}"));
        }
        for bounds in bounds {
            assert!(
                description.contains(&bounds),
                "{path} doesn't say {bounds}: {description}"
            );
        }
    }
}

#[test]
fn every_field_of_the_spec_is_bounded() {
    for (path, schema) in all() {
        let has = |keyword: &str| schema.get(keyword).is_some();
        let bounded = match schema["type"].as_str() {
            Some("string") => has("enum") || (has("maxLength") && has("pattern")),
            Some("integer") => has("minimum") && has("maximum"),
            Some("array") => has("maxItems"),
            Some("object") => has("properties"),
            // An integer or a text.
            _ => has("maxLength") && has("pattern") && has("x-kubernetes-validations"),
        };
        assert!(bounded || path.starts_with(".metadata"), "{path}");
        // Others are unknown to the API server, which warns of them.
        assert!(
            ["int32", "int64"]
                .map(Value::from)
                .contains(&schema["format"])
                || !has("format")
        );
    }
}

#[test]
fn every_field_of_the_spec_that_may_be_left_out_has_a_default_or_means_that_there_is_none() {
    let mut without = Vec::new();
    for (path, schema) in all() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if !required.contains(&json!(name)) && field.get("default").is_none() {
                without.push(format!("{path}.{name}"));
            }
        }
    }
    without.retain(|path| !path.starts_with(".metadata"));
    let none_means_none = [
        ".spec.async",
        ".spec.async.natsJetStream",
        ".spec.canary",
        ".spec.faults",
        ".spec.faults.maxPerSecond",
        ".spec.faults.receiver",
        ".spec.faults.until",
    ];
    without.sort();
    assert_eq!(without, none_means_none);
}

#[test]
fn what_is_left_out_is_as_the_default_says_wherever_it_is_left_out() {
    // An empty section takes its fields' defaults, a missing one its own: the two agree.
    let example: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    for (path, schema) in all() {
        let Some(default) = schema.get("default").filter(|default| default.is_object()) else {
            continue;
        };
        let mut empty = example.clone();
        let sections = path.split('.').skip(1);
        *sections.fold(&mut empty, |at, section| &mut at[section]) = json!({});
        let read = serde_json::to_value(Channel::from_value(empty).unwrap()).unwrap();
        assert_eq!(
            read.pointer(&path.replace('.', "/")),
            Some(default),
            "{path}"
        );
    }
}
