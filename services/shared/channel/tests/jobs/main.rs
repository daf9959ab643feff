//! Work that takes longer than a message or a call may, and what could not be applied: run, cut short, redriven and discarded.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

mod end; // the receiver of these tests
mod killed;
mod letters;
mod long;
mod told;

mod work;
