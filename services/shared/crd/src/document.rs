//! Text to document: YAML (and so JSON), bounded, and nothing in it that JSON couldn't say.

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use crate::problem::{Path, Problem, Problems, glimpse};
use crate::{Channel, check};

/// The longest document that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

impl Channel {
    /// Reads a document, with every default filled in.
    ///
    /// # Errors
    /// All that is wrong with it: its syntax alone if that is broken, else every field that is unknown, not in force,
    /// missing, of the wrong type, out of bounds or at odds with another.
    pub fn from_yaml(text: &str) -> Result<Channel, Problems> {
        if text.len() > MAX_BYTES {
            return Err(Problem::of_document(format!("is longer than {MAX_BYTES} bytes")).into());
        }
        let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|error| {
            Problem::of_document(format!("is not YAML: {}", one_line(&error.to_string())))
        })?;
        if yaml.is_null() {
            return Err(Problem::of_document("is empty").into());
        }
        let mut problems = Vec::new();
        let value = as_json(yaml, &Path::default(), &mut problems);
        Self::read(value, problems)
    }

    /// Takes a document that has been parsed already.
    ///
    /// # Errors
    /// All that is wrong with it, as [`Channel::from_yaml`].
    pub fn from_value(document: Value) -> Result<Channel, Problems> {
        Self::read(document, Vec::new())
    }

    /// Takes a Channel as the Kubernetes API gives it: its name, uid, generation and spec. What else the API server keeps with
    /// it (status, the rest of the metadata) is left aside. So are fields of the spec that this version does not know, for
    /// the cluster's definition may be newer than this program: they are returned, each as a problem to be told.
    ///
    /// # Errors
    /// All that is wrong with what is known.
    pub fn from_cluster(object: &Value) -> Result<(Channel, Vec<Problem>), Problems> {
        let metadata = ["name", "uid", "generation"]
            .into_iter()
            .filter_map(|field| {
                Some((
                    field.to_owned(),
                    object.get("metadata")?.get(field)?.clone(),
                ))
            });
        let mut document = Map::from_iter([("metadata".to_owned(), metadata.collect())]);
        for field in ["apiVersion", "kind", "spec"] {
            if let Some(value) = object.get(field) {
                document.insert(field.to_owned(), value.clone());
            }
        }
        let mut document = Value::Object(document);
        let (unknown, problems) = check::check(&mut document)
            .into_iter()
            .partition::<Vec<_>, _>(|problem| problem.unknown_field);
        Ok((Self::decode(problems, &document)?, unknown))
    }

    /// Whether this document, good by itself, may take the place of the one before. One of another name is another
    /// Channel, and may be anything.
    ///
    /// # Errors
    /// All that may not change.
    pub fn may_follow(&self, before: &Channel) -> Result<(), Problems> {
        if self.metadata.name != before.metadata.name {
            return Ok(());
        }
        let value = |channel: &Channel| {
            serde_json::to_value(channel)
                .map_err(|error| Problem::of_document(format!("can't be written: {error}")))
        };
        Problems::unless_none(check::check_change(&value(before)?, &value(self)?), ())
    }

    /// The document as YAML, every default written out.
    ///
    /// # Errors
    /// None that a Channel can cause; the serializer's own.
    pub fn to_yaml(&self) -> Result<String, Problems> {
        serde_yaml_ng::to_string(self)
            .map_err(|error| Problem::of_document(format!("can't be written: {error}")).into())
    }

    fn read(mut document: Value, mut problems: Vec<Problem>) -> Result<Channel, Problems> {
        problems.extend(check::check(&mut document));
        Self::decode(problems, &document)
    }

    fn decode(problems: Vec<Problem>, document: &Value) -> Result<Channel, Problems> {
        Problems::unless_none(problems, ())?;
        // The schema is the type's own, so what it allows is read; a test holds the two together.
        Channel::deserialize(document)
            .map_err(|error| Problem::of_document(format!("can't be read: {error}")).into())
    }
}

/// YAML as JSON. Keys become text (an unknown field, then); tags mean nothing here and are refused.
fn as_json(yaml: Yaml, path: &Path, problems: &mut Vec<Problem>) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => Value::Bool(truth),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Value::Null),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            let item = |(index, item)| as_json(item, &path.item(index), problems);
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Yaml::Mapping(fields) => {
            let field = |(key, value): (Yaml, Yaml)| {
                let key = match key {
                    Yaml::String(text) => text,
                    other => serde_yaml_ng::to_string(&other)
                        .unwrap_or_default()
                        .trim_end()
                        .to_owned(),
                };
                let value = as_json(value, &path.field(&key), problems);
                (key, value)
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = glimpse(&tagged.tag.to_string());
            problems.push(Problem::new(
                path,
                format!("has the tag {tag}: leave it out"),
            ));
            as_json(tagged.value, path, problems)
        }
    }
}

/// A message of the parser's, which may quote the document: its beginning, on one line.
fn one_line(message: &str) -> String {
    let calm = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().map(calm).take(200).collect()
}
