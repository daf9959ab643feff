//! A process that is killed while a job runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use duet_channel::transport::Urgency;
use duet_testkit::{Exit, Process, until};

use super::end::{End, PATIENCE, event, runs_file};

/// Where the process finds its directory.
const DIRECTORY: &str = "DUET_TEST_JOBS";
/// Whether the work comes to its end.
const LET_GO: &str = "DUET_TEST_JOBS_LET_GO";

/// Not a test: what the receiver's process runs. Taken in a second time, the event changes nothing.
#[tokio::test]
#[ignore = "run by the other test, in processes of its own"]
async fn serve() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let end = End::open(&dir);
    end.takes(event(2, "job", "a", "a"), Urgency::Background)
        .await;
    if std::env::var_os(LET_GO).is_none() {
        std::future::pending::<()>().await;
    }
    end.texts.0.let_go.add_permits(1);
    end.holds("a", "a, done").await;
    end.has_letters(0, 0).await;
    end.stops().await;
}

fn process(dir: &Path, let_go: bool) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "killed::serve", "--nocapture"])
        .env(DIRECTORY, dir);
    if let_go {
        command.env(LET_GO, "1");
    }
    Process::spawn("texts", command, &dir.join("log"))
}

/// The names under which jobs were begun.
fn runs(dir: &Path) -> Vec<String> {
    let names = std::fs::read_to_string(runs_file(dir)).unwrap_or_default();
    names.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_job_runs_again_under_the_same_name_when_its_process_was_killed_and_its_end_is_stored_once()
 {
    let dir = tempfile::tempdir().unwrap();
    let mut first = process(dir.path(), false);
    until(PATIENCE, || async {
        let runs = runs(dir.path());
        (runs.len() == 1).then_some(()).ok_or(runs.concat())
    })
    .await;
    first.kill();
    let mut second = process(dir.path(), true);
    let exit = second.ended(PATIENCE).await;
    assert_eq!(exit, Exit::Code(0), "{}", second.output());
    let name = event(2, "job", "a", "a").id().to_string();
    assert_eq!(runs(dir.path()), [name.clone(), name]);
    let end = End::open(dir.path());
    assert_eq!(end.text("a").await.as_deref(), Some("a, done"));
    end.stops().await;
}
