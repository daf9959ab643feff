//! What an exporter sends is what a test reads.

use duet_testkit::{Kind, OtlpReceiver, Status, drawn};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, span, status},
};

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..Default::default()
    }
}

fn export(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", service)],
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                spans,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

#[tokio::test]
async fn a_trace_of_two_services_is_drawn_as_one_tree() {
    let receiver = OtlpReceiver::start().await;
    let mut client = TraceServiceClient::connect(receiver.endpoint())
        .await
        .unwrap();
    let server = Span {
        trace_id: vec![1; 16],
        span_id: vec![3; 8],
        parent_span_id: vec![2; 8],
        name: "POST /v1/events".into(),
        kind: span::SpanKind::Server.into(),
        status: Some(wire_error("no room")),
        attributes: vec![text("duet.outcome", "refused")],
        links: vec![span::Link {
            trace_id: vec![9; 16],
            span_id: vec![8; 8],
            ..Default::default()
        }],
        ..Default::default()
    };
    let root = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "PUT /v1/posts/{post}".into(),
        kind: span::SpanKind::Client.into(),
        ..Default::default()
    };
    // Processes export when they like: the child may come first.
    client
        .export(export("notification", vec![server]))
        .await
        .unwrap();
    client.export(export("reaction", vec![root])).await.unwrap();

    let trace = receiver.trace(&"01".repeat(16));
    assert_eq!(
        drawn(&trace),
        "reaction: PUT /v1/posts/{post} CLIENT\n  notification: POST /v1/events SERVER\n"
    );
    let refused = trace.iter().find(|span| span.kind == Kind::Server).unwrap();
    assert_eq!(refused.status, Status::Error("no room".into()));
    assert_eq!(refused.attributes["duet.outcome"], "refused");
    assert_eq!(refused.links[0].trace_id, "09".repeat(16));
}

fn wire_error(message: &str) -> opentelemetry_proto::tonic::trace::v1::Status {
    opentelemetry_proto::tonic::trace::v1::Status {
        code: status::StatusCode::Error.into(),
        message: message.into(),
    }
}
