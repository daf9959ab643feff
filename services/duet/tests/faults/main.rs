//! Bad input from files, ports and disks, callers that hang up, and ends that hang or are gone.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// Callers that hang up while their call is under way.
mod callers;
/// An end that hangs or is gone.
mod outages;
/// Channel files that can't be right.
mod settings;
/// What a service needs to start, and does not have.
mod start;

#[path = "../rows/mod.rs"]
mod rows;

use duet_testkit::{Mode, Pair};

const DUET: &str = env!("CARGO_BIN_EXE_duet");

/// A pair in `Async` whose broker gives out again soon what a process had taken that was killed.
async fn in_async() -> Pair {
    Pair::builder(DUET, Mode::Async)
        .channel("ackWait: 30s", "ackWait: 1s")
        .start()
        .await
}
