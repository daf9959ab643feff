//! The inboxes of post owners: applies each event once.

/// The service put together.
mod app;
/// What a process is started with.
mod config;
/// Groups of reactions and what an event tells: no HTTP, no tables.
pub mod domain;
/// What the store need not keep for ever.
mod housekeeping;
/// The public port.
pub mod routes;
/// The service as the channel sees it.
pub mod service;
/// The service's own tables.
pub mod store;
/// A user's notifications as they change.
pub mod stream;

pub use app::{run, run_until};
pub use config::Config;
pub use duet_web::service::Error;
pub use routes::document as openapi;
