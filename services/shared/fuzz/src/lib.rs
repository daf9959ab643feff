//! What comes from outside, decoded: each target takes any bytes, and panics if a decoder does, or if what it took does not come back
//! the same from its encoder.
//!
//! `tests/corpus.rs` runs every target over the committed corpus and what chance makes of it, in `make test`; `make fuzz` has libFuzzer
//! look for more (`tests/libfuzzer.rs`).
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is what a target finds"
)]

mod cursors; // positions in a list, as callers give them back
mod events; // what senders deliver
mod headers; // what callers say beside their request
mod receipts; // what receivers tell
mod settings; // Channel documents, and what is in them

pub use cursors::{Of, cursors};
pub use events::events;
pub use headers::headers;
pub use receipts::receipts;
pub use settings::settings;

/// What takes any bytes.
pub type Target = fn(&[u8]);

/// Every target: its name, which is its corpus' too, and what it does.
pub const TARGETS: &[(&str, Target)] = &[
    ("events", events),
    ("receipts", receipts),
    ("settings", settings),
    ("cursors", cursors),
    ("headers", headers),
];

/// The first byte says which of a target's decoders the rest is for.
fn split(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, &[]), |(first, rest)| (*first, rest))
}
