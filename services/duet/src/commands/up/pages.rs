//! The OTLP receiver and Jaeger's pages, in this process: what a cluster has, a laptop has too.

use axum::{http::StatusCode, response::Response};
use otlp_embedded::{
    Config, State, StateRef, TraceService, TraceServiceImpl, TraceServiceServer,
    proto::{
        collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
        common::v1::{AnyValue, KeyValue, any_value::Value},
        trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
    },
    ui_app,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Status, transport::server::TcpIncoming};

/// What is kept, the latest of it: minutes of the default sampling, some 20 KB each.
const TRACES: u32 = 5_000;
/// Exporters send up to 512 spans at once, each with up to 512 links.
const LARGEST_EXPORT: usize = 32 << 20;

/// Both servers, until dropped.
#[derive(Debug)]
pub(super) struct Pages {
    _http: AbortOnDropHandle<()>,
    _otlp: AbortOnDropHandle<()>,
}

/// Serves the pages on the first socket and takes spans on the second.
pub(super) fn serve((pages, spans): (TcpListener, TcpListener)) -> Pages {
    let state = latest(TRACES);
    let collector = Collector(TraceServiceImpl::new(state.clone()));
    let service = TraceServiceServer::new(collector).max_decoding_message_size(LARGEST_EXPORT);
    let otlp = tokio::spawn(async move {
        let incoming = TcpIncoming::from(spans);
        let server = tonic::transport::Server::builder().add_service(service);
        if let Err(error) = server.serve_with_incoming(incoming).await {
            eprintln!("duet: spans are not taken any more: {error}");
        }
    });
    let app = ui_app(state, "/").layer(axum::middleware::map_response(page));
    let http = tokio::spawn(async move {
        if let Err(error) = axum::serve(pages, app).await {
            eprintln!("duet: Jaeger's pages are not served any more: {error}");
        }
    });
    Pages {
        _http: AbortOnDropHandle::new(http),
        _otlp: AbortOnDropHandle::new(otlp),
    }
}

/// Keeps so many traces. They alone are the bound: once otlp-embedded's own count of bytes is over a limit it never goes down
/// again, and nothing would be kept any more.
fn latest(traces: u32) -> StateRef {
    State::new(Config {
        max_length: traces,
        max_memory_usage: usize::MAX,
    })
}

/// otlp-embedded answers its pages' own addresses with the page and a 307 that leads nowhere.
async fn page(mut response: Response) -> Response {
    if response.status() == StatusCode::TEMPORARY_REDIRECT {
        *response.status_mut() = StatusCode::OK;
    }
    response
}

/// Takes spans, and says as Jaeger's tags what otlp-embedded leaves out of them: kind, status, process.
struct Collector(TraceServiceImpl);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        mut request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        for resource in &mut request.get_mut().resource_spans {
            let attributes = &mut resource.resource.get_or_insert_default().attributes;
            let named = |key: &str| attributes.iter().find(|it| it.key == key).cloned();
            // Processes are told apart by this alone.
            if let (None, Some(name)) = (named("service.instance.id"), named("service.name")) {
                attributes.push(KeyValue {
                    key: "service.instance.id".to_owned(),
                    ..name
                });
            }
            for scope in &mut resource.scope_spans {
                scope
                    .spans
                    .retain(|span| span.trace_id.len() == 16 && span.span_id.len() == 8);
                scope.spans.iter_mut().for_each(annotate);
            }
        }
        self.0.export(request).await
    }
}

fn annotate(span: &mut Span) {
    let kind = match span.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let tag = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    };
    let text = |value: &str| Value::StringValue(value.to_owned());
    let mut tags = vec![tag("span.kind", text(kind))];
    // As the OpenTelemetry specification maps a status for Jaeger.
    let status = span.status.clone().unwrap_or_default();
    match status.code() {
        SpanStatus::Unset => {}
        SpanStatus::Ok => tags.push(tag("otel.status_code", text("OK"))),
        SpanStatus::Error => {
            tags.push(tag("otel.status_code", text("ERROR")));
            tags.push(tag("error", Value::BoolValue(true)));
            if !status.message.is_empty() {
                tags.push(tag("otel.status_description", text(&status.message)));
            }
        }
    }
    span.attributes.extend(tags);
    // Clocks may step back; otlp-embedded takes one from the other.
    span.end_time_unix_nano = span.end_time_unix_nano.max(span.start_time_unix_nano);
}

#[cfg(test)]
mod tests {
    use otlp_embedded::proto::resource::v1::Resource;
    use otlp_embedded::proto::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    #[tokio::test]
    async fn the_latest_traces_are_kept_however_many_came_before() {
        const KEPT: u32 = 50;
        let state = latest(KEPT);
        let collector = Collector(TraceServiceImpl::new(state.clone()));
        for trace in 0..u128::from(KEPT) * 20 {
            let span = |id: u64, parent: &[u8]| Span {
                trace_id: trace.to_be_bytes().to_vec(),
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: parent.to_vec(),
                name: "x".repeat(1_000),
                ..Span::default()
            };
            let root = span(1, &[]);
            let child = span(2, &root.span_id);
            // The two come apart, as from two processes.
            for span in [child, root] {
                let request = ExportTraceServiceRequest {
                    resource_spans: vec![ResourceSpans {
                        resource: Some(Resource::default()),
                        scope_spans: vec![ScopeSpans {
                            spans: vec![span],
                            ..ScopeSpans::default()
                        }],
                        ..ResourceSpans::default()
                    }],
                };
                collector.export(Request::new(request)).await.unwrap();
            }
        }
        let state = state.read().await;
        assert_eq!(state.len(), KEPT as usize);
        assert_eq!(state.get_all_complete().count(), KEPT as usize);
    }
}
