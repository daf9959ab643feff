//! Log lines.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use serde_json::Value;

use super::value::{attributes, hex, value};

/// One log line as it was exported.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// `INFO`, `WARN`…
    pub severity: String,
    /// What it says.
    pub body: Value,
    /// 32 hex digits; empty if it belongs to no trace.
    pub trace_id: String,
    /// 16 hex digits; empty if it belongs to no span.
    pub span_id: String,
    /// What is said besides.
    pub attributes: BTreeMap<String, Value>,
    /// The part of the program that wrote it.
    pub target: String,
    /// What is said of the process that wrote it.
    pub resource: BTreeMap<String, Value>,
}

pub(super) fn all(request: ExportLogsServiceRequest) -> impl Iterator<Item = LogLine> {
    request.resource_logs.into_iter().flat_map(|resource| {
        let of = attributes(resource.resource.unwrap_or_default().attributes);
        resource.scope_logs.into_iter().flat_map(move |scope| {
            let target = scope.scope.unwrap_or_default().name;
            let of = of.clone();
            scope.log_records.into_iter().map(move |record| LogLine {
                severity: record.severity_text,
                body: record.body.map_or(Value::Null, value),
                trace_id: hex(&record.trace_id),
                span_id: hex(&record.span_id),
                attributes: attributes(record.attributes),
                target: target.clone(),
                resource: of.clone(),
            })
        })
    })
}
