use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Body, Data, Event, Key, RollingHash, Seal, TraceContext};
use duet_protocol::ledger::Closed;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Failure, Outcome};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::transport::{Batch, Delivered, Outgoing, Urgency};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn source() -> Source {
    Lane {
        store: StoreId(0xfeed),
        partitions: 16,
        partition: Partition(3),
    }
    .source(Epoch(0x0192_0000_0000_0042))
}

fn event(sequence: u64, body: Body) -> Event {
    Event {
        source: source(),
        sequence: Sequence(sequence),
        time: Timestamp::from_micros(1_764_000_000_123_456),
        body,
        trace: TraceContext {
            traceparent: PARENT.into(),
            tracestate: "vendor=1".into(),
        },
        generation: Generation(7),
    }
}

fn data(key: &str, json: &'static str) -> Body {
    Body::Data(Data {
        kind: "dev.duet.reaction.set".into(),
        key: Key::new(key).unwrap(),
        json: Bytes::from_static(json.as_bytes()),
    })
}

fn opened(previous: Option<Seal>) -> Body {
    Body::Opened {
        previous,
        joined: Vec::new(),
    }
}

fn all_kinds() -> Vec<Event> {
    vec![
        event(1, opened(None)),
        event(
            2,
            opened(Some(Seal {
                epoch: Epoch(u64::MAX),
                last: Sequence(u64::MAX),
            })),
        ),
        event(3, data("post-1/ana", r#"{"kind":"like"}"#)),
        event(
            u64::MAX,
            data(
                "p\"1\\/ü %\u{7}",
                "{ \"spaces\" : [1,  2.50, 1e3],\n \"ü\":\"\\u00fc\" }",
            ),
        ),
        Event {
            trace: TraceContext::default(),
            ..event(9, data("k", "null"))
        },
    ]
}

fn batch_of(events: Vec<Event>) -> Batch {
    let outgoing = |event| Outgoing {
        event: Arc::new(event),
        late: false,
    };
    Batch {
        events: events.into_iter().map(outgoing).collect(),
        urgency: Urgency::Background,
    }
}

fn encoded(events: Vec<Event>) -> Bytes {
    let batch = batch_of(events);
    batch_to_json(&batch, |index| {
        Carried::AsCreated(&batch.events[index].event.trace)
    })
}

fn headers(event: &Event) -> HashMap<&'static str, String> {
    let mut headers = HashMap::new();
    binary_headers(event, &Carried::AsCreated(&event.trace), |name, value| {
        drop(headers.insert(name, value.to_owned()))
    });
    headers
}

fn decoded(headers: &HashMap<&'static str, String>, body: &Bytes) -> Result<Event, DecodeError> {
    binary(|name| headers.get(name).map(String::as_str), body)
}

#[test]
fn a_batch_arrives_as_it_was_to_the_last_byte() {
    assert_eq!(batch(&encoded(all_kinds())).unwrap(), all_kinds());
}

#[test]
fn one_event_in_binary_mode_arrives_as_it_was_to_the_last_byte() {
    for event in all_kinds() {
        assert_eq!(
            decoded(&headers(&event), &binary_body(&event)).unwrap(),
            event
        );
    }
}

#[test]
fn it_is_what_cloudevents_says() {
    let json: serde_json::Value = serde_json::from_slice(&encoded(vec![event(
        3,
        data("post-1/ana", r#"{"kind":"like"}"#),
    )]))
    .unwrap();
    let expected = serde_json::json!([{
        "specversion": "1.0",
        "id": "3",
        "source": "/duet/000000000000feed/16/3/0192000000000042",
        "type": "dev.duet.reaction.set",
        "subject": "post-1/ana",
        "time": "2025-11-24T16:00:00.123456Z",
        "duetsequence": "3",
        "duetgeneration": "7",
        "traceparent": PARENT,
        "tracestate": "vendor=1",
        "data": {"kind": "like"},
    }]);
    assert_eq!(json, expected);
}

#[test]
fn what_the_bindings_encode_is_encoded() {
    let headers = headers(&event(3, data("a b/ü\"%", "1")));
    assert_eq!(headers["ce-subject"], "a%20b/%C3%BC%22%25");
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn an_event_weighs_no_less_than_it_takes() {
    let long = Key::new("k".repeat(Key::MAX)).unwrap();
    let mut heaviest = event(
        u64::MAX,
        Body::Data(Data {
            kind: "t".repeat(MAX_TYPE).into(),
            key: long,
            json: Bytes::from_static(b"{}"),
        }),
    );
    heaviest.generation = Generation(u64::MAX);
    for event in all_kinds().into_iter().chain([heaviest]) {
        let headers: usize = headers(&event)
            .iter()
            .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
            .sum();
        let (weight, json) = (event.weight(), encoded(vec![event.clone()]).len());
        assert!(
            json <= weight,
            "{json} bytes of JSON for {weight}: {event:?}"
        );
        assert!(
            headers + binary_body(&event).len() <= weight,
            "{headers} bytes of headers for {weight}: {event:?}"
        );
    }
}

/// An event as JSON, with one attribute replaced.
fn with(attribute: &str, value: serde_json::Value) -> Bytes {
    let mut json: serde_json::Value =
        serde_json::from_slice(&encoded(vec![event(3, data("k", "1"))])).unwrap();
    match value {
        serde_json::Value::Null => drop(json[0].as_object_mut().unwrap().remove(attribute)),
        value => json[0][attribute] = value,
    }
    serde_json::to_vec(&json).unwrap().into()
}

#[test]
fn each_attribute_that_is_missing_or_wrong_is_named() {
    let long = "x".repeat(1_000);
    for (attribute, value) in [
        ("specversion", "".into()),
        ("specversion", "0.3".into()),
        ("specversion", serde_json::Value::Null),
        ("id", serde_json::Value::Null),
        ("id", "4".into()),
        ("source", serde_json::Value::Null),
        ("source", "/elsewhere".into()),
        ("type", serde_json::Value::Null),
        ("type", "".into()),
        ("type", long.as_str().into()),
        ("subject", serde_json::Value::Null),
        ("subject", "".into()),
        ("subject", long.as_str().into()),
        ("time", serde_json::Value::Null),
        ("time", "yesterday".into()),
        ("datacontenttype", "text/xml".into()),
        ("duetsequence", serde_json::Value::Null),
        ("duetsequence", "0".into()),
        ("duetsequence", "03".into()),
        ("duetsequence", "+3".into()),
        ("duetsequence", "-3".into()),
        ("duetsequence", "18446744073709551616".into()),
        ("duetgeneration", serde_json::Value::Null),
        ("duetgeneration", "".into()),
        ("data", serde_json::Value::Null),
    ] {
        match batch(&with(attribute, value.clone())) {
            Err(DecodeError::Attribute {
                at: 0,
                attribute: named,
                ..
            }) => assert_eq!(named, attribute, "{value}"),
            other => panic!("{attribute} = {value}: {other:?}"),
        }
    }
}

#[test]
fn an_opening_that_names_no_seal_is_refused() {
    for data in [
        r#"{"previous":{"epoch":"42","last":1}}"#,
        r#"{"previous":{"epoch":"000000000000002a","last":-1}}"#,
        r#"{"previous":7}"#,
        "[]",
        "7",
    ] {
        let mut headers = headers(&event(1, opened(None)));
        headers.insert("ce-type", OPENED.to_owned());
        let read = decoded(&headers, &Bytes::from_static(data.as_bytes()));
        assert!(
            matches!(
                read,
                Err(DecodeError::Attribute {
                    attribute: "data",
                    ..
                })
            ),
            "{data}: {read:?}"
        );
    }
}

#[test]
fn a_broken_trace_context_costs_only_itself() {
    let read = batch(&with("traceparent", "x".repeat(1_000).into())).unwrap();
    assert_eq!(read[0].trace, TraceContext::default());
}

#[test]
fn what_is_over_the_limits_is_refused() {
    let many = |count: u64| encoded((1..=count).map(|n| event(n, data("k", "1"))).collect());
    assert_eq!(batch(&many(MAX_EVENTS as u64)).unwrap().len(), MAX_EVENTS);
    assert_eq!(
        batch(&many(MAX_EVENTS as u64 + 1)),
        Err(DecodeError::TooMany(MAX_EVENTS + 1))
    );
    assert_eq!(batch(&Bytes::from_static(b"[]")), Err(DecodeError::Empty));
    let large = Bytes::from(vec![b' '; MAX_BYTES + 1]);
    assert_eq!(batch(&large), Err(DecodeError::TooLarge(MAX_BYTES + 1)));
    assert_eq!(
        binary(|_| None, &large),
        Err(DecodeError::TooLarge(MAX_BYTES + 1))
    );
}

#[test]
fn attributes_of_others_are_passed_over() {
    let read = batch(&with("comexampleextension", 7.into())).unwrap();
    assert_eq!(read.len(), 1);
}

fn receipt() -> Receipt {
    Receipt {
        source: source(),
        lowest_open: Epoch(3),
        receiver: ReceiverName::new("notification").unwrap(),
        incarnation: Epoch(u64::MAX),
        watermark: Sequence(4),
        hash: RollingHash(0xabc),
        runs: vec![6..=6, 9..=u64::MAX],
        closed: Closed {
            since: Epoch(2),
            hash: RollingHash(u64::MAX),
        },
        digest: Some(RollingHash(0xd)),
    }
}

#[test]
fn what_a_receiver_says_arrives_as_it_was() {
    let receipts = vec![
        receipt(),
        Receipt {
            runs: Vec::new(),
            digest: None,
            ..receipt()
        },
    ];
    assert_eq!(
        receipts_from_json(&receipts_to_json(&receipts)).unwrap(),
        receipts
    );
    let hello = HelloAnswer {
        receiver: ReceiverName::new("trending").unwrap(),
        incarnation: Epoch(5),
        receipts: receipts.clone(),
        highest: Epoch(u64::MAX),
        others: vec![StoreId(7), StoreId(u64::MAX)],
    };
    assert_eq!(hello_from_json(&hello_to_json(&hello)).unwrap(), hello);
    let older = br#"{"receiver":"n","incarnation":"0000000000000005","receipts":[]}"#;
    let older = hello_from_json(older).unwrap();
    assert_eq!((older.highest, older.others), (Epoch::ZERO, Vec::new()));
    assert_eq!(
        hello_question_from_json(&hello_question_to_json(StoreId(9))).unwrap(),
        StoreId(9)
    );
    let failed = Outcome::Failed(Failure::new("no \"post\""));
    let outcomes = vec![
        Outcome::Applied(None),
        Outcome::Applied(Some(Decision::named("notified"))),
        Outcome::Superseded,
        Outcome::Parked,
        Outcome::Dead,
        Outcome::Refused,
        Outcome::Dropped,
        failed,
        Outcome::Late,
    ];
    let json = outcomes_to_json(&Delivered {
        outcomes: outcomes.clone(),
        receipts: receipts.clone(),
    });
    let read = outcomes_from_json(&json, outcomes.len()).unwrap();
    assert_eq!((read.outcomes, read.receipts), (outcomes, receipts));
}

#[test]
fn a_receipt_is_readable() {
    let json: serde_json::Value = serde_json::from_slice(&receipts_to_json(&[receipt()])).unwrap();
    assert_eq!(json["receipts"][0]["lowestOpen"], "0000000000000003");
    assert_eq!(json["receipts"][0]["hash"], "0000000000000abc");
    assert_eq!(json["receipts"][0]["runs"][0], serde_json::json!([6, 6]));
}

#[test]
fn what_no_receiver_says_is_refused() {
    let base = String::from_utf8(receipts_to_json(&[receipt()])).unwrap();
    for (from, to) in [
        ("[6,6]", "[4,6]"),
        ("[6,6]", "[6,5]"),
        ("[6,6]", "[6,9]"),
        ("\"hash\":\"0000000000000abc\"", "\"hash\":\"abc\""),
        ("notification", ""),
        ("/duet/", "/"),
    ] {
        let changed = base.replacen(from, to, 1);
        assert_ne!(changed, base);
        assert!(receipts_from_json(changed.as_bytes()).is_err(), "{changed}");
    }
    let runs = (0..=Receipt::MAX_RUNS as u64)
        .map(|n| 6 + 2 * n..=6 + 2 * n)
        .collect();
    assert!(
        receipts_from_json(&receipts_to_json(&[Receipt { runs, ..receipt() }])).is_err(),
        "too many runs"
    );
    let one = outcomes_to_json(&Delivered {
        outcomes: vec![Outcome::Applied(None)],
        receipts: Vec::new(),
    });
    assert!(
        outcomes_from_json(&one, 2).is_err(),
        "an outcome for each event"
    );
}

/// An older receiver says none, and a newer one may say what is no word here.
#[test]
fn an_answer_without_a_decision_that_can_be_read_is_still_applied() {
    let too_long = format!(",\"decision\":\"{}\"", "a".repeat(33));
    for decision in [
        "",
        ",\"decision\":null",
        ",\"decision\":\"Zwei Wörter\"",
        &too_long,
    ] {
        let json =
            format!("{{\"outcomes\":[{{\"outcome\":\"applied\"{decision}}}],\"receipts\":[]}}");
        let read = outcomes_from_json(json.as_bytes(), 1).unwrap();
        assert_eq!(read.outcomes, [Outcome::Applied(None)], "{json}");
    }
}

/// Everything that comes in, changed at random: an answer or an error, no panic; and what is read can be written and read again.
#[test]
fn no_bytes_make_it_panic() {
    let receipts = receipts_to_json(&[receipt()]);
    let seeds: [&[u8]; 4] = [
        &encoded(all_kinds()),
        &receipts,
        b"[{\"specversion\":",
        &[0xff, 0, b'%', b'4'],
    ];
    let pieces: [&[u8]; 8] = [
        b"null",
        b"\"",
        b"{",
        b"]",
        b"%e2%82",
        b"99999999999999999999999",
        b"\\ud800",
        b"-1e999",
    ];
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..20_000 {
        let mut bytes = seeds.choose(&mut random).unwrap().to_vec();
        for _ in 0..random.random_range(0..6) {
            let at = random.random_range(0..=bytes.len());
            match random.random_range(0..3) {
                0 => {
                    drop(bytes.splice(at..at, pieces.choose(&mut random).unwrap().iter().copied()))
                }
                1 => bytes.truncate(at),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random.random();
                    }
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let bytes = Bytes::from(bytes);
        if let Ok(events) = batch(&bytes) {
            assert_eq!(batch(&encoded(events.clone())).unwrap(), events);
        }
        let _ = binary(|_| Some(&text), &bytes);
        let _ = (
            receipts_from_json(&bytes),
            hello_from_json(&bytes),
            hello_question_from_json(&bytes),
            outcomes_from_json(&bytes, 1),
        );
    }
}
