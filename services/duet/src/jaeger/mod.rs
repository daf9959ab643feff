//! Traces: Jaeger's query API, and the tree that is printed. The same API answers in `duet up` and in a cluster.

mod client;
mod model;
mod tree;

/// The service that callers' requests reach first.
pub(crate) const FIRST: &str = "reaction";

/// Asks a query API.
pub(crate) use client::Jaeger;
/// A trace as the API tells it.
pub(crate) use model::{Kind as SpanKind, Trace, TraceId};
/// A trace as it is printed.
pub(crate) use tree::Tree;
