//! What can't be measured is refused with its reason, and nothing is reported.

use super::{bench, on_disk};

#[test]
fn a_directory_that_is_no_directory_is_refused() {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for question in [
        "throughput",
        "latency",
        "switch",
        "surge",
        "outage",
        "volume",
        "memory",
    ] {
        let output = bench(question, file.path(), "");
        assert_eq!(output.status.code(), Some(1), "{question}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(file.path().to_str().unwrap()), "{errors}");
        assert!(output.stdout.is_empty(), "{question}");
    }
}

#[test]
fn options_that_ask_for_nothing_are_refused_by_name() {
    let dir = on_disk();
    for (question, options, named) in [
        ("throughput", "--rounds 0", "--rounds"),
        ("throughput", "--connections 0", "--connections"),
        ("latency", "--rate 0", "--rate"),
        ("switch", "--switches 1", "--switches"),
        ("surge", "--times 1", "--times"),
        ("outage", "--away 0", "--away"),
        ("volume", "--rows 0", "--rows"),
        ("memory", "--duration 0", "--duration"),
        ("memory", "--mode both", "--mode"),
    ] {
        let output = bench(question, dir.path(), options);
        assert_eq!(output.status.code(), Some(2), "{question} {options}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(named), "{errors}");
    }
}

#[test]
fn a_broker_that_is_not_there_is_missed_before_anything_is_measured() {
    let dir = on_disk();
    let output = bench(
        "throughput",
        dir.path(),
        "--nats-server /no/such/nats-server",
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("--nats-server"), "{errors}");
    assert!(!errors.contains("round 1"), "{errors}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_no_disk_to_measure_on() {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let output = bench("latency", memory.path(), "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("tmpfs") && errors.contains("--data-dir"),
        "{errors}"
    );
}
