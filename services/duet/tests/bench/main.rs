//! `duet bench` measures the real pair, and refuses what it can't measure. Nothing here says how fast anything is.

#![allow(clippy::unwrap_used)]

mod questions; // each measured for a moment
mod refusals; // what can't be measured

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn bench(question: &str, data_dir: &Path, more: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duet"))
        .args(["bench", question, "--data-dir"])
        .arg(data_dir)
        .args(more.split_whitespace())
        .output()
        .unwrap()
}

/// On the disk that the build is on: the system's directory for temporary files may be memory.
fn on_disk() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Measures one round and leaves nothing behind. What all reports have in common holds.
fn measured(question: &str, short: &str) -> Value {
    let dir = on_disk();
    let output = bench(question, dir.path(), &format!("{short} --rounds 1 --json"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let left: Vec<_> = dir.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["question"], question);
    assert_eq!(report["terms"]["rounds"], 1);
    let flush = report["terms"]["disk"]["flushMicros"].as_f64();
    assert!(flush > Some(0.0), "{report:#}");
    for goal in report["goals"].as_array().unwrap() {
        let bounds = [&goal["atMost"], &goal["atLeast"]];
        let one = bounds.iter().filter(|it| it.is_number()).count() == 1;
        assert!(
            one && goal["met"].is_boolean() && goal["of"].is_string(),
            "{goal:#}"
        );
    }
    report
}

/// The median of a figure in the row of this name.
fn median(rows: &Value, name: &str, figure: &str) -> f64 {
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == name);
    let row = row.unwrap_or_else(|| panic!("{name} in {rows:#}"));
    row[figure]["median"]
        .as_f64()
        .unwrap_or_else(|| panic!("{figure} in {row:#}"))
}

fn positive(rows: &Value, name: &str, figures: &[&str]) {
    for figure in figures {
        assert!(
            median(rows, name, figure) > 0.0,
            "{figure} of {name}: {rows:#}"
        );
    }
}

fn goals(report: &Value) -> Vec<&str> {
    let goals = report["goals"].as_array().unwrap();
    goals.iter().map(|it| it["of"].as_str().unwrap()).collect()
}
