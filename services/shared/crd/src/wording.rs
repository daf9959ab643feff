//! The schema in words: what it allows, and what may have been meant instead of a field that it doesn't have.

use serde_json::Value;

use crate::channel::NOT_IN_FORCE;
use crate::problem::Path;
use crate::rules;
use crate::schema::schema as root;

/// What a schema allows, in a few words.
pub(crate) fn allowed(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return one_of(values.iter().map(plain).collect());
    }
    if let Some(own) = rules::own(schema) {
        return own.to_owned();
    }
    let bound = |name: &str| schema.get(name).map(plain);
    match schema["type"].as_str() {
        Some("integer") => match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(least), None) => format!("a whole number of at least {least}"),
            (None, Some(most)) => format!("a whole number of at most {most}"),
            (None, None) => "a whole number".to_owned(),
        },
        Some("array") => match (bound("minItems"), bound("maxItems")) {
            (Some(least), Some(most)) => format!("a list of {least} to {most}"),
            _ => "a list".to_owned(),
        },
        Some("object") => match fields(schema).as_slice() {
            [] => "a map of texts".to_owned(),
            fields => format!("a map with {}", fields.join(", ")),
        },
        _ => "a text".to_owned(),
    }
}

/// Why a field that the schema doesn't have is refused, with what may have been meant.
pub(crate) fn unknown(schema: &Value, name: &str, parent: &Path) -> String {
    match parent.field(name).as_str() {
        "status" => return "is Duet's to write: leave it out".to_owned(),
        path if NOT_IN_FORCE.contains(&path) => return "is not in force yet".to_owned(),
        _ => {}
    }
    let known = fields(schema);
    let close = known
        .iter()
        .filter_map(|field| Some((distance(name, field)?, *field)))
        .min()
        .map(|(_, field)| field.to_owned());
    let deeper = || elsewhere(schema, name).map(|rest| parent.before(&rest));
    match close.or_else(deeper).or_else(|| elsewhere(root(), name)) {
        Some(meant) => format!("is not a field; did you mean {meant}?"),
        None => format!("is not a field; the fields are {}", known.join(", ")),
    }
}

/// The names of a map's fields.
fn fields(schema: &Value) -> Vec<&str> {
    let fields = schema["properties"].as_object();
    fields
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect()
}

/// How many slips of the pen lie between what was written and a known name; none if too many to be meant.
fn distance(written: &str, known: &str) -> Option<usize> {
    if written.len() > 2 * known.len() {
        return None;
    }
    let distance = strsim::damerau_levenshtein(&written.to_lowercase(), &known.to_lowercase());
    (distance <= 1.max(known.len() / 3)).then_some(distance)
}

/// The path of the first field of this name, wherever it is: most often the indentation is what's wrong.
fn elsewhere(schema: &Value, name: &str) -> Option<String> {
    let known = schema.get("properties")?.as_object()?;
    let deeper = |(field, schema): (&String, &Value)| {
        elsewhere(schema, name).map(|rest| format!("{field}.{rest}"))
    };
    let here = known.contains_key(name).then(|| name.to_owned());
    here.or_else(|| known.iter().find_map(deeper))
}

/// A value of the schema's own, without quotes.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn one_of(mut values: Vec<String>) -> String {
    match values.pop() {
        Some(last) if values.is_empty() => last,
        Some(last) => format!("{} or {last}", values.join(", ")),
        None => String::new(),
    }
}
