//! What a process writes to its standard error, as another sees it: these tests run themselves again as a child.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::process::Command;

use duet_telemetry::{Tracer, logs, names::span};
use opentelemetry::trace::TraceContextExt as _;
use serde_json::Value;

/// Exit code and log of a child with these environment variables.
fn child(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["a_process_that_logs", "--exact", "--ignored", "--nocapture"])
        .env_remove("RUST_LOG")
        .env_remove("DUET_LOG_FORMAT")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (
        ended.status.code(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}

#[test]
#[ignore = "run by the others"]
fn a_process_that_logs() {
    if let Err(error) = logs::init() {
        eprintln!("{error}");
        std::process::exit(3);
    }
    assert!(logs::init().is_err(), "a second time");
    tracing::info!("outside");
    let span = Tracer::default().root(span::COMMIT_REACTION).start();
    let _attached = span.context().attach();
    let trace_id = opentelemetry::Context::current()
        .span()
        .span_context()
        .trace_id();
    tracing::info!(expected = %trace_id, "inside");
    tracing::debug!("in detail");
}

#[test]
fn elsewhere_than_on_a_terminal_lines_are_json_and_name_their_trace() {
    let (code, log) = child(&[]);
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [outside, inside] = &lines[..] else {
        panic!("{log}")
    };
    assert_eq!(outside["message"], "outside");
    assert_eq!(outside.get("trace_id"), None);
    assert_eq!(inside["trace_id"], inside["expected"]);
    assert_eq!(inside["span_id"].as_str().unwrap().len(), 16);
}

#[test]
fn what_is_asked_for_is_written() {
    let (_, log) = child(&[("RUST_LOG", "debug"), ("DUET_LOG_FORMAT", "json")]);
    assert!(log.contains("in detail"), "{log}");
    let (_, log) = child(&[("RUST_LOG", "warn")]);
    assert_eq!(log, "");
}

#[test]
fn pretty_lines_are_coloured_unless_nobody_wants_colours() {
    let pretty = ("DUET_LOG_FORMAT", "pretty");
    let (_, coloured) = child(&[pretty]);
    assert!(coloured.contains("\x1b[32m INFO\x1b[0m"), "{coloured}");
    let (_, plain) = child(&[pretty, ("NO_COLOR", "1")]);
    assert!(plain.contains("  INFO logs outside\n"), "{plain}");
}

#[test]
fn what_cant_be_is_refused_by_name() {
    for (variable, value) in [("DUET_LOG_FORMAT", "xml"), ("RUST_LOG", "a=b=c")] {
        let (code, log) = child(&[(variable, value)]);
        assert_eq!(code, Some(3));
        assert!(log.contains(variable), "{log}");
    }
}
