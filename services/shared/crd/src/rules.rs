//! Rules in CEL, as the schema carries them: what bounds a duration or a quantity, what depends on another field, and
//! what may not change. The API server judges a resource by them, [`crate::check`] a file. Their messages complete a
//! sentence that begins with the field, and say what is allowed.

use serde_json::{Value, json};

use crate::duration::Duration;
use crate::names::ServiceName;

/// What a field's own rule allows, as `a duration from 10ms to 5m`.
pub(crate) fn own(schema: &Value) -> Option<&str> {
    let rules = schema["x-kubernetes-validations"].as_array()?;
    let own = rules.iter().filter(|rule| rule.get("fieldPath").is_none());
    own.filter_map(|rule| rule["message"].as_str()?.strip_prefix("must be "))
        .next()
}

/// A text of this pattern.
pub(crate) fn name(pattern: &str, must: &str) -> Value {
    json!([{ "rule": format!("self.matches(r'{pattern}')"), "message": must }])
}

/// A duration from the one to the other.
pub(crate) fn duration(least: &str, most: &str) -> Value {
    json!([{
        "rule": format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
        "message": format!("must be a duration from {least} to {most}, written like 250ms, 2s or 1h30m"),
    }])
}

/// A number of bytes from the one to the other.
pub(crate) fn bytes(least: &str, most: &str) -> Value {
    let compare = |to: &str| format!("quantity(string(self)).compareTo(quantity('{to}'))");
    json!([{
        "rule": format!("isQuantity(string(self)) && {} >= 0 && {} <= 0", compare(least), compare(most)),
        "message": format!("must be a number of bytes from {least} to {most}, written like 1Gi, 500M or 1073741824"),
    }])
}

/// The one duration is at most the other. What is malformed is refused where it stands.
fn at_most(short: &str, long: &str) -> String {
    let malformed = |text: &str| format!("!{text}.matches(r'{}')", Duration::PATTERN);
    format!(
        "duration({short}) <= duration({long}) || {} || {}",
        malformed(short),
        malformed(long)
    )
}

/// Rules between the fields of the spec.
pub(crate) fn spec() -> Value {
    json!([
        {
            "rule": "self.mode != 'Async' || has(self.async)",
            "fieldPath": ".async",
            "reason": "FieldValueRequired",
            "message": "is required where spec.mode is Async",
        },
        {
            "rule": "!has(self.canary) || self.canary.mode != 'Async' || has(self.async)",
            "fieldPath": ".async",
            "reason": "FieldValueRequired",
            "message": "is required where spec.canary.mode is Async",
        },
        {
            "rule": "!has(self.faults) || !has(self.faults.receiver) || self.to.exists(receiver, receiver.name == self.faults.receiver)",
            "fieldPath": ".faults.receiver",
            "message": "must be one of the Services in spec.to",
        },
        {
            "rule": "self.to.all(receiver, receiver.name != self.from)",
            "fieldPath": ".to",
            "message": "must name another Service than spec.from",
            "messageExpression": "'must name another Service than spec.from (' + self.from + ')'",
        },
        {
            "rule": "self.to.all(receiver, self.to.exists_one(other, other.name == receiver.name))",
            "fieldPath": ".to",
            "message": "must name each Service once",
        },
    ])
}

/// A Service that stays the same: receivers know the sender by its stores.
pub(crate) fn from() -> Value {
    let name = name(ServiceName::PATTERN, ServiceName::MUST);
    json!([name[0], {
        "rule": "self == oldSelf",
        "message": "may not change: another sender is another Channel, of another name",
        "messageExpression": "'may not change from ' + oldSelf + ': another sender is another Channel, of another name'",
    }])
}

/// The transport names its one member.
pub(crate) fn transport() -> Value {
    json!([{
        "rule": "self.transport != 'NATSJetStream' || has(self.natsJetStream)",
        "fieldPath": ".natsJetStream",
        "reason": "FieldValueRequired",
        "message": "is required where spec.async.transport is NATSJetStream",
    }])
}

/// A message would be gone before it is delivered a second time.
pub(crate) fn ack_wait() -> Value {
    json!([{
        "rule": at_most("self.consumer.ackWait", "self.stream.maxAge"),
        "fieldPath": ".consumer.ackWait",
        "message": "must be at most the stream's maxAge",
        "messageExpression": "'must be at most spec.async.natsJetStream.stream.maxAge (' + self.stream.maxAge + ')'",
    }])
}

/// The first wait is no longer than the longest.
pub(crate) fn backoff() -> Value {
    json!([{
        "rule": at_most("self.initial", "self.max"),
        "fieldPath": ".initial",
        "message": "must be at most max",
        "messageExpression": "'must be at most spec.delivery.backoff.max (' + self.max + ')'",
    }])
}

/// The server refuses a window beyond the age, and does not move a stream from one storage to another.
pub(crate) fn stream() -> Value {
    json!([
        {
            "rule": at_most("self.duplicateWindow", "self.maxAge"),
            "fieldPath": ".duplicateWindow",
            "message": "must be at most maxAge",
            "messageExpression": "'must be at most spec.async.natsJetStream.stream.maxAge (' + self.maxAge + ')'",
        },
        {
            "rule": "self.name != oldSelf.name || self.storage == oldSelf.storage",
            "fieldPath": ".storage",
            "message": "may not change while the stream keeps its name: give the stream another name too",
            "messageExpression": "'may not change from ' + oldSelf.storage + ' while the stream keeps its name: give the stream another name too'",
        },
    ])
}
