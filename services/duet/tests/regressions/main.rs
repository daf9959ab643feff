//! Stores that are restored from a copy, lost, or new under an old name: noticed, told, and healed by `duet resync` while traffic runs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// Each damage, in both modes, from its beginning to its end.
mod healed;
/// A store's file, as an administrator treats it.
mod stores;

#[path = "../common/mod.rs"]
mod common;
#[path = "../rows/mod.rs"]
mod rows;
