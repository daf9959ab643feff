//! Power cuts, and disks that are full, read-only or fail: what was answered is kept, at both ends of a channel. SQLite runs over a
//! file layer that forgets what was not synced (`vfs.rs`, `disk.rs`).
//!
//! `CUTS=n` cuts the power so often in each test, `SEED=n` begins with other chances.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

mod disk;
mod pair; // a sender and a receiver
mod store; // one store
#[path = "../taking/mod.rs"]
mod taking; // where receivers take calls
mod vfs;

use std::path::Path;

use duet_protocol::event::Key;

fn variable(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |value| value.parse().unwrap())
}

fn key(number: u32) -> Key {
    Key::new(number.to_string()).unwrap()
}

/// A disk of its own, at a directory that is made.
fn disk(at: &Path, seed: u64) -> std::sync::Arc<disk::Disk> {
    vfs::install();
    std::fs::create_dir_all(at).unwrap();
    disk::Disk::mount(at, variable("SEED", 0).wrapping_mul(1_000_003) ^ seed)
}
