//! The schema that the Channel's type generates: JSON Schema in the shape that Kubernetes takes (inlined, no `oneOf` for plain
//! enums, no formats it doesn't know), which is also what a document is checked against here.

use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde_json::{Value, json};

use crate::Channel;

/// The Channel's schema. Beyond Kubernetes' own keywords it has `x-duet-minimum` and `x-duet-maximum`: the bounds of a
/// duration or a quantity, written as the field itself is.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let settings = SchemaSettings::draft07()
            .with(|settings| {
                settings.inline_subschemas = true;
                settings.meta_schema = None;
            })
            .with_transform(drop_integer_formats);
        settings
            .into_generator()
            .into_root_schema_for::<Channel>()
            .to_value()
    });
    &SCHEMA
}

/// An enum whose variants have descriptions is `oneOf` constants; a structural schema wants `enum`, and the descriptions
/// in the enum's own.
pub(crate) fn plain_enum(schema: &mut Schema) {
    let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let names: Option<Vec<Value>> = variants
        .iter()
        .map(|variant| variant.get("const").cloned())
        .collect();
    let Some(names) = names else { return };
    let describe = |variant: &Value| {
        let (name, what) = (
            variant.get("const")?.as_str()?,
            variant.get("description")?.as_str()?,
        );
        Some(format!(" {name}: {}", what.trim_end_matches('.')))
    };
    let told: Vec<String> = variants.iter().filter_map(describe).collect();
    let own = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("enum".to_owned(), Value::Array(names));
    schema.insert(
        "description".to_owned(),
        json!(format!("{own}{}.", told.join(";"))),
    );
}

/// Rust's integer types are no formats to Kubernetes; the bounds say what matters.
fn drop_integer_formats(schema: &mut Schema) {
    if schema.get("type") == Some(&json!("integer")) {
        schema.remove("format");
    }
    transform_subschemas(&mut drop_integer_formats, schema);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;

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

    fn all_nodes() -> Vec<(String, &'static Value)> {
        let mut found = Vec::new();
        nodes(String::new(), schema(), &mut found);
        found
    }

    #[test]
    fn the_schema_says_nothing_that_the_check_does_not_know() {
        // What `pattern` and the lengths demand of a text, its format does too.
        let known = [
            "additionalProperties",
            "default",
            "description",
            "enum",
            "format",
            "items",
            "maxItems",
            "maxLength",
            "maximum",
            "minItems",
            "minLength",
            "minimum",
            "pattern",
            "properties",
            "required",
            "title",
            "type",
            "x-duet-maximum",
            "x-duet-minimum",
        ];
        for (path, schema) in all_nodes() {
            let keywords = schema.as_object().unwrap().keys();
            let int_or_string = schema.get("x-kubernetes-int-or-string") == Some(&json!(true));
            let unknown: Vec<&String> = keywords
                .filter(|keyword| !known.contains(&keyword.as_str()))
                .filter(|keyword| {
                    !(int_or_string
                        && matches!(keyword.as_str(), "anyOf" | "x-kubernetes-int-or-string"))
                })
                .collect();
            assert!(unknown.is_empty(), "{path}: {unknown:?}");
            assert_eq!(
                schema.get("pattern").is_some(),
                Format::of(schema).is_some(),
                "{path}"
            );
        }
    }

    #[test]
    fn every_field_is_described_and_says_its_bounds() {
        for (path, schema) in all_nodes() {
            let description = schema["description"]
                .as_str()
                .unwrap_or_else(|| panic!("{path} has no description"));
            assert!(
                description.ends_with('.') && !description.contains(['`', '[', '\n']),
                "{path}: {description}"
            );
            let bounds = [("x-duet-minimum", "x-duet-maximum"), ("minimum", "maximum")];
            for (least, most) in bounds {
                if let (Some(least), Some(most)) = (schema.get(least), schema.get(most)) {
                    let text = |value: &Value| {
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned)
                    };
                    let said = format!("{} to {}", text(least), text(most));
                    assert!(
                        description.contains(&said),
                        "{path} doesn't say {said}: {description}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_default_is_one_that_the_schema_allows() {
        let mut document = serde_yaml_ng::from_str(crate::EXAMPLE).unwrap();
        assert_eq!(crate::check::check(&mut document), []);
        for (path, schema) in all_nodes() {
            if let (Some(default), Some(format)) = (schema.get("default"), Format::of(schema)) {
                let amount = (format.read)(default).unwrap();
                let bound = |name: &str| (format.read)(&schema[name]).unwrap();
                assert!(
                    (bound("x-duet-minimum")..=bound("x-duet-maximum")).contains(&amount),
                    "{path}"
                );
            }
        }
    }
}
