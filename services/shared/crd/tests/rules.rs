//! Each rule of the definition that is said in CEL: a Channel that keeps it, and one that breaks it and no other.
//!
//! The cluster judges by the same text; that it does so with the same outcome was tried on Kubernetes 1.34.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use std::collections::BTreeSet;

use duet_crd::{Channel, EXAMPLE, schema};
use serde_json::{Value, json};

const STREAM: &str = "spec.async.natsJetStream.stream";

/// The example with other values; null takes a field away.
fn channel(changes: &[(&str, Value)]) -> Value {
    let mut document: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    for (path, value) in changes {
        let (parent, field) = path.rsplit_once('.').unwrap();
        let parent = document.pointer_mut(&pointer(parent)).unwrap();
        parent[field] = value.clone();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(field);
        }
    }
    document
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// What a Channel breaks, by CEL alone: each the field, the message and the rule.
fn broken(document: &Value, before: Option<&Value>) -> Vec<(String, String, String)> {
    kube_cel::validate(schema(), document, before)
        .err()
        .into_iter()
        .flatten()
        .map(|broken| {
            assert_eq!(
                broken.kind,
                kube_cel::ErrorKind::ValidationFailure,
                "{broken}"
            );
            (broken.field_path, broken.message, broken.rule)
        })
        .collect()
}

