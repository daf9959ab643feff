//! Notification over real HTTP, with a real Reaction that sends to it.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

mod alone;
mod app;
mod document;
mod intake;
mod notifications;
mod position;
mod preferences;
mod read;
mod refused;
mod stream;
mod told;
