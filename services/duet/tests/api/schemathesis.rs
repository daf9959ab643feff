//! Running schemathesis, and reading what was answered to it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::document::{Document, Seen};
use crate::provoked::Real;

/// Requests for each operation and phase; `EXAMPLES` says otherwise.
const EXAMPLES: &str = "40";
/// What the requests are made from; `SEED` says otherwise. The same seed makes the same requests.
const SEED: &str = "1";

/// Tries every operation of a document, except streams, and notes what was answered.
///
/// # Panics
/// If something is found.
pub(crate) fn run(document: &Document, real: &Real, seen: &mut Seen) {
    let program = env::var_os("DUET_SCHEMATHESIS").expect("make api says where schemathesis is");
    let dir = tempfile::tempdir().unwrap();
    let (har, here) = (
        dir.path().join("seen.har"),
        Path::new(env!("CARGO_MANIFEST_DIR")),
    );
    let or = |name: &str, or: &str| env::var(name).unwrap_or_else(|_| or.to_owned());
    let mut command = Command::new(program);
    command
        .current_dir(dir.path())
        .env("PYTHONPATH", here.join("tests/api"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("DUET_REAL", real.to_json())
        .args(["run", &format!("{}/openapi.json", document.base)])
        .args([
            "--max-examples",
            &or("EXAMPLES", EXAMPLES),
            "--seed",
            &or("SEED", SEED),
        ])
        .args(["--request-timeout", "20", "--continue-on-failure"])
        .args([
            "--warnings",
            "off",
            "--no-color",
            "--report",
            "har",
            "--report-har-path",
        ])
        .arg(&har);
    for stream in document
        .operations
        .iter()
        .filter(|operation| operation.streams)
    {
        command.args(["--exclude-operation-id", &stream.id]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}{}",
        document.service,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let har: Value = serde_json::from_slice(&fs::read(har).unwrap()).unwrap();
    for entry in har["log"]["entries"].as_array().unwrap() {
        let (request, response) = (&entry["request"], &entry["response"]);
        let url = request["url"].as_str().unwrap();
        let path = url.strip_prefix(&document.base).unwrap();
        let path = path.split(['?', '#']).next().unwrap();
        let operation = document.find(request["method"].as_str().unwrap(), path);
        let status = response["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        if let (Some(operation), Some(status)) = (operation, status)
            && operation.statuses.contains(&status)
        {
            seen.note(operation, status);
        }
    }
}
