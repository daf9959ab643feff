//! The machines in the composition that the shell runs, against a model of broker and network that lose, repeat, reorder, delay and
//! forget, with crashes, restored stores and switches under way. One seed decides all of a run.
//!
//! `SEEDS=n` runs more seeds, `FROM=x` begins at that one, `SEED=x` repeats one and prints what happened.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the run itself is timed, and its size comes from the environment"
)]

mod acting;
mod actions;
mod broker;
mod carrying;
mod checks;
mod dice;
mod faults;
mod happening;
mod ledger;
mod letters;
mod model;
mod names;
mod outcomes;
mod plan;
mod receiving;
mod resting;
mod resyncing;
mod rules;
mod sending;
mod tables;
mod transactions;
mod witness;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use duet_protocol::rules::Rules;

use crate::faults::Fault;
use crate::world::{Run, World};

const THREADS: u64 = 2;
const SEEDS: u64 = 2_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What all seeds of a run came to.
struct Total {
    struck: [u64; Fault::ALL.len()],
    told: [u64; 4],
    noticed: u64,
    resyncs: u64,
    /// What tells runs apart that went another way: for one who makes the simulation quicker.
    way: u64,
    failed: Option<(u64, String)>,
}

impl Total {
    fn nothing() -> Self {
        Total {
            struck: [0; Fault::ALL.len()],
            told: [0; 4],
            noticed: 0,
            resyncs: 0,
            way: 0,
            failed: None,
        }
    }

    fn add(&mut self, seed: u64, run: Run) {
        for (total, struck) in self.struck.iter_mut().zip(run.faults.struck) {
            *total += struck;
        }
        for (total, told) in self.told.iter_mut().zip(run.told) {
            *total += told;
        }
        self.noticed += u64::from(run.noticed);
        self.resyncs += run.resyncs;
        self.way ^= run.way;
        if let Err(violation) = run.result
            && self.failed.as_ref().is_none_or(|(first, _)| seed < *first)
        {
            self.failed = Some((seed, violation));
        }
    }

    fn merge(mut self, other: Total) -> Total {
        for (total, struck) in self.struck.iter_mut().zip(other.struck) {
            *total += struck;
        }
        for (total, told) in self.told.iter_mut().zip(other.told) {
            *total += told;
        }
        self.noticed += other.noticed;
        self.resyncs += other.resyncs;
        self.way ^= other.way;
        self.failed = self.failed.into_iter().chain(other.failed).min();
        self
    }
}

/// Runs seeds until all are done or one fails.
fn run_seeds(seeds: std::ops::Range<u64>, rules: &Arc<Rules>) -> Total {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut total = Total::nothing();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return total;
            }
            let run = || World::run(seed, rules.clone(), false);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(run) => total.add(seed, run),
                Err(_) => total.failed = Some((seed, "it panicked".to_owned())),
            }
            if total.failed.is_some() {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let totals = threads.into_iter().filter_map(|thread| thread.join().ok());
        totals.fold(Total::nothing(), Total::merge)
    })
}

/// Repeats a seed with its log.
fn replay(seed: u64, rules: Arc<Rules>, last: usize) -> Result<(), String> {
    let run = World::run(seed, rules, true);
    for line in &run.log[run.log.len().saturating_sub(last)..] {
        println!("{line}");
    }
    run.result
}

#[test]
fn what_is_accepted_arrives_once_whatever_happens() {
    if let Some(seed) = variable("SEED") {
        let result = replay(seed, Arc::default(), usize::MAX);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        return;
    }
    let seeds = variable("SEEDS").unwrap_or(SEEDS);
    let from = variable("FROM").unwrap_or(0);
    let (rules, began) = (Arc::<Rules>::default(), Instant::now());
    let total = run_seeds(from..from + seeds, &rules);
    if let Some((seed, violation)) = total.failed {
        println!("{violation}\nSEED={seed} repeats it");
        let _ = replay(seed, Arc::default(), 60);
        panic!("{violation}\nSEED={seed} repeats it");
    }
    let took = began.elapsed();
    println!(
        "{seeds} seeds from {from} on in {took:.1?}, {:.0} a second and core",
        seeds as f64 / took.as_secs_f64() / THREADS as f64
    );
    println!(
        "told delivered, accepted, failed, unknown: {:?}",
        total.told
    );
    println!(
        "regressions noticed: {}, healed by {} resyncs; the way of all: {:016x}",
        total.noticed, total.resyncs, total.way
    );
    let faults = Fault::ALL
        .iter()
        .map(|fault| (format!("{fault:?}"), total.struck[*fault as usize]));
    let strikes: Vec<(String, u64)> = rules
        .strikes()
        .map(|(rule, struck)| (rule.label().to_owned(), struck))
        .collect();
    let mut never = Vec::new();
    for (name, struck) in faults.chain(strikes) {
        println!("{struck:>12}  {name}");
        if struck == 0 {
            never.push(name);
        }
    }
    assert!(never.is_empty() || seeds < SEEDS, "never struck: {never:?}");
}
