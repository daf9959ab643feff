//! How many instructions the machines take for a commit group, which no other process on the machine changes: `make counts`.
//!
//! Without a case to do, this runs itself under valgrind's callgrind for each, and compares what that counted with `counts.txt`, which
//! is committed: more than a tenth above it fails. With `UPDATE=1` it writes the file anew.

#![allow(
    clippy::disallowed_methods,
    reason = "it reads and writes counts, outside the machines"
)]

mod steps;
#[allow(dead_code)]
#[path = "../tests/simulation/tables/mod.rs"]
mod tables;
#[allow(dead_code)]
#[path = "../tests/simulation/witness.rs"]
mod witness;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::process::{Command, ExitCode};

/// So much above what is committed is too much. A compiler or an allocator of another version moves counts by less.
const MOST: f64 = 1.10;
const COMMITTED: &str = include_str!("counts.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// Only what happens in here is counted.
#[inline(never)]
fn counted<P, D>(prepared: P, done: impl FnOnce(P) -> D) -> D {
    black_box(done(black_box(prepared)))
}

macro_rules! cases {
    ($($name:literal: $of:ident::$prepared:ident,)*) => {
        const CASES: &[&str] = &[$($name),*];

        fn case(name: &str) -> bool {
            match name {
                $($name => drop(counted(steps::$of::$prepared(), steps::$of::done)),)*
                _ => return false,
            }
            true
        }
    };
}

cases! {
    "accept": accepting::prepared,
    "receive": receiving::prepared,
    "receive-with-gaps": receiving::with_gaps,
    "record-a-receipt": recording::prepared,
    "track": tracking::prepared,
    "tell-receipts": telling::prepared,
}

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|name| case(&name)) {
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!(
            "There is no valgrind here, so instructions were NOT counted (Debian: apt-get install valgrind)."
        );
        // On a laptop the rest still counts; where the counts are to be compared, nobody would look.
        return match std::env::var_os("CI") {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    match counts() {
        Ok(counts) if std::env::var_os("UPDATE").is_some_and(|it| !it.is_empty()) => write(&counts),
        Ok(counts) => compare(&counts),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What callgrind counted, by case.
fn counts() -> Result<BTreeMap<&'static str, u64>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let count = |name: &&'static str| {
        let ran = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .args(["--collect-atstart=no", "--toggle-collect=counts::counted*"])
            .arg(&own)
            .arg(name)
            .output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let collected = said.lines().find_map(|line| {
            let (_, count) = line.split_once("Collected :")?;
            count.trim().parse().ok()
        });
        let collected = collected.filter(|count| ran.status.success() && *count > 0);
        let count = collected.ok_or_else(|| format!("{name} was not counted:\n{said}"))?;
        Ok((*name, count))
    };
    CASES.iter().map(count).collect()
}

fn write(counts: &BTreeMap<&str, u64>) -> ExitCode {
    let mut text = format!(
        "# Instructions for {} events, by callgrind: make counts UPDATE=1\n",
        steps::GROUP
    );
    for (name, count) in counts {
        // Writing into memory doesn't fail.
        let _ = writeln!(text, "{name} {count}");
    }
    match std::fs::write(FILE, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can't write {FILE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(counts: &BTreeMap<&str, u64>) -> ExitCode {
    let committed: BTreeMap<&str, u64> = COMMITTED
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut worse = false;
    println!("instructions for {} events", steps::GROUP);
    for (name, count) in counts {
        let told = match committed.get(name) {
            Some(before) => {
                let ratio = *count as f64 / *before as f64;
                worse |= ratio > MOST;
                let mark = if ratio > MOST { " TOO MANY" } else { "" };
                format!("{ratio:.3} of {before}{mark}")
            }
            None => {
                worse = true;
                "not in counts.txt: make counts UPDATE=1".to_owned()
            }
        };
        println!("{name:<20} {count:>10}  {told}");
    }
    match worse {
        false => ExitCode::SUCCESS,
        true => {
            eprintln!(
                "More than {MOST} times as many as is committed in {FILE}: find out why, or commit the new counts (make counts UPDATE=1)."
            );
            ExitCode::FAILURE
        }
    }
}
