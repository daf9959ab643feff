//! What a Channel may not say, and what is answered.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use duet_crd::{Channel, EXAMPLE, MAX_BYTES};
use duet_protocol::settings::Settings;
use serde_json::{Value, json};

/// All that is said against a text.
fn said(text: &str) -> Vec<String> {
    match Channel::from_yaml(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// All that is said against the example once a field has another value; null takes it away.
fn with(changes: &[(&str, Value)]) -> Vec<String> {
    let mut document: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    for (path, value) in changes {
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        match value {
            Value::Null => drop(parent.as_object_mut().unwrap().remove(field)),
            value => parent[field] = value.clone(),
        }
    }
    match Channel::from_value(document) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Each change alone is answered with this one sentence.
fn each_refused(cases: &[(&str, Value, &str)]) {
    for (path, value, sentence) in cases {
        assert_eq!(
            with(&[(path, value.clone())]),
            [*sentence],
            "{path}: {value}"
        );
    }
}

const STREAM: &str = "spec.async.natsJetStream.stream";

#[test]
fn the_example_itself_is_not_refused() {
    assert_eq!(with(&[]), [""; 0]);
}

#[test]
fn what_is_designed_but_not_in_force_is_refused_by_name() {
    let not_yet = |path: &str, value: Value| {
        assert_eq!(
            with(&[(path, value)]),
            [format!("{path} is not in force yet")]
        );
    };
    not_yet("spec.sync.retry", json!({"maxAttempts": 3}));
    not_yet("spec.sync.circuitBreaker", json!({"window": "10s"}));
    not_yet("spec.sync.concurrency", json!({"max": 256}));
    not_yet(
        "spec.async.natsJetStream.stream.management",
        json!("Manage"),
    );

    each_refused(&[(
        "spec.sync.onFailure",
        json!("Async"),
        "spec.sync.onFailure may not be \"Async\" yet: it must be Fail",
    )]);
}

#[test]
fn an_unknown_field_is_refused_with_what_may_have_been_meant() {
    each_refused(&[
        (
            "spec.mdoe",
            json!("Sync"),
            "spec.mdoe is not a field; did you mean mode?",
        ),
        (
            "spec.sync.Deadline",
            json!("2s"),
            "spec.sync.Deadline is not a field; did you mean deadline?",
        ),
        (
            "spec.async.natsJetstream",
            json!({}),
            "spec.async.natsJetstream is not a field; did you mean natsJetStream?",
        ),
        (
            "spec.sync.maxEvents",
            json!(3),
            "spec.sync.maxEvents is not a field; did you mean spec.sync.batch.maxEvents?",
        ),
        (
            "spec.deadline",
            json!("2s"),
            "spec.deadline is not a field; did you mean spec.sync.deadline?",
        ),
        (
            "spec.priority",
            json!(1),
            "spec.priority is not a field; the fields are async, canary, deletionPolicy, delivery, faults, from, mode, sync, to, traces",
        ),
        ("sepc", json!({}), "sepc is not a field; did you mean spec?"),
        (
            "spec.a b",
            json!(1),
            "spec[\"a b\"] is not a field; the fields are async, canary, deletionPolicy, delivery, faults, from, mode, sync, to, traces",
        ),
    ]);
    assert_eq!(
        with(&[("spec.to", json!([{"name": "notification", "weight": 1}]))]),
        ["spec.to[0].weight is not a field; the fields are name"]
    );
}

#[test]
fn a_required_field_that_is_missing_is_named_with_what_it_must_be() {
    each_refused(&[
        (
            "apiVersion",
            Value::Null,
            "apiVersion is required: duet.dev/v1alpha1",
        ),
        ("kind", Value::Null, "kind is required: Channel"),
        (
            "metadata",
            Value::Null,
            "metadata is required: a map with annotations, generation, labels, name, namespace, uid",
        ),
        (
            "metadata.name",
            Value::Null,
            "metadata.name is required: the Channel's name, 1 to 253 of a-z 0-9 - . where each part between dots begins and ends with a letter or digit",
        ),
        (
            "spec",
            Value::Null,
            "spec is required: a map with async, canary, deletionPolicy, delivery, faults, from, mode, sync, to, traces",
        ),
        (
            "spec.from",
            Value::Null,
            "spec.from is required: a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit",
        ),
        (
            "spec.to",
            Value::Null,
            "spec.to is required: a list of 1 to 16",
        ),
        (
            "spec.mode",
            Value::Null,
            "spec.mode is required: Sync or Async",
        ),
        (
            "spec.async.transport",
            Value::Null,
            "spec.async.transport is required: NATSJetStream",
        ),
        (
            "spec.async.natsJetStream.stream",
            Value::Null,
            "spec.async.natsJetStream.stream is required: a map with duplicateWindow, maxAge, maxBytes, name, replicas, storage, subject",
        ),
        (
            "spec.async.natsJetStream.stream.name",
            Value::Null,
            "spec.async.natsJetStream.stream.name is required: a stream's name, 1 to 64 of A-Z a-z 0-9 _ - (no spaces, dots or wildcards)",
        ),
        (
            "spec.async.natsJetStream.stream.subject",
            Value::Null,
            "spec.async.natsJetStream.stream.subject is required: a subject, 1 to 128 of A-Z a-z 0-9 _ - in parts between dots (no spaces, no wildcards), not beginning with _",
        ),
        (
            "spec.async.natsJetStream.stream.maxBytes",
            Value::Null,
            "spec.async.natsJetStream.stream.maxBytes is required: a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
    ]);
}

#[test]
fn a_value_that_is_none_of_the_known_ones_is_refused_with_those() {
    each_refused(&[
        (
            "apiVersion",
            json!("duet.dev/v1"),
            "apiVersion must be duet.dev/v1alpha1, not \"duet.dev/v1\"",
        ),
        (
            "kind",
            json!("Chanel"),
            "kind must be Channel, not \"Chanel\"",
        ),
        (
            "spec.mode",
            json!("sync"),
            "spec.mode must be Sync or Async, not \"sync\"",
        ),
        (
            "spec.sync.transport",
            json!("GRPC"),
            "spec.sync.transport must be HTTP, not \"GRPC\"",
        ),
        (
            "spec.sync.onFailure",
            json!("Retry"),
            "spec.sync.onFailure must be Fail, not \"Retry\"",
        ),
        (
            "spec.async.transport",
            json!("Kafka"),
            "spec.async.transport must be NATSJetStream, not \"Kafka\"",
        ),
        (
            "spec.async.natsJetStream.stream.storage",
            json!("Disk"),
            "spec.async.natsJetStream.stream.storage must be File or Memory, not \"Disk\"",
        ),
        (
            "spec.traces.async",
            json!("None"),
            "spec.traces.async must be Continue or Link, not \"None\"",
        ),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_the_right_one() {
    each_refused(&[
        (
            "metadata",
            json!("reactions"),
            "metadata must be a map with annotations, generation, labels, name, namespace, uid, not \"reactions\"",
        ),
        (
            "spec",
            json!([]),
            "spec must be a map with async, canary, deletionPolicy, delivery, faults, from, mode, sync, to, traces, not a list",
        ),
        (
            "spec.from",
            json!(7),
            "spec.from must be a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit, not 7",
        ),
        (
            "spec.to",
            json!("notification"),
            "spec.to must be a list of 1 to 16, not \"notification\"",
        ),
        (
            "spec.to",
            json!(["notification"]),
            "spec.to[0] must be a map with name, not \"notification\"",
        ),
        (
            "spec.mode",
            json!(true),
            "spec.mode must be Sync or Async, not true",
        ),
        (
            "spec.sync.deadline",
            json!(2),
            "spec.sync.deadline must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m, not 2",
        ),
        (
            "spec.sync.batch",
            json!(1),
            "spec.sync.batch must be a map with maxEvents, not 1",
        ),
        (
            "spec.sync.batch.maxEvents",
            json!("many"),
            "spec.sync.batch.maxEvents must be a whole number from 1 to 512, not \"many\"",
        ),
        (
            "spec.sync.batch.maxEvents",
            json!(1.5),
            "spec.sync.batch.maxEvents must be a whole number from 1 to 512, not 1.5",
        ),
        (
            "spec.async.natsJetStream.stream.maxBytes",
            json!({}),
            "spec.async.natsJetStream.stream.maxBytes must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824, not a map of fields",
        ),
    ]);
}

#[test]
fn a_number_out_of_bounds_is_refused_with_the_bounds() {
    let whole = |path: &str, least: i64, most: i64| {
        for value in [least, most] {
            assert_eq!(with(&[(path, json!(value))]), [""; 0]);
        }
        for value in [least - 1, most + 1, i64::MIN, i64::MAX] {
            assert_eq!(
                with(&[(path, json!(value))]),
                [format!(
                    "{path} must be a whole number from {least} to {most}, not {value}"
                )]
            );
        }
    };
    whole("spec.sync.batch.maxEvents", 1, 512);
    whole("spec.async.batch.maxEvents", 1, 512);
    whole("spec.async.natsJetStream.stream.replicas", 1, 5);
    whole("spec.async.natsJetStream.consumer.maxAckPending", 1, 65_536);
    for bad in [json!(0), json!(-1), json!(u64::MAX)] {
        let sentence = format!(
            "metadata.generation must be a whole number from 1 to {}, not {bad}",
            i64::MAX
        );
        assert_eq!(with(&[("metadata.generation", bad)]), [sentence]);
    }
}

#[test]
fn a_duration_or_a_size_out_of_bounds_is_refused_with_the_bounds() {
    let bounded = |path: &str, what: &str, least: &str, most: &str, outside: [&str; 2]| {
        let like = match what {
            "a duration" => "written like 250ms, 2s or 1h30m",
            _ => "written like 1Gi, 500M or 1073741824",
        };
        // maxAge out of the way of the rules that hold others to it.
        let with = |value: &str| {
            with(&[
                ("spec.async.natsJetStream.stream.maxAge", json!("8760h")),
                (path, json!(value)),
            ])
        };
        for value in [least, most] {
            assert_eq!(with(value), [""; 0], "{path}: {value}");
        }
        for value in outside {
            assert_eq!(
                with(value),
                [format!(
                    "{path} must be {what} from {least} to {most}, {like}, not {value:?}"
                )]
            );
        }
    };
    bounded(
        "spec.sync.deadline",
        "a duration",
        "10ms",
        "5m",
        ["9ms", "5m1ms"],
    );
    bounded(
        "spec.async.batch.linger",
        "a duration",
        "0s",
        "1s",
        ["1001ms", "1h"],
    );
    bounded(
        &format!("{STREAM}.duplicateWindow"),
        "a duration",
        "1s",
        "24h",
        ["999ms", "24h1ms"],
    );
    bounded(
        "spec.async.natsJetStream.consumer.ackWait",
        "a duration",
        "1s",
        "1h",
        ["0s", "61m"],
    );
    bounded(
        &format!("{STREAM}.maxBytes"),
        "a number of bytes",
        "1Mi",
        "1Pi",
        ["1M", "1Ei"],
    );

    let path = format!("{STREAM}.maxAge");
    for value in ["9s", "8761h"] {
        let said = with(&[(&path, json!(value))]);
        assert_eq!(
            said,
            [format!(
                "{path} must be a duration from 10s to 8760h, written like 250ms, 2s or 1h30m, not {value:?}"
            )]
        );
    }
}

#[test]
fn a_text_of_the_wrong_form_is_refused_with_the_right_one() {
    let stream =
        "must be a stream's name, 1 to 64 of A-Z a-z 0-9 _ - (no spaces, dots or wildcards)";
    let subject = "must be a subject, 1 to 128 of A-Z a-z 0-9 _ - in parts between dots (no spaces, no wildcards), not beginning with _";
    for (path, value, rule) in [
        (
            "spec.sync.deadline",
            "2 s",
            "must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m",
        ),
        (
            "spec.sync.deadline",
            "1.5s",
            "must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m",
        ),
        (
            "spec.sync.deadline",
            "99999h60m",
            "must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m",
        ),
        (
            "spec.async.natsJetStream.stream.maxBytes",
            "1GB",
            "must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
        (
            "spec.async.natsJetStream.stream.maxBytes",
            "8Ei",
            "must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824",
        ),
        ("spec.async.natsJetStream.stream.name", "MY STREAM", stream),
        ("spec.async.natsJetStream.stream.name", "a.b", stream),
        ("spec.async.natsJetStream.stream.name", "*", stream),
        ("spec.async.natsJetStream.stream.subject", "duet.>", subject),
        ("spec.async.natsJetStream.stream.subject", "duet.*", subject),
        (
            "spec.async.natsJetStream.stream.subject",
            "$JS.API",
            subject,
        ),
        (
            "spec.async.natsJetStream.stream.subject",
            "duet..x",
            subject,
        ),
        (
            "spec.from",
            "Reaction",
            "must be a Service's name, 1 to 63 of a-z 0-9 - that begin with a letter and end with a letter or digit",
        ),
        (
            "metadata.name",
            "a_b",
            "must be the Channel's name, 1 to 253 of a-z 0-9 - . where each part between dots begins and ends with a letter or digit",
        ),
    ] {
        assert_eq!(
            with(&[(path, json!(value))]),
            [format!("{path} {rule}, not {value:?}")]
        );
    }
}

#[test]
fn a_status_is_refused_for_whose_it_is() {
    assert_eq!(
        with(&[("status", json!({"mode": "Sync"}))]),
        ["status is Duet's to write: leave it out"]
    );
}

#[test]
fn a_size_beyond_all_numbers_is_refused_as_one_out_of_bounds() {
    let path = format!("{STREAM}.maxBytes");
    for value in [
        json!("9999999999999999999.999999999Ei"),
        json!("9999999999999999999.999999999e19"),
        json!(u64::MAX),
        json!(i64::MIN),
    ] {
        let sentence = format!(
            "{path} must be a number of bytes from 1Mi to 1Pi, written like 1Gi, 500M or 1073741824, not {value}"
        );
        assert_eq!(with(&[(&path, value)]), [sentence]);
    }
}

#[test]
fn nobody_receives_or_too_many_or_one_twice_is_refused() {
    let thirty: Vec<Value> = (0..30).map(|n| json!({"name": format!("s{n}")})).collect();
    each_refused(&[
        (
            "spec.to",
            json!([]),
            "spec.to must be a list of 1 to 16, not an empty one",
        ),
        (
            "spec.to",
            json!(thirty),
            "spec.to must be a list of 1 to 16, not one of 30",
        ),
        (
            "spec.to",
            json!([{"name": "notification"}, {"name": "trending"}, {"name": "notification"}]),
            "spec.to must name each Service once",
        ),
    ]);
}

#[test]
fn fields_that_contradict_one_another_are_refused() {
    each_refused(&[
        (
            "spec.to",
            json!([{"name": "reaction"}]),
            "spec.to must name another Service than spec.from (reaction)",
        ),
        (
            "spec.async.natsJetStream",
            Value::Null,
            "spec.async.natsJetStream is required where spec.async.transport is NATSJetStream",
        ),
    ]);
    assert_eq!(
        with(&[("spec.mode", json!("Async")), ("spec.async", Value::Null)]),
        ["spec.async is required where spec.mode is Async"]
    );
    assert_eq!(
        with(&[
            (&format!("{STREAM}.maxAge"), json!("1m")),
            ("spec.async.natsJetStream.consumer.ackWait", json!("61s"))
        ]),
        [
            "spec.async.natsJetStream.consumer.ackWait must be at most spec.async.natsJetStream.stream.maxAge (1m), not \"61s\"",
            "spec.async.natsJetStream.stream.duplicateWindow must be at most spec.async.natsJetStream.stream.maxAge (1m), not \"2m\"",
        ]
    );
}

#[test]
fn a_canary_that_makes_no_sense_is_refused() {
    let canary = |mode: &str, percent: i64| json!({"mode": mode, "percent": percent});
    for good in [canary("Async", 0), canary("Sync", 100)] {
        assert_eq!(with(&[("spec.canary", good)]), [""; 0]);
    }
    each_refused(&[
        (
            "spec.canary",
            json!({"mode": "Async"}),
            "spec.canary.percent is required: a whole number from 0 to 100",
        ),
        (
            "spec.canary",
            json!({"percent": 5}),
            "spec.canary.mode is required: Sync or Async",
        ),
        (
            "spec.canary",
            canary("Fast", 5),
            "spec.canary.mode must be Sync or Async, not \"Fast\"",
        ),
        (
            "spec.canary",
            canary("Async", 101),
            "spec.canary.percent must be a whole number from 0 to 100, not 101",
        ),
        (
            "spec.canary",
            json!({"mode": "Async", "percent": 5, "users": []}),
            "spec.canary.users is not a field; the fields are mode, percent",
        ),
    ]);
    assert_eq!(
        with(&[
            ("spec.canary", canary("Async", 5)),
            ("spec.async", Value::Null)
        ]),
        ["spec.async is required where spec.canary.mode is Async"]
    );
}

#[test]
fn faults_that_make_no_sense_are_refused() {
    let all = json!({
        "delay": "1m", "jitter": "1m", "errorPercent": 100, "hangPercent": 100, "maxPerSecond": 1_000_000,
        "receiver": "notification", "until": "2026-11-24T09:27:00.5+01:00",
    });
    for good in [json!({}), all] {
        assert_eq!(with(&[("spec.faults", good)]), [""; 0]);
    }
    let whole = |least: u32, most: u32| format!("must be a whole number from {least} to {most}");
    let duration = "must be a duration from 0s to 1m, written like 250ms, 2s or 1h30m";
    let time = "must be a time of RFC 3339, written like 2026-11-24T09:27:00Z";
    for (field, value, because) in [
        ("delay", json!("61s"), duration.to_owned()),
        ("jitter", json!("fast"), duration.to_owned()),
        ("errorPercent", json!(-1), whole(0, 100)),
        ("hangPercent", json!(101), whole(0, 100)),
        ("maxPerSecond", json!(0), whole(1, 1_000_000)),
        ("until", json!("30s"), time.to_owned()),
        ("until", json!(1_764_000_000), time.to_owned()),
        (
            "receiver",
            json!("trending"),
            "must be one of the Services in spec.to".to_owned(),
        ),
    ] {
        let sentence = format!("spec.faults.{field} {because}, not {value}");
        assert_eq!(with(&[("spec.faults", json!({field: value}))]), [sentence]);
    }
    let no_such_day = with(&[("spec.faults", json!({"until": "2026-02-30T00:00:00Z"}))]);
    assert!(
        no_such_day.len() == 1 && no_such_day[0].contains(time),
        "{no_such_day:?}"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_that_only_follows() {
    let said = with(&[
        ("kind", json!("Chanel")),
        ("spec.mode", json!("Fast")),
        ("spec.sync.retry", json!({})),
        ("spec.sync.deadline", json!("1h")),
        ("spec.async.natsJetStream.stream.maxAge", json!("soon")),
        ("spec.to", json!([{"name": "reaction"}])),
    ]);
    assert_eq!(
        said,
        [
            "kind must be Channel, not \"Chanel\"",
            "spec.async.natsJetStream.stream.maxAge must be a duration from 10s to 8760h, written like 250ms, 2s or 1h30m, not \"soon\"",
            "spec.mode must be Sync or Async, not \"Fast\"",
            "spec.sync.deadline must be a duration from 10ms to 5m, written like 250ms, 2s or 1h30m, not \"1h\"",
            "spec.sync.retry is not in force yet",
            "spec.to must name another Service than spec.from (reaction)",
        ]
    );
}

#[test]
fn all_problems_together_are_one_line_of_bounded_length() {
    let many: String = (0..4_000).map(|n| format!("field{n}: 1\n")).collect();
    let problems = Channel::from_yaml(&format!("{EXAMPLE}\n{many}")).unwrap_err();
    assert_eq!(problems.iter().count(), 4_000);
    let line = problems.to_string();
    assert!(
        line.ends_with("; and 3980 more") && line.len() < 4_000 && !line.contains('\n'),
        "{line}"
    );

    let hostile = format!("{EXAMPLE}\n\"\\e[31m\\n{}\": 1", "x".repeat(10_000));
    let line = Channel::from_yaml(&hostile).unwrap_err().to_string();
    assert!(
        line.len() < 200 && !line.contains(char::is_control),
        "{line}"
    );
}

#[test]
fn text_that_is_no_document_is_refused() {
    assert_eq!(said(""), ["the document is empty"]);
    assert_eq!(said("# only a comment\n"), ["the document is empty"]);
    assert_eq!(
        said("hello"),
        ["the document must be a map with apiVersion, kind, metadata, spec, not \"hello\""]
    );
    assert_eq!(
        said(&"#".repeat(MAX_BYTES + 1)),
        ["the document is longer than 65536 bytes"]
    );
    for (text, because) in [
        ("{", "the document is not YAML: "),
        ("a: b: c", "the document is not YAML: "),
        (
            "kind: Channel\nkind: Channel",
            "the document is not YAML: duplicate entry",
        ),
        (
            "kind: Channel\n---\nkind: Channel",
            "the document is not YAML: ",
        ),
        ("a: &a [*a]", "the document is not YAML: "),
        ("\0", "the document is not YAML: "),
    ] {
        let said = said(text);
        assert!(
            said.len() == 1 && said[0].starts_with(because),
            "{text:?}: {said:?}"
        );
    }
    assert!(
        said("1: 2")[0].starts_with("1 is not a field"),
        "{:?}",
        said("1: 2")
    );
    assert_eq!(
        said(&EXAMPLE.replace("mode: Sync", "mode: !fast Sync")),
        ["spec.mode has the tag \"!fast\": leave it out"]
    );
}

#[test]
fn a_channel_made_in_code_is_held_to_the_same_rules() {
    let mut channel = Channel::from_yaml(EXAMPLE).unwrap();
    channel.spec.sync.batch.max_events = 0;
    channel.spec.to.push(channel.spec.to[0].clone());
    let problems = Settings::try_from(&channel).unwrap_err().to_string();
    assert_eq!(
        problems,
        "spec.sync.batch.maxEvents must be a whole number from 1 to 512, not 0; \
         spec.to must name each Service once"
    );
}
