//! What each service's OpenAPI document must be.

use std::path::Path;

use serde_json::Value;

/// The committed `openapi.json` of a package is what its code makes. `UPDATE=1` writes it anew.
///
/// # Panics
/// If it is another.
pub fn committed(package: &str, folder: &str, made: &str) {
    let file = Path::new(folder).join("openapi.json");
    let made = format!("{made}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &made).expect("openapi.json can be written");
    }
    let committed = std::fs::read_to_string(&file).expect("openapi.json can be read");
    assert!(
        committed == made,
        "openapi.json is out of date: UPDATE=1 cargo test -p {package}"
    );
}

/// Every object is closed and says which of its fields are there: a client that is generated from it meets nothing that it does not
/// list.
///
/// # Panics
/// If one is open.
pub fn closed(document: &Value) {
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.expect("a document has schemas") {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{name}");
            assert!(schema["required"].is_array(), "{name}");
        }
    }
}
