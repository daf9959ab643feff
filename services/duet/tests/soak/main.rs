//! The proof from outside (`make soak`): the real services and broker, with a link between each two of them that can be spoiled, callers
//! that collide on a few pairs, and in one run everything that can fail, by chance. In the end a judge that shares no code with Duet
//! (`duet-history`) says whether what callers were told is true, and whether each end holds and shows the same.
//!
//! `MINUTES`, `SEED` and `KILLS` come from the environment: with `KILLS` the run ends after so many kills, each as soon as its victim is
//! back, with a switch, a join, a resync or a restored store among them now and then. A seed decides what is done and asked; when exactly,
//! the machine does.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// Who asks, all the time, and what each was told.
mod callers;
/// What can go wrong.
mod fault;
/// Stores that are put back as they were, and what makes all fit again.
mod healing;
/// What is compared when all is well again.
mod outcome;
/// One run: what goes wrong when.
mod run;
/// Event streams, and what they tell.
mod streams;

#[path = "../common/mod.rs"]
mod common;
#[path = "../rows/mod.rs"]
mod rows;
#[path = "../stores/mod.rs"]
mod stores;

use run::{Plan, Run};
use std::{io::Write, time::Duration};

/// Minutes, where nothing else is said.
const MINUTES: f64 = 1.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, and Toxiproxy: make soak"]
async fn whatever_fails_every_caller_was_told_the_truth() {
    let seed = setting("SEED").unwrap_or_else(rand::random::<u32>);
    let minutes = setting("MINUTES").unwrap_or(MINUTES);
    let plan = match setting("KILLS") {
        Some(kills) => Plan::Kills(kills),
        None => Plan::Everything(Duration::from_secs_f64(60.0 * minutes)),
    };
    say(&format!("soak: SEED={seed}, {plan:?}"));
    let run = Run::start(seed).await;
    let ended = run.carry_out(plan).await;
    let explained = outcome::judge(ended).await;
    say(&format!(
        "soak: SEED={seed}: {explained}; lost 0, doubled 0"
    ));
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|it| !it.is_empty())?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name}={text} is no number that can be used")))
}

/// Says it even where the output of tests that pass is not shown: what was done is part of the result.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
