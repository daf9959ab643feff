//! A document against the schema and its rules, as an API server does it: unknown fields refused, defaults filled in,
//! `null` the same as absent. Unlike one, it goes on after the first problem, and says what is allowed.

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use kube_cel::{CompiledSchema, ErrorKind};
use serde_json::Value;

use crate::channel::VALUES_NOT_IN_FORCE;
use crate::problem::{Path, Problem, shown};
use crate::rules;
use crate::schema::schema;
use crate::wording::{allowed, unknown};

/// What JSON Schema says: fields, types, bounds.
static FIELDS: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::options()
        .should_validate_formats(false)
        .build(schema())
        .expect("the committed schema is a JSON Schema")
});

/// What is said in CEL.
static RULES: LazyLock<CompiledSchema> = LazyLock::new(|| kube_cel::compile_schema(schema()));

/// All that is wrong with a document. Afterwards every default is filled in, and what was refused is null or gone.
pub(crate) fn check(document: &mut Value) -> Vec<Problem> {
    drop_nulls(document);
    let refusals: Vec<Refusal> = FIELDS.iter_errors(document).map(Refusal::from).collect();
    for refusal in &refusals {
        refusal.spoil(document);
    }
    *document = kube_cel::apply_defaults(schema(), document);
    let mut problems: Vec<Problem> = refusals.into_iter().flat_map(|it| it.problems).collect();
    // What a field's own rule refuses is nothing for rules between fields to judge either.
    let mut broken = broken_rules(document, None, &problems);
    let own: Vec<Problem> = broken.iter().filter(|it| is_own(it)).cloned().collect();
    if !own.is_empty() {
        for problem in &own {
            if let Some(value) = document.pointer_mut(&pointer(&problem.path)) {
                *value = Value::Null;
            }
        }
        problems.extend(own);
        broken = broken_rules(document, None, &problems);
    }
    problems.extend(broken);
    // Several keywords may refuse one value.
    problems.sort();
    problems.dedup();
    problems
}

/// All that may not change between two documents that are each good.
pub(crate) fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    broken_rules(after, Some(before), &[])
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// What a keyword of the schema has against a value, and what is left of the value.
struct Refusal {
    /// The value, as a JSON pointer.
    at: Location,
    problems: Vec<Problem>,
    leaves: Leaves,
}

enum Leaves {
    All,
    AllBut(Vec<String>),
    First(usize),
    Nothing,
}

impl From<ValidationError<'_>> for Refusal {
    fn from(error: ValidationError<'_>) -> Self {
        let at = error.instance_path().clone();
        let (schema, path) = find(&at);
        let value = error.instance();
        let one = |path: &Path, says: String| vec![Problem::new(path, says)];
        let (problems, leaves) = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let problem = |name: &String| Problem {
                    unknown_field: true,
                    ..Problem::new(&path.field(name), unknown(schema, name, &path))
                };
                let problems = unexpected.iter().map(problem).collect();
                (problems, Leaves::AllBut(unexpected.clone()))
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let says = format!("is required: {}", allowed(&schema["properties"][name]));
                (one(&path.field(name), says), Leaves::All)
            }
            ValidationErrorKind::MinItems { .. } => {
                let says = format!("must be {}, not an empty one", allowed(schema));
                (one(&path, says), Leaves::All)
            }
            ValidationErrorKind::MaxItems { limit } => {
                let many = value.as_array().map_or(0, Vec::len);
                let says = format!("must be {}, not one of {many}", allowed(schema));
                let most = usize::try_from(*limit).unwrap_or(usize::MAX);
                (one(&path, says), Leaves::First(most))
            }
            _ => (one(&path, refused(schema, value, &path)), Leaves::Nothing),
        };
        Refusal {
            at,
            problems,
            leaves,
        }
    }
}

impl Refusal {
    /// Takes what is refused out of the document: null where it was a value of its own, so that rules between fields
    /// leave it alone and no default takes its place.
    fn spoil(&self, document: &mut Value) {
        match (document.pointer_mut(self.at.as_str()), &self.leaves) {
            (Some(value), Leaves::Nothing) => *value = Value::Null,
            (Some(Value::Object(fields)), Leaves::AllBut(names)) => {
                fields.retain(|field, _| !names.contains(field));
            }
            (Some(Value::Array(items)), Leaves::First(most)) => items.truncate(*most),
            _ => {}
        }
    }
}

/// Why a value that the schema doesn't allow is refused.
fn refused(schema: &Value, value: &Value, path: &Path) -> String {
    let (allowed, shown) = (allowed(schema), shown(value));
    let not_yet = |(at, what): &(&str, &str)| *at == path.as_str() && value == *what;
    if VALUES_NOT_IN_FORCE.iter().any(not_yet) {
        format!("may not be {shown} yet: it must be {allowed}")
    } else {
        format!("must be {allowed}, not {shown}")
    }
}

/// The schema of a place in a document, and how the place is written.
fn find(at: &Location) -> (&'static Value, Path) {
    let mut found = (schema(), Path::default());
    for step in at.segments() {
        let (schema, path) = found;
        found = match (step, schema.get("items")) {
            (LocationSegment::Index(index), Some(items)) => (items, path.item(index)),
            (step, _) => {
                let name = step.to_string();
                let field = schema["properties"].get(&name);
                (
                    field.unwrap_or(&schema["additionalProperties"]),
                    path.field(&name),
                )
            }
        };
    }
    found
}

/// Whether the problem is with what a field's own rule allows.
fn is_own(problem: &Problem) -> bool {
    let field = schema().pointer(&pointer(&problem.path).replace('/', "/properties/"));
    let own = field.and_then(rules::own);
    own.is_some_and(|own| problem.says.starts_with(&format!("must be {own},")))
}

/// A path of the schema's own fields, as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// The rules that a document breaks, but for what only follows from problems that are known already.
fn broken_rules(document: &Value, before: Option<&Value>, known: &[Problem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let broken = kube_cel::validate_compiled(&RULES, document, before).err();
    for rule in broken.into_iter().flatten() {
        let follows = match rule.kind {
            ErrorKind::ValidationFailure => known.iter().any(|it| it.is_within(&rule.field_path)),
            // It could not be judged, for want of what was refused.
            _ => !known.is_empty(),
        };
        if follows {
            continue;
        }
        let says = match document.pointer(&pointer(&rule.field_path)) {
            Some(value) if rule.message.starts_with("must be") => {
                format!("{}, not {}", rule.message, shown(value))
            }
            _ => rule.message,
        };
        problems.push(Problem {
            path: rule.field_path,
            says,
            unknown_field: false,
        });
    }
    problems.sort();
    problems
}
