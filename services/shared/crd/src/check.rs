//! A document against the schema, as an API server does it: unknown fields refused, defaults filled in, `null` the same as absent.
//! Unlike one, it goes on after the first problem, and says what is allowed.

use serde_json::{Map, Value};

use crate::channel::{NOT_IN_FORCE, VALUES_NOT_IN_FORCE};
use crate::formats::Format;
use crate::problem::{Path, Problem, shown};
use crate::schema::schema as root;

/// All that the schema has against the document. Afterwards every default is filled in, and what was refused is gone.
pub(crate) fn check(document: &mut Value) -> Vec<Problem> {
    let mut check = Check {
        problems: Vec::new(),
    };
    check.value(root(), document, &Path::Document);
    check.problems
}

struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn refuse(&mut self, path: &Path<'_>, says: impl Into<String>) {
        self.problems.push(Problem::new(path, says));
    }

    /// Replaces a value that is refused by null, so that rules between fields leave it alone.
    fn value(&mut self, schema: &Value, value: &mut Value, path: &Path<'_>) {
        let here = path.to_string();
        let not_yet = |(at, what): &(&str, &str)| *at == here && value.as_str() == Some(*what);
        if VALUES_NOT_IN_FORCE.iter().any(not_yet) {
            self.refuse(
                path,
                format!(
                    "may not be {} yet: it must be {}",
                    shown(value),
                    allowed(schema)
                ),
            );
            *value = Value::Null;
            return;
        }
        let fine = match (schema["type"].as_str(), &mut *value) {
            (Some("object"), Value::Object(_)) => {
                self.fields(schema, value, path);
                return;
            }
            (Some("array"), Value::Array(items)) => {
                self.items(schema, items, path);
                return;
            }
            (Some("string"), Value::String(text)) => {
                let listed = |known: &Vec<Value>| known.iter().any(|known| known == text.as_str());
                schema["enum"].as_array().is_none_or(listed)
            }
            (Some("integer"), number) => number.as_i64().is_some_and(|number| {
                let beyond = |bound: &str, over: fn(i64, i64) -> bool| {
                    schema[bound]
                        .as_i64()
                        .is_some_and(|bound| over(number, bound))
                };
                !beyond("minimum", |number, least| number < least)
                    && !beyond("maximum", |number, most| number > most)
            }),
            (None, value) => value.is_string() || value.is_u64(),
            _ => false,
        };
        let problem = match Format::of(schema) {
            _ if !fine => Some(format!("must be {}", allowed(schema))),
            Some(format) => against_format(schema, format, value),
            None => None,
        };
        if let Some(problem) = problem {
            self.refuse(path, format!("{problem}, not {}", shown(value)));
            *value = Value::Null;
        }
    }

    fn fields(&mut self, schema: &Value, value: &mut Value, path: &Path<'_>) {
        let (Some(fields), Some(known)) = (value.as_object_mut(), schema["properties"].as_object())
        else {
            return;
        };
        fields.retain(|name, value| match known.get(name) {
            Some(_) => !value.is_null(),
            None => {
                self.problems.push(Problem {
                    unknown_field: true,
                    ..Problem::new(&path.field(name), unknown(schema, name, path))
                });
                false
            }
        });
        let required = schema["required"].as_array();
        for (name, schema) in known {
            let path = path.field(name);
            if let Some(value) = fields.get_mut(name) {
                self.value(schema, value, &path);
            } else if let Some(default) = schema.get("default") {
                fields.insert(name.clone(), default.clone());
            } else if required.is_some_and(|required| required.iter().any(|it| it == name)) {
                self.refuse(&path, format!("is required: {}", allowed(schema)));
            }
        }
    }

    fn items(&mut self, schema: &Value, items: &mut Vec<Value>, path: &Path<'_>) {
        let count = |bound: &str| {
            schema[bound]
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
        };
        let most = count("maxItems").unwrap_or(usize::MAX);
        if items.len() < count("minItems").unwrap_or(0) {
            self.refuse(
                path,
                format!("must be {}, not an empty one", allowed(schema)),
            );
        }
        for (index, item) in items.iter_mut().enumerate().take(most) {
            self.value(&schema["items"], item, &path.item(index));
        }
        for (index, item) in items.iter().enumerate().skip(most) {
            let which = shown(item.get("name").unwrap_or(item));
            self.refuse(
                &path.item(index),
                format!("({which}) is not in force yet: the most is {most}"),
            );
        }
        items.truncate(most);
    }
}

/// What the format, and the bounds written as it is, have against a value of the right type.
fn against_format(schema: &Value, format: &Format, value: &Value) -> Option<String> {
    match (format.read)(value) {
        Err(problem) => Some(problem),
        Ok(amount) => {
            let bound = |name| schema.get(name).and_then(|bound| (format.read)(bound).ok());
            let (least, most) = (bound("x-duet-minimum"), bound("x-duet-maximum"));
            let within =
                least.is_none_or(|least| amount >= least) && most.is_none_or(|most| amount <= most);
            (!within).then(|| format!("must be {}", allowed(schema)))
        }
    }
}

/// What a schema allows, in a few words.
fn allowed(schema: &Value) -> String {
    let within = |least: &str, most: &str| match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!(" from {} to {}", plain(least), plain(most)),
        (Some(least), None) => format!(" of at least {}", plain(least)),
        (None, Some(most)) => format!(" of at most {}", plain(most)),
        (None, None) => String::new(),
    };
    if let Some(values) = schema["enum"].as_array() {
        return one_of(values.iter().map(plain).collect());
    }
    if let Some(format) = Format::of(schema) {
        return format!(
            "{}{}",
            format.what,
            within("x-duet-minimum", "x-duet-maximum")
        );
    }
    match schema["type"].as_str() {
        Some("integer") => format!("a whole number{}", within("minimum", "maximum")),
        Some("array") => "a list".to_owned(),
        Some("object") => {
            let names = schema["properties"]
                .as_object()
                .map(|known| known.keys().cloned().collect());
            format!(
                "a map with {}",
                names
                    .map(|names: Vec<String>| names.join(", "))
                    .unwrap_or_default()
            )
        }
        _ => "a text".to_owned(),
    }
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

/// Why a field that the schema doesn't have is refused, with what may have been meant.
fn unknown(schema: &Value, name: &str, parent: &Path<'_>) -> String {
    let path = parent.field(name).to_string();
    if NOT_IN_FORCE.contains(&path.as_str()) {
        return "is not in force yet".to_owned();
    }
    let known = || {
        schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
    };
    let close = known()
        .filter_map(|field| Some((distance(name, field)?, field.clone())))
        .min();
    let deeper = || match parent {
        Path::Document => elsewhere(schema, name),
        _ => elsewhere(schema, name).map(|rest| format!("{parent}.{rest}")),
    };
    match close
        .map(|(_, field)| field)
        .or_else(deeper)
        .or_else(|| elsewhere(root(), name))
    {
        Some(meant) => format!("is not a field; did you mean {meant}?"),
        None => {
            let fields: Vec<&str> = known().map(String::as_str).collect();
            format!("is not a field; the fields are {}", fields.join(", "))
        }
    }
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
