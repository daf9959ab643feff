//! The posts with most reactions in the last hour, by kind: a second receiver of Reaction's events.

/// The service put together.
mod app;
/// What a process is started with.
mod config;
/// The public port.
mod routes;
/// The service as the channel sees it: what an event changes, and what the passing of time does.
mod service;
/// What stands of the last hour, counted as it changes.
mod tally;

pub use app::{run, run_until};
pub use config::Config;
pub use duet_web::service::Error;
pub use routes::document as openapi;
pub use service::AUDIT;
pub use tally::MIGRATIONS;
