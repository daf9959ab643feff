//! README's story, as written: its commands are run, and what comes out is compared word for word, ids and times masked.
#![cfg(feature = "jaeger")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use duet_testkit::{Exit, Process, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

/// A command and what it prints.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    output: String,
}

/// The console blocks' commands, in order.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    command: command.to_owned(),
                    output: String::new(),
                }),
                (None, Some(step)) => step.output += &format!("{line}\n"),
                (None, None) => panic!("a block begins with a command, not with {line:?}"),
            },
            (false, _) => {}
        }
    }
    steps
}

/// Everything but what differs from run to run: ids, times, ports, and the padding before a time.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for line in text.trim_end().lines() {
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let is_hex = |c: char| c.is_ascii_hexdigit();
            let word_start = rest[..start]
                .rfind(|c: char| !is_hex(c))
                .map_or(0, |at| at + 1);
            let hex: usize = rest[word_start..]
                .chars()
                .take_while(|c| is_hex(*c))
                .count();
            if hex >= 16 {
                masked += &rest[..word_start];
                masked += "ID";
                rest = &rest[word_start + hex..];
                continue;
            }
            let number: usize = rest[start..]
                .chars()
                .take_while(|c| c.is_ascii_digit() || "-T:.Z".contains(*c))
                .count();
            let (token, after) = rest[start..].split_at(number);
            let before = &rest[..start];
            let unit = [" ms", " µs", " s"]
                .into_iter()
                .find(|unit| after.starts_with(unit));
            let time = token.contains('T') || unit.is_some() || before.ends_with("took_ms\":");
            let after = unit.map_or(after, |unit| &after[unit.len()..]);
            let port = before.ends_with("127.0.0.1:") || token.starts_with("127.0.0.1:");
            masked += if time {
                before.trim_end_matches(' ')
            } else {
                before
            };
            masked += match (time, port) {
                (true, _) => " TIME",
                (_, true) => "127.0.0.1:PORT",
                _ => token,
            };
            rest = after;
        }
        masked += rest;
        masked.push('\n');
    }
    masked
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace's folder")
}

/// A port that is free now, so that the story does not depend on the default ones.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|it| it.local_addr())
        .expect("a free port")
        .port()
}

#[test]
fn what_is_masked_and_what_is_not() {
    assert_eq!(
        masked("trace 158f24aedb761c7fc72998d6c30b1149"),
        "trace ID\n"
    );
    assert_eq!(
        masked(r#""attempts":1,"took_ms":4.1}"#),
        "\"attempts\":1,\"took_ms\": TIME}\n"
    );
    assert_eq!(
        masked("reaction follows after 82 ms"),
        "reaction follows after TIME\n"
    );
    assert_eq!(
        masked("a http://127.0.0.1:8080/v1"),
        "a http://127.0.0.1:PORT/v1\n"
    );
    assert_ne!(masked(r#"{"kind":"like"}"#), masked(r#"{"kind":"love"}"#));
    assert_eq!(
        masked("reaction      3.0 ms"),
        masked("reaction         612 µs")
    );
    assert_ne!(masked("generation 2"), masked("generation 3"));
}

#[test]
fn make_run_runs_the_pair() {
    let printed = Command::new("make")
        .args(["-n", "run"])
        .current_dir(root())
        .output()
        .expect("make runs")
        .stdout;
    let printed = String::from_utf8_lossy(&printed);
    assert!(
        printed
            .lines()
            .any(|line| line.contains("cargo run --package duet")
                && line.trim_end().ends_with("-- up")),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_works_as_written() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let steps = steps(&readme);
    assert!(
        steps.len() > 8,
        "README tells its story in console blocks: {steps:?}"
    );
    assert_eq!(steps[0].command, "make run");

    let dir = tempfile::tempdir().expect("a folder");
    // As README's reader is in a folder of theirs.
    let here = dir.path().canonicalize().expect("the folder is there");
    let at_home = |text: &str| text.replace(&here.display().to_string(), "/home/you/duet");
    let ports = [
        ("8080", free_port()),
        ("8090", free_port()),
        ("16686", free_port()),
    ];
    let moved = |text: &str| {
        ports.iter().fold(text.to_owned(), |text, (default, port)| {
            text.replace(
                &format!("127.0.0.1:{default}"),
                &format!("127.0.0.1:{port}"),
            )
        })
    };
    let mut up = Command::new(env!("CARGO_BIN_EXE_duet"));
    up.current_dir(&here).arg("up");
    for (flag, (_, port)) in ["--reaction", "--notification", "--jaeger"]
        .iter()
        .zip(&ports)
    {
        up.args([flag.to_string(), format!("127.0.0.1:{port}")]);
    }
    up.args([
        "--reaction-internal",
        "127.0.0.1:0",
        "--notification-internal",
        "127.0.0.1:0",
    ]);
    let mut up = Process::spawn("duet up", up, &dir.path().join("up.log"));
    eventually(PATIENCE, || async {
        up.output().contains("Ctrl-C stops everything.")
    })
    .await;
    let printed = masked(&at_home(&up.output()));
    assert!(
        printed.contains(&masked(&steps[0].output)),
        "README shows\n{}\nmake run prints\n{printed}",
        steps[0].output
    );

    // A shell that has the command on its PATH; what README exports is where cargo puts it.
    let bin = Path::new(env!("CARGO_BIN_EXE_duet"))
        .parent()
        .expect("a folder");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    for Step { command, output } in &steps[1..] {
        if command.starts_with("export PATH=") {
            assert_eq!(command, r#"export PATH="$PWD/target/debug:$PATH""#);
            continue;
        }
        let run = || {
            let ran = Command::new("bash")
                .arg("-c")
                .arg(moved(command))
                .current_dir(&here)
                .env("PATH", &path)
                .output();
            let ran = ran.expect("bash runs");
            at_home(&String::from_utf8_lossy(&ran.stdout))
        };
        // What is shown of the asynchronous way comes a moment later than its answer; only reading is repeated.
        let reads = !command.contains("-X PUT") && !command.contains("mode ");
        let mut printed = run();
        for _ in 0..40 {
            if !reads || masked(&printed) == masked(output) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            printed = run();
        }
        assert_eq!(masked(&printed), masked(output), "{command}");
    }
    up.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(up.ended(PATIENCE).await, Exit::Code(0));
}
