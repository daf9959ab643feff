//! Dead letters as whoever runs the pair sees them: events that a receiver can't apply, by `duet dead-letters` and by HTTP, on real
//! processes. What fails is real too: `spec.faults` says that nothing can be applied.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod stage;

/// From the first failure to the last letter that is applied.
mod story;

/// What a redrive meets: events that fail again, another redrive, a cancel, the end of its process.
mod redrives;

/// Many of them, page by page, and what is refused.
mod pages;

/// As many as are kept: what more there is stays with the sender.
mod full;

/// A second receiver has its own.
mod receivers;
