//! What is wrong with a document, where, and what is allowed there.

use std::fmt;

use serde_json::Value;

/// One thing that is wrong. Shown, it is a sentence: `spec.mode must be Sync or Async, not "Fast"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The full path of the field, as `spec.to[0].name`; empty where it is the document as a whole.
    pub path: String,
    /// The rest of the sentence, with what is allowed. Holds no line breaks, and no more than a glimpse of the document's own text.
    pub says: String,
    /// Whether it is about a field that this version of Duet doesn't know, or doesn't obey yet.
    pub unknown_field: bool,
}

impl Problem {
    pub(crate) fn new(path: &Path, says: impl Into<String>) -> Self {
        Problem {
            path: path.to_string(),
            says: says.into(),
            unknown_field: false,
        }
    }

    /// Whether it is about this place or one in it.
    pub(crate) fn is_within(&self, path: &str) -> bool {
        let rest = self.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    pub(crate) fn of_document(says: impl Into<String>) -> Self {
        Problem {
            path: String::new(),
            says: says.into(),
            unknown_field: false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the document {}", self.says),
            path => write!(f, "{path} {}", self.says),
        }
    }
}

/// All that is wrong with a document, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// How many are shown; a document can be wrong in more ways than a line of a log should hold.
    const SHOWN: usize = 20;

    /// `Ok` with the value if nothing is wrong.
    pub(crate) fn unless_none<T>(problems: Vec<Problem>, value: T) -> Result<T, Problems> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(Problems(problems))
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

/// On one line, separated by semicolons.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().take(Self::SHOWN).enumerate() {
            write!(f, "{}{problem}", if place == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Where in a document, as `spec.to[0].name`; empty for the document itself.
#[derive(Clone, Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn field(&self, name: &str) -> Path {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) || name.len() > GLIMPSE {
            Path(format!("{self}[{}]", glimpse(name)))
        } else {
            Path(self.before(name))
        }
    }

    pub(crate) fn item(&self, index: usize) -> Path {
        Path(format!("{self}[{index}]"))
    }

    /// The path that goes on with this one.
    pub(crate) fn before(&self, rest: &str) -> String {
        let dot = if self.0.is_empty() { "" } else { "." };
        format!("{self}{dot}{rest}")
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As much of a document's own text as a problem shows, in characters.
const GLIMPSE: usize = 40;

/// The beginning of a text, quoted, with nothing in it that a terminal or a log would obey.
pub(crate) fn glimpse(text: &str) -> String {
    let mut beginning: String = text.chars().take(GLIMPSE).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("{beginning:?}")
}

/// A value as a problem shows it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => glimpse(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map of fields".to_owned(),
    }
}
