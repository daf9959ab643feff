//! Posts and reactions: accepts, stores, and sends an event for each.

/// The service put together.
mod app;
/// What a process is started with.
mod config;
/// Posts, reactions and what is told of them: no HTTP, no tables.
pub mod domain;
/// Drops undone rows that nothing needs any more.
mod housekeeping;
/// The public port.
pub mod routes;
/// The service as the channel sees it.
pub mod service;
/// What the process tells of the channel.
mod status;
/// The service's own tables.
pub mod store;
/// What the store tells of a pair.
mod why;

pub use app::{Error, run, run_until};
pub use config::{Config, Loss, Receiver};
pub use routes::document as openapi;
