//! What a scenario wants of the Channel: a merge patch (RFC 7396) on the document that was there before the run.

use duet_crd::Mode;
use serde_json::{Value, json};
use std::time::Duration;

/// How the Channel is to be; everything else stays as it was before the run. A canary is off: each mode is measured alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) mode: Mode,
    pub(super) faults: Faults,
    /// The receivers, where they are to be others than before.
    pub(super) to: Option<Vec<String>>,
}

/// Faults that the receivers are to have; all zero is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) delay: Duration,
    pub(super) error_percent: u8,
    pub(super) hang_percent: u8,
    pub(super) max_per_second: u32,
    /// The one that has them; without it all.
    pub(super) receiver: Option<String>,
}

/// Faults end by themselves after this time, though this process be killed.
const LAST: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);

impl Wanted {
    /// That mode, and nothing wrong.
    pub(super) fn calm(mode: Mode) -> Self {
        Self {
            mode,
            faults: Faults::default(),
            to: None,
        }
    }

    /// That mode, with faults.
    pub(super) fn with(mode: Mode, faults: Faults) -> Self {
        Self {
            faults,
            ..Self::calm(mode)
        }
    }

    /// The spec's fields that may differ from before, each whole: what is to go is null.
    pub(super) fn patch(&self, now: jiff::Timestamp) -> Value {
        let mut spec = json!({
            "mode": self.mode,
            "canary": null,
            "faults": self.faults.patch(now),
        });
        if let Some(to) = &self.to {
            let names: Vec<_> = to.iter().map(|name| json!({ "name": name })).collect();
            spec["to"] = names.into();
        }
        json!({ "spec": spec })
    }
}

impl Faults {
    fn patch(&self, now: jiff::Timestamp) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        let unless_zero = |number: u32| (number > 0).then_some(number);
        let delay = (!self.delay.is_zero()).then(|| format!("{}ms", self.delay.as_millis()));
        json!({
            "delay": delay,
            "jitter": null,
            "errorPercent": unless_zero(self.error_percent.into()),
            "hangPercent": unless_zero(self.hang_percent.into()),
            "maxPerSecond": unless_zero(self.max_per_second),
            "receiver": self.receiver,
            "until": now.checked_add(LAST).ok().map(|it| it.to_string()),
        })
    }
}

/// The fields of `before` that a patch may have changed, each whole: applied, it undoes any of them.
pub(super) fn undoing(before: &Value) -> Value {
    let spec = &before["spec"];
    json!({"spec": {
        "mode": spec["mode"],
        "canary": whole(&spec["canary"], &["mode", "percent"]),
        "faults": whole(&spec["faults"], &["delay", "jitter", "errorPercent", "hangPercent", "maxPerSecond", "receiver", "until"]),
        "to": spec["to"],
    }})
}

/// The object with null for each field that it doesn't have, so that a merge leaves none of what was there.
fn whole(object: &Value, fields: &[&str]) -> Value {
    if object.is_null() {
        return Value::Null;
    }
    let mut whole = object.clone();
    for field in fields {
        if whole.get(field).is_none() {
            whole[*field] = Value::Null;
        }
    }
    whole
}

/// The document after the patch.
pub(super) fn merged(document: &Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else {
        return patch.clone();
    };
    let mut merged = match document {
        Value::Object(object) => object.clone(),
        _ => serde_json::Map::new(),
    };
    for (name, value) in fields {
        match value {
            Value::Null => drop(merged.remove(name)),
            value => {
                let before = merged.get(name).unwrap_or(&Value::Null);
                let after = self::merged(before, value);
                merged.insert(name.clone(), after);
            }
        }
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Value {
        json!({"kind": "Channel", "spec": {
            "mode": "Sync", "to": [{"name": "notification"}], "sync": {"deadline": "2s"},
            "canary": {"mode": "Async", "percent": 10}, "faults": {"errorPercent": 3, "receiver": "notification"},
        }})
    }

    fn hung() -> Wanted {
        let faults = Faults {
            hang_percent: 100,
            delay: Duration::from_millis(50),
            ..Faults::default()
        };
        Wanted::with(Mode::Async, faults)
    }

    #[test]
    fn what_is_wanted_replaces_the_faults_and_the_canary_that_were_there_and_leaves_the_rest() {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let document = merged(&before(), &hung().patch(now));
        let expected = json!({"kind": "Channel", "spec": {
            "mode": "Async", "to": [{"name": "notification"}], "sync": {"deadline": "2s"},
            "faults": {"hangPercent": 100, "delay": "50ms", "until": "2026-11-24T10:03:00Z"},
        }});
        assert_eq!(document, expected);
        let calm = merged(&before(), &Wanted::calm(Mode::Sync).patch(now));
        assert_eq!(calm["spec"].get("faults"), None);
    }

    #[test]
    fn whatever_was_wanted_is_undone_by_one_patch() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let to = Wanted {
            to: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..hung()
        };
        for wanted in [hung(), Wanted::calm(Mode::Async), to] {
            let changed = merged(&before(), &wanted.patch(now));
            assert_ne!(changed, before());
            assert_eq!(merged(&changed, &undoing(&before())), before());
        }
        let plain = json!({"spec": {"mode": "Async", "to": [{"name": "n"}]}});
        let changed = merged(&plain, &hung().patch(now));
        assert_eq!(merged(&changed, &undoing(&plain)), plain);
    }
}