struct Case {
    rule: &'static str,
    keeps: Vec<(&'static str, Value)>,
    breaks: Vec<(&'static str, Value)>,
    /// What the Channel was before, where the rule is about a change.
    before: Option<Vec<(&'static str, Value)>>,
    field: &'static str,
    message: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |rule, keeps, breaks, field, message| Case {
        rule,
        keeps,
        breaks,
        before: None,
        field,
        message,
    };
    const MAX_AGE: &str = "spec.async.natsJetStream.stream.maxAge";
    const WINDOW: &str = "spec.async.natsJetStream.stream.duplicateWindow";
    const ACK_WAIT: &str = "spec.async.natsJetStream.consumer.ackWait";
    const MAX_BYTES: &str = "spec.async.natsJetStream.stream.maxBytes";
    const STORAGE: &str = "spec.async.natsJetStream.stream.storage";
    const NAME: &str = "spec.async.natsJetStream.stream.name";
    const SUBJECT: &str = "spec.async.natsJetStream.stream.subject";
    let one = |path: &'static str, value: Value| vec![(path, value)];
    vec![
        case(
            "Async says how",
            one("spec.mode", json!("Async")),
            vec![("spec.mode", json!("Async")), ("spec.async", json!(null))],
            "spec.async",
            "is required where spec.mode is Async",
        ),
        case(
            "Sync needs no broker",
            one("spec.async", json!(null)),
            vec![("spec.mode", json!("Async")), ("spec.async", json!(null))],
            "spec.async",
            "is required where spec.mode is Async",
        ),
        case(
            "an Async canary says how",
            one("spec.canary", json!({"mode": "Async", "percent": 5})),
            vec![
                ("spec.canary", json!({"mode": "Async", "percent": 5})),
                ("spec.async", json!(null)),
            ],
            "spec.async",
            "is required where spec.canary.mode is Async",
        ),
        case(
            "faults are at a receiver",
            one("spec.faults", json!({"receiver": "notification"})),
            one("spec.faults", json!({"receiver": "reaction"})),
            "spec.faults.receiver",
            "must be one of the Services in spec.to",
        ),
        case(
            "attempts are not further apart at first than at last",
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "10m", "max": "600s"}}),
            ),
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "11m", "max": "10m"}}),
            ),
            "spec.delivery.backoff.initial",
            "must be at most spec.delivery.backoff.max (10m)",
        ),
        case(
            "the wait after a first attempt has bounds",
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "10ms", "max": "24h"}}),
            ),
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "9ms", "max": "10m"}}),
            ),
            "spec.delivery.backoff.initial",
            "must be a duration from 10ms to 1h, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the longest wait between attempts has bounds",
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "1h", "max": "24h"}}),
            ),
            one(
                "spec.delivery",
                json!({"backoff": {"initial": "1s", "max": "25h"}}),
            ),
            "spec.delivery.backoff.max",
            "must be a duration from 10ms to 24h, written like 250ms, 2s or 1h30m",
        ),
        case(
            "a fault's delay has bounds",
            one("spec.faults", json!({"delay": "60s", "jitter": "0s"})),
            one("spec.faults", json!({"delay": "61s"})),
            "spec.faults.delay",
            "must be a duration from 0s to 1m, written like 250ms, 2s or 1h30m",
        ),
        case(
            "a fault ends at a time",
            one(
                "spec.faults",
                json!({"until": "2026-11-24T09:27:00.123456789+01:00"}),
            ),
            one(
                "spec.faults",
                json!({"until": "2026-11-24 at nine o'clock"}),
            ),
            "spec.faults.until",
            "must be a time of RFC 3339, written like 2026-11-24T09:27:00Z",
        ),
        case(
            "nobody receives their own",
            one("spec.to", json!([{"name": "trending"}])),
            one("spec.to", json!([{"name": "reaction"}])),
            "spec.to",
            "must name another Service than spec.from (reaction)",
        ),
        case(
            "nobody receives twice",
            one(
                "spec.to",
                json!([{"name": "notification"}, {"name": "trending"}]),
            ),
            one(
                "spec.to",
                json!([{"name": "trending"}, {"name": "trending"}]),
            ),
            "spec.to",
            "must name each Service once",
        ),
        case(
            "a transport has its member",
            vec![],
            one("spec.async.natsJetStream", json!(null)),
            "spec.async.natsJetStream",
            "is required where spec.async.transport is NATSJetStream",
        ),
        case(
            "a window is not longer than the age",
            vec![(WINDOW, json!("10m")), (MAX_AGE, json!("600s"))],
            vec![(WINDOW, json!("601s")), (MAX_AGE, json!("10m"))],
            WINDOW,
            "must be at most spec.async.natsJetStream.stream.maxAge (10m)",
        ),
        case(
            "a wait is not longer than the age",
            vec![(ACK_WAIT, json!("1h")), (MAX_AGE, json!("60m"))],
            vec![(ACK_WAIT, json!("1h")), (MAX_AGE, json!("59m59s"))],
            ACK_WAIT,
            "must be at most spec.async.natsJetStream.stream.maxAge (59m59s)",
        ),
        case(
            "the deadline has bounds",
            one("spec.sync.deadline", json!("4m60s")),
            one("spec.sync.deadline", json!("5m1ms")),
            "spec.sync.deadline",
            "must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the linger has bounds",
            one("spec.async.batch.linger", json!("0s")),
            one("spec.async.batch.linger", json!("1001ms")),
            "spec.async.batch.linger",
            "must be a duration from 0s to 1s, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the age has bounds",
            one(MAX_AGE, json!("8760h")),
            one(MAX_AGE, json!("99999h60m")),
            MAX_AGE,
            "must be a duration from 10s to 8760h, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the window has bounds",
            one(WINDOW, json!("10s30m1h")),
            one(WINDOW, json!("999ms")),
            WINDOW,
            "must be a duration from 1s to 24h, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the wait has bounds",
            one(ACK_WAIT, json!("1s")),
            one(ACK_WAIT, json!("61m")),
            ACK_WAIT,
            "must be a duration from 1s to 1h, written like 250ms, 2s or 1h30m",
        ),
        case(
            "the size may be a number",
            one(MAX_BYTES, json!(1_048_576)),
            one(MAX_BYTES, json!(1_048_575)),
            MAX_BYTES,
            "must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
        case(
            "the size may be a quantity",
            one(MAX_BYTES, json!("1.5e9")),
            one(MAX_BYTES, json!("1.1Pi")),
            MAX_BYTES,
            "must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
        case(
            "a malformed size is told so once",
            one(MAX_BYTES, json!(".5Gi")),
            one(MAX_BYTES, json!("1GB")),
            MAX_BYTES,
            "must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
        case(
            "the sender is a Service",
            one("spec.from", json!("duet-reaction-1")),
            one("spec.from", json!("duet.reaction")),
            "spec.from",
            "must be a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit",
        ),
        case(
            "the receiver is a Service",
            one("spec.to", json!([{"name": "a"}])),
            one("spec.to", json!([{"name": "1a"}])),
            "spec.to[0].name",
            "must be a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit",
        ),
        case(
            "the stream has a stream's name",
            one(NAME, json!("Reactions_2-b")),
            one(NAME, json!("REACTIONS.*")),
            NAME,
            "must be a stream's name, 1 to 64 of A-Z a-z 0-9 _ - (no spaces, dots or wildcards)",
        ),
        case(
            "the subject is one to publish on",
            one(SUBJECT, json!("duet._x.reactions")),
            one(SUBJECT, json!("duet.>")),
            SUBJECT,
            "must be a subject, 1 to 128 of A-Z a-z 0-9 _ - in parts between dots (no spaces, no wildcards), not beginning with _",
        ),
        case(
            "the Channel has a resource's name",
            one("metadata.name", json!("a.b-c")),
            one("metadata.name", json!("a_b")),
            "metadata.name",
            "must be the Channel's name, 1 to 253 of a-z 0-9 - . where each part between dots begins and ends with a letter or digit",
        ),
        Case {
            before: Some(vec![]),
            ..case(
                "the sender stays",
                one("spec.mode", json!("Async")),
                one("spec.from", json!("other")),
                "spec.from",
                "may not change from reaction: another sender is another Channel, of another name",
            )
        },
        Case {
            before: Some(vec![]),
            ..case(
                "the storage stays with the stream",
                vec![(STORAGE, json!("Memory")), (NAME, json!("OTHER"))],
                one(STORAGE, json!("Memory")),
                STORAGE,
                "may not change from File while the stream keeps its name: give the stream another name too",
            )
        },
    ]
}

#[test]
fn each_rule_is_kept_by_one_channel_and_broken_by_another() {
    for case in cases() {
        let before = case.before.as_deref().map(channel);
        let kept = broken(&channel(&case.keeps), before.as_ref());
        assert_eq!(kept, [], "{}", case.rule);
        let broken: Vec<_> = broken(&channel(&case.breaks), before.as_ref())
            .into_iter()
            .map(|(field, message, _)| (field, message))
            .collect();
        let expected = (case.field.to_owned(), case.message.to_owned());
        assert_eq!(broken, [expected], "{}", case.rule);
    }
}

#[test]
fn no_rule_is_without_a_case() {
    fn rules(schema: &Value, found: &mut BTreeSet<String>) {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            found.insert(rule["rule"].as_str().unwrap().to_owned());
        }
        let fields = schema["properties"].as_object().into_iter().flatten();
        fields.for_each(|(_, field)| rules(field, found));
        if let Some(items) = schema.get("items") {
            rules(items, found);
        }
    }
    let mut all = BTreeSet::new();
    rules(schema(), &mut all);
    let tried: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| {
            broken(
                &channel(&case.breaks),
                case.before.as_deref().map(channel).as_ref(),
            )
        })
        .map(|(_, _, rule)| rule)
        .collect();
    assert_eq!(tried, all);
}

#[test]
fn what_may_not_change_is_refused_in_a_file_too() {
    let read = |changes: &[(&str, Value)]| Channel::from_value(channel(changes)).unwrap();
    let before = read(&[]);
    for allowed in [
        ("spec.mode", json!("Async")),
        ("spec.async", json!(null)),
        ("metadata.generation", json!(9)),
        ("spec.to", json!([{"name": "trending"}])),
        // Another Channel may have another sender.
        ("metadata.name", json!("others")),
    ] {
        assert_eq!(
            read(std::slice::from_ref(&allowed)).may_follow(&before),
            Ok(()),
            "{allowed:?}"
        );
    }
    let after = read(&[
        ("spec.from", json!("other")),
        (&format!("{STREAM}.storage"), json!("Memory")),
    ]);
    assert_eq!(
        after.may_follow(&before).unwrap_err().to_string(),
        "spec.async.natsJetStream.stream.storage may not change from File while the stream keeps its name: give the stream another name too; \
         spec.from may not change from reaction: another sender is another Channel, of another name"
    );
}
