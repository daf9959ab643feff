//! What both HTTP sides share: how a request is read, how a problem is answered, how a process starts, drains and stops.

/// Ids and titles: checked once, at the edge.
pub mod ids;
/// RFC 9457 problem details: the only place that makes them.
pub mod problem;

/// Request bodies: strict JSON within a size.
pub mod body;
/// Opaque positions in a list.
pub mod cursor;
/// `/openapi.json`, and the page to try it out.
pub mod docs;
/// What every OpenAPI document here has in common.
pub mod openapi;
/// Lists: `?cursor=…&limit=…` in, `{items, next}` out.
pub mod page;
/// `Duet-Position`: a read that sees what its caller wrote.
pub mod position;
/// RFC 7240's `Prefer`.
pub mod prefer;
/// What an event about a reaction tells.
pub mod reaction_event;
/// Resources by path and method; anything else is a problem too.
pub mod routes;
/// Times as RFC 3339 text.
pub mod time;
/// What a caller may believe: after an answer, and without one.
pub mod told;
/// A SERVER span, its headers and its metric for each request.
pub mod trace;
pub mod why;
/// Numbers in sentences.
pub mod words;

/// The two ports, taken before anything starts.
pub mod ports;
/// The HTTP server on a port.
pub mod server;

/// The internal port's `/v1/channel`.
pub mod channel;
/// What the internal port tells of what could not be applied, and is asked about it.
pub mod dead_letters;
/// Stopping in order: not ready, drain, stop accepting, finish.
pub mod drain;
/// The internal port's `/livez`, `/readyz`, `/version` and `/metrics`.
pub mod health;
/// One service's process, from its ports to its end.
pub mod process;
/// A service on one side of a Channel, put together.
pub mod service;
/// The tasks that a process owns.
pub mod tasks;

pub use problem::{Kind, Problem};
