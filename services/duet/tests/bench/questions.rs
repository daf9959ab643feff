//! Each question is asked for a moment, of the real pair: its report has every figure, and counted both stores.

use super::{goals, measured, median, on_disk, positive};
use std::path::Path;

fn a_picture_of_both_modes(file: &Path) {
    let svg = std::fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("<desc"), "{svg}");
    for mode in ["Sync", "Async"] {
        assert!(svg.contains(mode), "{svg}");
    }
}

#[test]
fn throughput_measures_both_modes_beside_two_baselines_and_counts_both_stores() {
    let dir = on_disk();
    let picture = dir.path().join("throughput.svg");
    let report = measured(
        "throughput",
        &format!(
            "--duration 1 --warm-up 1 --connections 8 --posts 20 --picture {}",
            picture.display()
        ),
    );
    a_picture_of_both_modes(&picture);
    let broker = report["modes"][1]["brokerPerSecond"]["median"].as_f64();
    assert!(broker > Some(0.0), "{report:#}");
    for baseline in ["baseline", "sameRequest"] {
        let rate = report[baseline]["perSecond"]["median"].as_f64();
        assert!(rate > Some(0.0), "{report:#}");
    }
    let modes: Vec<_> = report["modes"].as_array().unwrap().iter().collect();
    for (mode, (name, status)) in modes.iter().zip([("Sync", "200"), ("Async", "202")]) {
        assert_eq!(mode["mode"], name);
        let (stored, answered) = (mode["stored"].as_u64(), mode["statuses"][status].as_u64());
        assert!(stored > answered && answered > Some(0), "{mode:#}");
        for ratio in ["ratio", "ratioSameRequest"] {
            assert!(mode[ratio]["median"].as_f64() > Some(0.0), "{mode:#}");
        }
        for process in ["reaction", "notification", "nats", "duet up"] {
            assert!(mode["cpuMicros"][process].is_object(), "{mode:#}");
        }
    }
    assert_eq!(modes.len(), 2);
}

#[test]
fn latency_measures_one_caller_and_shares_of_the_most_beside_commit_and_round_trip() {
    let dir = on_disk();
    let picture = dir.path().join("latency.svg");
    let short = "--duration 1 --warm-up 1 --connections 4 --picture";
    let report = measured("latency", &format!("{short} {}", picture.display()));
    a_picture_of_both_modes(&picture);
    let quantiles = [
        "p50Micros",
        "p90Micros",
        "p99Micros",
        "p999Micros",
        "maxMicros",
    ];
    for name in [
        "flush",
        "commit",
        "round trip, bare",
        "round trip, same request",
    ] {
        positive(&report["baseline"], name, &quantiles);
    }
    for mode in ["Sync", "Async"] {
        for load in [
            "one caller",
            "one caller, 50/s",
            "4 callers",
            "at 10 % of that",
            "at 50 % of that",
            "at 80 % of that",
        ] {
            let name = format!("{mode}, {load}");
            positive(&report["modes"], &name, &quantiles);
            assert_eq!(median(&report["modes"], &name, "failed"), 0.0, "{report:#}");
        }
    }
    assert_eq!(
        goals(&report),
        [
            "Async: one caller's p50 to one commit",
            "Sync: one caller's p50 to two commits and a round trip"
        ]
    );
}

#[test]
fn a_switch_under_load_fails_nobody() {
    let report = measured("switch", "--rate 100 --switches 2 --every 2");
    for row in ["Sync", "Async", "around switches"] {
        positive(&report["modes"], row, &["accepted", "p99Micros"]);
        assert_eq!(median(&report["modes"], row, "failed"), 0.0, "{report:#}");
    }
    let failed = &report["goals"][0];
    assert_eq!(failed["of"], "requests that fail");
    assert_eq!(failed["met"], true);
}

#[test]
fn a_surge_is_told_before_during_and_after_it() {
    let report = measured("surge", "--rate 20 --times 5 --duration 1");
    for row in ["Sync, before", "Async, during", "Async, after"] {
        positive(&report["modes"], row, &["perSecond", "p99Micros"]);
    }
    let rate = |part: &str| median(&report["modes"], &format!("Async, {part}"), "perSecond");
    assert!(rate("during") > 3.0 * rate("before"), "{report:#}");
    assert!(median(&report["modes"], "Async, after", "drainSeconds") >= 0.0);
    assert_eq!(
        goals(&report),
        ["Async: p99 during the surge to that before it"]
    );
}

#[test]
fn an_outage_fails_callers_in_sync_alone_and_all_that_was_accepted_arrives() {
    let report = measured("outage", "--rate 50 --away 2 --around 1");
    let failed = |row: &str| median(&report["modes"], row, "failed");
    assert!(failed("Sync, away") > 0.0, "{report:#}");
    positive(&report["modes"], "Sync, before", &["accepted"]);
    for row in ["Async, before", "Async, away", "Async, after"] {
        assert_eq!(failed(row), 0.0, "{row}: {report:#}");
        positive(&report["modes"], row, &["accepted"]);
    }
    assert!(median(&report["modes"], "Async, after", "drainSeconds") >= 0.0);
}

#[test]
fn volume_compares_large_with_small_and_reads_lists_to_their_end() {
    let report = measured(
        "volume",
        "--rows 3000 --few 300 --listed 1200 --waiting 500 --duration 1 --connections 8",
    );
    for mode in ["Sync", "Async"] {
        positive(
            &report["baseline"],
            &format!("{mode}, 300 stored"),
            &["perSecond"],
        );
        positive(
            &report["modes"],
            &format!("{mode}, 3000 stored"),
            &["perSecond", "startSeconds"],
        );
    }
    for list in ["a post's reactions", "a user's notifications"] {
        positive(
            &report["baseline"],
            &format!("{list}, first pages of 300"),
            &["p50Micros"],
        );
        positive(
            &report["modes"],
            &format!("{list}, last pages of 1200"),
            &["p50Micros"],
        );
    }
    positive(&report["modes"], "broker away, 500 wait", &["perSecond"]);
    positive(&report["modes"], "broker back", &["drainSeconds"]);
}

#[test]
fn memory_is_told_of_each_process_at_rest_and_under_load() {
    let report = measured("memory", "--duration 1 --connections 8");
    let figures = ["restBytes", "loadedBytes", "peakBytes", "afterBytes"];
    positive(&report["baseline"], "bare server", &figures);
    for mode in ["Sync", "Async"] {
        for process in ["reaction", "notification", "nats"] {
            positive(&report["modes"], &format!("{mode}, {process}"), &figures);
        }
    }
    assert_eq!(goals(&report).len(), 8);
}
