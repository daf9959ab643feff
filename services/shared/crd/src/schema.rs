//! The schema that a document is held to: the one in the definition that the cluster has, and around it what an API
//! server does by itself.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::{API_VERSION, KIND, Metadata};

/// The definition, as the chart installs it; `tests/definition.rs` generates it.
const DEFINITION: &str = include_str!("../../../../helm/duet/crds/channels.yaml");

/// The Channel's schema: for the spec, the custom resource's own.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let definition: Value =
            serde_yaml_ng::from_str(DEFINITION).expect("the committed definition is YAML");
        let resource = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut schema = json!({
            "type": "object",
            "description": resource["description"],
            "properties": {
                "apiVersion": {
                    "type": "string",
                    "enum": [API_VERSION],
                    "description": format!("The version of this document's type: {API_VERSION}."),
                },
                "kind": {
                    "type": "string",
                    "enum": [KIND],
                    "description": format!("The type of this document: {KIND}."),
                },
                "metadata": inline::<Metadata>(),
                "spec": resource["properties"]["spec"],
            },
            "required": ["apiVersion", "kind", "metadata", "spec"],
        });
        close(&mut schema);
        schema
    });
    &SCHEMA
}

/// Says what Kubernetes' keywords mean to a validator of JSON Schema that does not know them: a field that is not
/// listed is none, and what is an integer or a text is one of the two.
fn close(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else {
        return;
    };
    if keywords.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        keywords.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if let Some(fields) = keywords.get_mut("properties") {
        let fields = fields.as_object_mut();
        fields
            .into_iter()
            .flatten()
            .for_each(|(_, field)| close(field));
        keywords.insert("additionalProperties".to_owned(), json!(false));
    }
    if let Some(items) = keywords.get_mut("items") {
        close(items);
    }
}

fn inline<T: JsonSchema>() -> Value {
    SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
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
