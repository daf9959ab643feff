//! The corpus holds what our own encoders write today, so that chance begins behind a decoder's first check. `UPDATE=1` writes it anew.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use duet_channel::transport::cloudevents::{
    self, Carried, batch_to_json, hello_question_to_json, hello_to_json, outcomes_to_json,
    receipts_to_json,
};
use duet_channel::transport::{Batch, Delivered, Outgoing, Urgency};
use duet_protocol::decision::Decision;
use duet_protocol::event::{Body, Data, Event, Key, RollingHash, Seal, TraceContext};
use duet_protocol::ledger::Closed;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{Failure, Outcome};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn lane() -> Lane {
    Lane {
        store: StoreId(0xfeed),
        partitions: 16,
        partition: Partition(3),
    }
}

fn name() -> ReceiverName {
    ReceiverName::new("notification").unwrap()
}

fn event(sequence: u64, body: Body) -> Event {
    Event {
        source: lane().source(Epoch(0x0192_0000_0000_0042)),
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

fn all_events() -> Vec<Event> {
    let previous = Seal {
        epoch: Epoch(u64::MAX),
        last: Sequence(u64::MAX),
    };
    let opened = |previous, joined| Body::Opened { previous, joined };
    vec![
        event(1, opened(None, Vec::new())),
        event(1, opened(Some(previous), vec![name()])),
        event(2, Body::Sweep { below: Epoch(5) }),
        event(3, data("post-1/ana", r#"{"kind":"like"}"#)),
        event(
            u64::MAX,
            data(
                "p\"1\\/ü %\u{7}",
                "{ \"ü\":\"\\u00fc\", \"n\": [1, 2.50, 1e3] }",
            ),
        ),
    ]
}

fn json(events: &[Event]) -> Bytes {
    let outgoing = |event: &Event| Outgoing {
        event: Arc::new(event.clone()),
        late: false,
    };
    let batch = Batch {
        events: events.iter().map(outgoing).collect(),
        urgency: Urgency::Background,
    };
    batch_to_json(&batch, |index| {
        Carried::AsCreated(&batch.events[index].event.trace)
    })
}

fn binary(event: &Event) -> Vec<u8> {
    let mut text = String::new();
    cloudevents::binary_headers(event, &Carried::AsCreated(&event.trace), |name, value| {
        text.push_str(&format!("{name}: {value}\n"));
    });
    text.push('\n');
    [text.as_bytes(), &cloudevents::binary_body(event)].concat()
}

fn all_receipts() -> Vec<Receipt> {
    let receipt = |watermark, runs: &[std::ops::RangeInclusive<u64>]| Receipt {
        source: lane().source(Epoch(9)),
        lowest_open: Epoch(7),
        receiver: name(),
        incarnation: Epoch(u64::MAX),
        watermark: Sequence(watermark),
        hash: RollingHash(0x1234_5678_9abc_def0),
        runs: runs.to_vec(),
        closed: Closed {
            since: Epoch(3),
            hash: RollingHash(0xfeed_feed_feed_feed),
        },
        digest: (!runs.is_empty()).then_some(RollingHash(0xd1)),
    };
    vec![receipt(0, &[]), receipt(3, &[5..=9, 11..=u64::MAX])]
}

fn all_outcomes() -> Delivered {
    let failure = Failure::new("the post is not known: \"p\"");
    Delivered {
        outcomes: vec![
            Outcome::Applied(Some(Decision::named("notified"))),
            Outcome::Applied(None),
            Outcome::Superseded,
            Outcome::Parked,
            Outcome::Dead,
            Outcome::Refused,
            Outcome::Dropped,
            Outcome::Failed(failure),
            Outcome::Late,
        ],
        receipts: all_receipts(),
    }
}

/// A target, a seed's name, and the seed: which of the target's decoders, and what it takes.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let of = |which: u8, rest: &[u8]| [&[which], rest].concat();
    let delivered = all_outcomes();
    let answer = HelloAnswer {
        receiver: name(),
        incarnation: Epoch(5),
        receipts: all_receipts(),
        highest: Epoch(u64::MAX),
        others: vec![StoreId(0xbeef)],
    };
    let cursor = duet_web::cursor::encode(&duet_fuzz::Of::example());
    vec![
        ("events", "batch", of(0, &json(&all_events()))),
        ("events", "batch-of-one", of(0, &json(&all_events()[3..4]))),
        ("events", "binary", of(1, &binary(&all_events()[3]))),
        ("events", "binary-escaped", of(1, &binary(&all_events()[4]))),
        ("receipts", "receipts", of(0, &receipts_to_json(&all_receipts()))),
        ("receipts", "outcomes", of(1, &of(9, &outcomes_to_json(&delivered)))),
        ("receipts", "hello", of(2, &hello_to_json(&answer))),
        ("receipts", "question", of(3, &hello_question_to_json(StoreId(0xfeed)))),
        ("settings", "channel", of(0, duet_crd::EXAMPLE.as_bytes())),
        ("settings", "duration", of(1, b"1h2m3s400ms")),
        ("settings", "bytes", of(2, b"64Mi")),
        ("settings", "bytes-decimal", of(2, b"1500k")),
        ("cursors", "cursor", of(0, cursor.as_bytes())),
        ("cursors", "cursor-garbage", of(0, b"W10")),
        ("cursors", "position", of(1, all_events()[3].id().to_string().as_bytes())),
        ("cursors", "position-first", of(1, all_events()[0].id().to_string().as_bytes())),
        ("headers", "prefer", b"prefer: respond-async, wait=\"0.2\"; x=y\nprefer: wait=3".to_vec()),
        ("headers", "trace", format!("traceparent: {PARENT}\ntracestate: a=1,b@c=2\ntracestate: d=3").into_bytes()),
        (
            "headers",
            "delivery",
            b"content-type: application/cloudevents-batch+json; charset=utf-8\nduet-delivery: inline\nduet-deadline: 1500".to_vec(),
        ),
        ("headers", "ids", b"post-1\nana.b:c_d\n..\n".to_vec()),
    ]
}

#[test]
fn the_corpus_holds_what_our_own_encoders_write() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, name, seed) in seeds() {
        let at = corpus.join(target).join(name);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(&at, &seed).unwrap();
        }
        let kept = fs::read(&at).unwrap_or_default();
        assert!(
            kept == seed,
            "{} is not what is written today: UPDATE=1",
            at.display()
        );
    }
}

#[test]
fn what_our_own_encoders_write_is_taken() {
    assert_eq!(
        cloudevents::batch(&json(&all_events())).unwrap(),
        all_events()
    );
    let delivered = all_outcomes();
    let again = cloudevents::outcomes_from_json(&outcomes_to_json(&delivered), 9).unwrap();
    assert_eq!(again.outcomes, delivered.outcomes);
    assert_eq!(
        cloudevents::receipts_from_json(&receipts_to_json(&all_receipts())).unwrap(),
        all_receipts()
    );
    duet_crd::Channel::from_yaml(duet_crd::EXAMPLE).unwrap();
}
