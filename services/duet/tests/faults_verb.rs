//! `duet faults` on a laptop: sets, shows and takes away what goes wrong, and leaves the document as it was.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod common;

use common::{PATIENCE, Up, duet};
use duet_testkit::{Process, until};
use serde_json::Value;
use std::{path::Path, process::Command, time::Duration};

fn faults(dir: &Path, args: &[&str]) -> common::Said {
    duet(&[&["faults", "--data-dir", dir.to_str().unwrap()], args].concat())
}

fn example(dir: &Path) -> std::path::PathBuf {
    let file = dir.join("channel.yaml");
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/crd/examples/channel.yaml"
    );
    std::fs::copy(example, &file).unwrap();
    file
}

#[test]
fn without_a_pair_the_document_is_changed_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = example(dir.path());
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(faults(dir.path(), &[]).stdout.starts_with("no faults in "));

    let said = faults(
        dir.path(),
        &[
            "delay=200ms",
            "errorPercent=5",
            "--receiver",
            "notification",
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout
            .starts_with("delay=200ms errorPercent=5 at notification in "),
        "{said:?}"
    );
    assert!(said.stdout.contains("isn't running"), "{said:?}");
    let with = std::fs::read_to_string(&file).unwrap();
    assert_eq!(with.lines().count(), before.lines().count() + 1);
    let said = faults(dir.path(), &["--json"]);
    let shown: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(shown["faults"]["errorPercent"], 5, "{shown}");

    assert_eq!(faults(dir.path(), &["off"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    // A second time changes nothing.
    assert_eq!(faults(dir.path(), &["off"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn what_can_not_be_is_refused_and_the_document_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = example(dir.path());
    let before = std::fs::read_to_string(&file).unwrap();
    for (args, code, why) in [
        (&["slow"] as &[_], 2, "there are delay, jitter"),
        (&["errorPercent=500"], 2, "a whole number from 0 to 100"),
        (&["--for", "30s"], 2, "say what goes wrong"),
        (&["delay=1s", "--for", "soon"], 2, "must be a duration"),
        (
            &["delay=1s", "--receiver", "trending"],
            5,
            "must be one of the Services in spec.to",
        ),
    ] {
        let said = faults(dir.path(), args);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.stderr.contains(why), "{said:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pair_follows_and_for_a_while_ends_by_itself_or_at_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("duet");
    let up = Up::start(&data, &[]).await;
    let channel = data.join("channel.yaml");
    let before = std::fs::read_to_string(&channel).unwrap();

    let said = up.duet("faults", &["delay=150ms", "--for", "1s"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for told in [
        "delay=150ms until ",
        "reaction follows after",
        "each batch waits 150ms",
        "over: taken out of",
    ] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }
    assert_eq!(std::fs::read_to_string(&channel).unwrap(), before);

    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.args(["faults", "errorPercent=100", "--for", "10m", "--data-dir"]);
    command.arg(&data);
    let mut setting = Process::spawn("duet faults", command, &dir.path().join("faults.log"));
    until(PATIENCE, || async {
        let output = setting.output();
        let follows = output.contains("100 of 100 events can't be applied");
        follows.then_some(()).ok_or(output)
    })
    .await;
    assert!(
        up.duet("status", &[])
            .stdout
            .contains("Faults=True Injected")
    );
    setting.terminate();
    let exit = setting.ended(PATIENCE).await;
    assert!(setting.output().contains("over: taken out of"), "{exit:?}");
    assert_eq!(std::fs::read_to_string(&channel).unwrap(), before);

    // What somebody else set meanwhile stays.
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command
        .args(["faults", "delay=1ms", "--for", "2s", "--data-dir"])
        .arg(&data);
    let mut setting = Process::spawn("duet faults", command, &dir.path().join("again.log"));
    until(PATIENCE, || async {
        let output = setting.output();
        output.contains("follows after").then_some(()).ok_or(output)
    })
    .await;
    assert_eq!(up.duet("faults", &["jitter=2ms"]).code, Some(0));
    setting.ended(Duration::from_secs(20)).await;
    assert!(setting.output().contains("says something else by now"));
    assert!(up.duet("faults", &[]).stdout.starts_with("jitter=2ms in "));
    assert_eq!(up.duet("faults", &["off"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&channel).unwrap(), before);
}
