//! Reaction over real HTTP.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

mod app;
mod deliveries;
mod document;
mod posts;
mod process;
mod reactions;
mod refused;
