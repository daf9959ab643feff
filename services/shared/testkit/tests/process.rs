//! Children end with the test that started them.

use duet_testkit::{Exit, Process, eventually, running};
use std::{process::Command, time::Duration};

const BOUND: Duration = Duration::from_secs(20);

fn shell(script: &str, dir: &tempfile::TempDir) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::spawn("shell", command, &dir.path().join("log"))
}

fn runs(pid: &str) -> bool {
    running(pid.trim().parse().expect("a process id was printed"))
}

#[tokio::test]
async fn a_dropped_child_takes_its_own_children_along() {
    let dir = tempfile::tempdir().unwrap();
    let process = shell("sleep 1000 & echo $!; wait", &dir);
    eventually(BOUND, || async { process.output().ends_with('\n') }).await;
    let grandchild = process.output();
    assert!(runs(&grandchild));
    drop(process);
    eventually(BOUND, || async { !runs(&grandchild) }).await;
}

#[tokio::test]
async fn how_a_child_ended_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(shell("exit 7", &dir).ended(BOUND).await, Exit::Code(7));
    let mut killed = shell("sleep 1000", &dir);
    killed.kill();
    assert_eq!(killed.exit(), Some(Exit::Signal(9)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_outlives_the_thread_that_asked_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let mut child = std::thread::spawn(move || {
        let mut command = Command::new("sleep");
        command.arg("1000");
        Process::spawn("sleep", command, &path.join("log"))
    })
    .join()
    .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(child.exit(), None);
}
