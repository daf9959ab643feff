//! Every decoder takes what is in the corpus, and what chance makes of it. `FUZZ=n` tries n inputs of chance for each target, `SEED=n`
//! others.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use duet_fuzz::{TARGETS, Target};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

fn variable(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |value| value.parse().unwrap())
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let at = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = fs::read_dir(at).unwrap();
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn takes(name: &str, target: Target, input: &[u8]) {
    let taken = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(
        taken.is_ok(),
        "{name} fails over {:?}",
        input.escape_ascii().to_string()
    );
}

/// A change such as a stray byte, a cut or a mixture makes.
fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut StdRng) {
    let at = dice.random_range(0..=input.len());
    match dice.random_range(0..6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..(at + dice.random_range(0..24)).min(input.len()))),
        2 if at < input.len() => input[at] = dice.random(),
        3 if at < input.len() => input[at] ^= 1 << dice.random_range(0..8),
        4 => drop(input.splice(at..at, (0..dice.random_range(0..8)).map(|_| b'9'))),
        _ => {
            let from = dice.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

#[test]
fn every_decoder_takes_the_corpus_and_what_chance_makes_of_it() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 4, "{name} has a corpus");
        for input in &corpus {
            takes(name, *target, input);
        }
        let mut dice = StdRng::seed_from_u64(variable("SEED", 0));
        for _ in 0..variable("FUZZ", 2_000) {
            let mut input = corpus.choose(&mut dice).unwrap().clone();
            for _ in 0..dice.random_range(1..5) {
                let other = corpus.choose(&mut dice).unwrap();
                change(&mut input, other, &mut dice);
            }
            takes(name, *target, &input);
        }
    }
}
