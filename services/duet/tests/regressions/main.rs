//! Stores that are restored from a copy, lost, or new under an old name: noticed, told, and healed by `duet resync` while traffic runs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// Each damage, in both modes, from its beginning to its end.
mod healed;
/// A resync that is interrupted, asked for twice, refused, or only previewed.
mod resync;
/// A second receiver beside the first.
mod second_receiver;
/// What the services tell meanwhile.
mod told;

#[path = "../common/mod.rs"]
mod common;
#[path = "../rows/mod.rs"]
mod rows;
#[path = "../stores/mod.rs"]
mod stores;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const CALLERS: usize = 16;
const PER_SECOND: u32 = 200;
/// Changes accepted before a backup, and after it, and so on.
const SOME: usize = 60;
