//! Spans that are sent to `duet up` are what `duet trace` and Jaeger's pages show.

#![cfg(feature = "jaeger")]
#![allow(clippy::unwrap_used)]

mod common;

use common::Up;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};

const TRACE: [u8; 16] = [0xab; 16];
const REQUEST: u8 = 1;
const SEND: u8 = 2;
const PROCESS: u8 = 3;

fn span(id: u8, parent: Option<u8>, name: &str, kind: SpanKind, ms: std::ops::Range<u64>) -> Span {
    let nanos = |ms: u64| 1_764_000_000_000_000_000 + ms * 1_000_000;
    Span {
        trace_id: TRACE.into(),
        span_id: vec![id; 8],
        parent_span_id: parent.map(|id| vec![id; 8]).unwrap_or_default(),
        name: name.into(),
        kind: kind.into(),
        start_time_unix_nano: nanos(ms.start),
        end_time_unix_nano: nanos(ms.end),
        ..Default::default()
    }
}

/// One process's export, as its service would make it.
async fn export(up: &Up, service: &str, spans: Vec<Span>) {
    let name = KeyValue {
        key: "service.name".into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(service.into())),
        }),
        ..Default::default()
    };
    let otlp = up.told()["otlp"].as_str().unwrap().to_owned();
    let mut client = TraceServiceClient::connect(otlp).await.unwrap();
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource {
            attributes: vec![name],
            ..Default::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..Default::default()
        }],
        ..Default::default()
    }];
    client
        .export(ExportTraceServiceRequest { resource_spans })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_trace_is_printed_as_its_tree_and_says_what_has_not_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&dir.path().join("data"), &[]).await;
    let id = "ab".repeat(16);

    let said = up.duet("trace", &[&id, "--wait", "0"]);
    assert_eq!(said.code, Some(7), "{said:?}");

    let request = span(
        REQUEST,
        None,
        "PUT /v1/posts/{post}",
        SpanKind::Server,
        0..4,
    );
    let send = span(
        SEND,
        Some(REQUEST),
        "send duet.reactions",
        SpanKind::Producer,
        1..3,
    );
    export(&up, "reaction", vec![send, request]).await;
    let said = up.duet("trace", &[&id, "--wait", "0"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout
            .contains("nothing has arrived below send duet.reactions PRODUCER"),
        "{said:?}"
    );

    let mut process = span(
        PROCESS,
        Some(SEND),
        "process duet.reactions",
        SpanKind::Consumer,
        5..7,
    );
    process.status = Some(Status {
        code: StatusCode::Error.into(),
        message: "full".into(),
    });
    process.links.push(Link {
        trace_id: vec![0xcd; 16],
        span_id: vec![9; 8],
        ..Default::default()
    });
    export(&up, "notification", vec![process]).await;
    let expected = format!(
        "\
trace {id}
PUT /v1/posts/{{post}}          SERVER    reaction         4.0 ms
 └ send duet.reactions        PRODUCER  reaction         2.0 ms
    └ process duet.reactions  CONSUMER  notification     2.0 ms  ERROR: full
      ~ linked to trace {} (span 0909090909090909)
{}/trace/{id}
",
        "cd".repeat(16),
        up.told()["jaeger"].as_str().unwrap()
    );
    assert_eq!(up.duet("trace", &[&id]).stdout, expected);
    assert_eq!(up.duet("trace", &["--last"]).stdout, expected);
}

#[tokio::test]
async fn jaegers_pages_are_served_at_the_address_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&dir.path().join("data"), &[]).await;
    let jaeger = up.told()["jaeger"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/", "/search", "/trace/abababababababababababababababab"] {
        let answer = http.get(format!("{jaeger}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("<title>Jaeger UI</title>"),
            "{path}"
        );
    }
}
