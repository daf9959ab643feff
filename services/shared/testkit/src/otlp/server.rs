//! OTLP over gRPC and over HTTP, at one address.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use tonic::{Request, Response as Answer, Status};

use super::{
    log::{self, LogLine},
    metric::{self, Point},
    span::{self, Span},
};

/// Exporters send up to 512 spans at once, each with up to 512 links.
const LARGEST_EXPORT: usize = 32 << 20;
const PROTOBUF: &str = "application/x-protobuf";

/// What came, in order of arrival.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) spans: Vec<Span>,
    pub(super) points: Vec<Point>,
    pub(super) log_lines: Vec<LogLine>,
    pub(super) exports: Vec<Export>,
}

/// One export, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its path: `/v1/traces` and the like; of gRPC the service's.
    pub path: String,
    /// Its headers, in gRPC its metadata.
    pub headers: BTreeMap<String, String>,
}

impl Received {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn export(&self, path: &str, headers: &HeaderMap) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        kept.exports.push(Export {
            path: path.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
        });
        kept
    }
}

pub(super) fn app(received: &Received) -> Router {
    let of = |received: &Received| received.clone();
    let spans = TraceServiceServer::new(of(received)).max_decoding_message_size(LARGEST_EXPORT);
    let grpc = tonic::service::Routes::new(spans)
        .add_service(MetricsServiceServer::new(of(received)))
        .add_service(LogsServiceServer::new(of(received)));
    let http = Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(metrics))
        .route("/v1/logs", post(logs))
        .layer(DefaultBodyLimit::max(LARGEST_EXPORT))
        .with_state(received.clone());
    http.merge(grpc.into_axum_router())
}

/// As the specification has it: protobuf in, protobuf out.
fn answered<Q: Message + Default, A: Message + Default>(
    headers: &HeaderMap,
    body: Bytes,
    keep: impl FnOnce(Q),
) -> Response {
    if headers.get(CONTENT_TYPE).is_none_or(|it| it != PROTOBUF) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match Q::decode(body) {
        Ok(request) => {
            keep(request);
            ([(CONTENT_TYPE, PROTOBUF)], A::default().encode_to_vec()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn traces(State(to): State<Received>, headers: HeaderMap, body: Bytes) -> Response {
    answered::<_, ExportTraceServiceResponse>(&headers, body, |request| {
        to.export("/v1/traces", &headers)
            .spans
            .extend(span::all(request));
    })
}

async fn metrics(State(to): State<Received>, headers: HeaderMap, body: Bytes) -> Response {
    answered::<_, ExportMetricsServiceResponse>(&headers, body, |request| {
        to.export("/v1/metrics", &headers)
            .points
            .extend(metric::all(request));
    })
}

async fn logs(State(to): State<Received>, headers: HeaderMap, body: Bytes) -> Response {
    answered::<_, ExportLogsServiceResponse>(&headers, body, |request| {
        to.export("/v1/logs", &headers)
            .log_lines
            .extend(log::all(request));
    })
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Answer<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut kept = self.export("TraceService", &metadata.into_headers());
        kept.spans.extend(span::all(request));
        Ok(Answer::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Answer<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut kept = self.export("MetricsService", &metadata.into_headers());
        kept.points.extend(metric::all(request));
        Ok(Answer::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Answer<ExportLogsServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut kept = self.export("LogsService", &metadata.into_headers());
        kept.log_lines.extend(log::all(request));
        Ok(Answer::new(ExportLogsServiceResponse::default()))
    }
}
