//! `duet bench` measures the real pair, and refuses what it can't measure.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn bench(data_dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duet"))
        .args(["bench", "throughput", "--data-dir"])
        .arg(data_dir)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn throughput_measures_both_modes_beside_the_baseline_and_counts_both_stores() {
    // On the disk that the build is on: the system's directory for temporary files may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let short = "--duration 1 --warm-up 1 --rounds 1 --connections 8 --posts 20 --json";
    let output = bench(dir.path(), &short.split(' ').collect::<Vec<_>>());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert!(
        report["terms"]["disk"]["flushMicros"].as_f64() > Some(0.0),
        "{report:#}"
    );
    let modes: Vec<_> = report["modes"].as_array().unwrap().iter().collect();
    for (mode, (name, status)) in modes.iter().zip([("Sync", "200"), ("Async", "202")]) {
        assert_eq!(mode["mode"], name);
        let (stored, answered) = (mode["stored"].as_u64(), mode["statuses"][status].as_u64());
        assert!(stored > answered && answered > Some(0), "{mode:#}");
        assert!(mode["ratio"]["median"].as_f64() > Some(0.0), "{mode:#}");
        for process in ["reaction", "notification", "nats", "duet up"] {
            assert!(mode["cpuMicros"][process].is_object(), "{mode:#}");
        }
    }
    assert_eq!(modes.len(), 2);
    let left: Vec<_> = dir.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_directory_that_is_no_directory_is_refused() {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = bench(file.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(file.path().to_str().unwrap()), "{errors}");
}
