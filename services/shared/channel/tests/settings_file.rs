//! The watched Channel file, as whoever edits it sees it.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use duet_channel::settings::{FileSource, SettingsSource, SettingsState, Trouble};
use duet_crd::EXAMPLE;
use duet_protocol::settings::Mode;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for what must come; how fast it comes is the business of one test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a Channel file and a data directory.
struct Laptop {
    directory: TempDir,
}

/// A process that follows the file.
struct Process {
    states: watch::Receiver<SettingsState>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl Laptop {
    fn new() -> Laptop {
        Laptop {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn with(text: &str) -> Laptop {
        let laptop = Laptop::new();
        laptop.write(text);
        laptop
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("channel.yaml")
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn kept(&self) -> String {
        fs::read_to_string(self.data_dir().join("channel.last.yaml")).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn start(&self) -> Process {
        let source = Box::new(FileSource::open(self.file(), &self.data_dir()));
        let stop = CancellationToken::new();
        Process {
            states: source.states(),
            task: tokio::spawn(source.run(stop.clone())),
            stop: stop.drop_guard(),
        }
    }
}

impl Process {
    fn state(&self) -> SettingsState {
        self.states.borrow().clone()
    }

    /// Mode and generation in force.
    fn in_force(&self) -> Option<(Mode, u64)> {
        in_force(&self.state())
    }

    fn problem(&self) -> String {
        let problem = self.state().problem;
        problem.map(|problem| problem.message).unwrap_or_default()
    }

    /// Waits until a state is as wanted, and fails if it never is.
    async fn until(&mut self, what: &str, wanted: impl Fn(&SettingsState) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, self.states.wait_for(wanted))
            .await
            .is_ok();
        assert!(waited, "not {what} within {PATIENCE:?}: {:?}", self.state());
    }

    async fn until_in_force(&mut self, mode: Mode, generation: u64) {
        self.until("in force", |state| {
            in_force(state) == Some((mode, generation)) && state.problem.is_none()
        })
        .await;
    }

    async fn until_problem(&mut self, part: &str) {
        self.until(part, |state| {
            let problem = state.problem.as_ref();
            problem.is_some_and(|problem| problem.message.contains(part))
        })
        .await;
    }

    /// Waits until the source has looked a few times more.
    async fn looked(&self) {
        for _ in 0..3 {
            let before = self.state().observed_at;
            while self.state().observed_at == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

fn in_force(state: &SettingsState) -> Option<(Mode, u64)> {
    let settings = state.settings()?;
    Some((settings.mode, settings.generation.0))
}

/// The example in a mode.
fn channel(mode: Mode) -> String {
    EXAMPLE.replace("mode: Sync ", &format!("mode: {mode} "))
}

fn rename_into_place(text: &str, file: &Path) {
    let beside = file.with_extension("yaml.tmp");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, file).unwrap();
}

#[tokio::test]
async fn a_good_file_is_in_force_from_the_start() {
    let laptop = Laptop::with(EXAMPLE);
    let source = FileSource::open(laptop.file(), &laptop.data_dir());
    let state = source.states().borrow().clone();
    assert_eq!(in_force(&state), Some((Mode::Sync, 1)));
    assert_eq!((&state.problem, state.not_ready()), (&None, None));
}

#[tokio::test]
async fn a_change_is_in_force_within_a_second_however_it_is_written() {
    type Write = fn(&Laptop, &str);
    let in_place: Write = |laptop, text| laptop.write(text);
    let renamed: Write = |laptop, text| rename_into_place(text, &laptop.file());
    let removed_first: Write = |laptop, text| {
        fs::remove_file(laptop.file()).unwrap();
        laptop.write(text);
    };
    let laptop = Laptop::with(EXAMPLE);
    let mut process = laptop.start();
    let mut took = Vec::new();
    let ways = [
        in_place,
        renamed,
        removed_first,
        in_place,
        renamed,
        removed_first,
        renamed,
    ];
    for (generation, write) in (2..).zip(ways) {
        let mode = if generation % 2 == 0 {
            Mode::Async
        } else {
            Mode::Sync
        };
        let began = Instant::now();
        write(&laptop, &channel(mode));
        process.until_in_force(mode, generation).await;
        took.push(began.elapsed());
    }
    process.stop().await;
    // The median: the machine may be busy with something else.
    took.sort();
    assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_links() {
    let laptop = Laptop::new();
    let mount = laptop.directory.path();
    let version = |name: &str, text: &str| {
        fs::create_dir(mount.join(name)).unwrap();
        fs::write(mount.join(name).join("channel.yaml"), text).unwrap();
    };
    version("..1", EXAMPLE);
    symlink("..1", mount.join("..data")).unwrap();
    symlink("..data/channel.yaml", laptop.file()).unwrap();
    let mut process = laptop.start();
    assert_eq!(process.in_force(), Some((Mode::Sync, 1)));

    version("..2", &channel(Mode::Async));
    symlink("..2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    process.until_in_force(Mode::Async, 2).await;

    fs::remove_dir_all(mount.join("..2")).unwrap();
    process.until_problem("does not exist").await;
    assert_eq!(process.in_force(), Some((Mode::Async, 2)));
    process.stop().await;
}

#[tokio::test]
async fn whatever_happens_to_the_file_the_last_good_settings_stay_and_the_state_says_why() {
    let laptop = Laptop::with(&channel(Mode::Async));
    let mut process = laptop.start();
    let file = laptop.file();
    let stays = "; generation 1 stays in force";

    for (text, why) in [
        ("", "the document is empty"),
        (
            &EXAMPLE[..EXAMPLE.find("maxBytes").unwrap()],
            "spec.async.natsJetStream.stream.maxBytes is required",
        ),
        (
            &EXAMPLE[..EXAMPLE.find("spec:").unwrap()],
            "spec is required",
        ),
        ("spec: {", "the document is not YAML"),
        (
            &EXAMPLE.replace("mode: Sync", "mode: Fast"),
            "spec.mode must be Sync or Async, not \"Fast\"",
        ),
        (
            &EXAMPLE.replace("deadline: 2s", "retry: {}"),
            "spec.sync.retry is not in force yet",
        ),
        (
            &EXAMPLE.replace("from: reaction", "from: other"),
            "spec.from may not change from reaction",
        ),
        (&"#".repeat(70_000), "is longer than 65536 bytes"),
    ] {
        laptop.write(text);
        process.until_problem(why).await;
        let problem = process.problem();
        assert!(
            problem.starts_with(&file.display().to_string()) && problem.ends_with(stays),
            "{problem}"
        );
        assert_eq!(process.in_force(), Some((Mode::Async, 1)));
        assert_eq!(process.state().not_ready(), None);
    }

    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    process.until_problem("is not UTF-8 text").await;
    fs::remove_file(&file).unwrap();
    process.until_problem("does not exist").await;
    fs::create_dir(&file).unwrap();
    process
        .until_problem("can't be read: it is not a file")
        .await;
    fs::remove_dir(&file).unwrap();
    symlink(&file, &file).unwrap();
    process
        .until_problem("can't be read: Too many levels of symbolic links")
        .await;
    fs::remove_file(&file).unwrap();
    assert_eq!(process.in_force(), Some((Mode::Async, 1)));

    laptop.write(&channel(Mode::Async));
    process.until_in_force(Mode::Async, 1).await;
    process.stop().await;
}

#[tokio::test]
async fn a_process_that_has_never_seen_a_channel_is_not_ready_and_says_so() {
    let laptop = Laptop::new();
    let mut process = laptop.start();
    let file = laptop.file();
    let expected = format!(
        "no Channel has been seen yet: {} does not exist",
        file.display()
    );
    assert_eq!(process.state().not_ready(), Some(expected.as_str()));

    laptop.write("kind: Channel");
    process.until_problem("no Channel has been seen yet").await;
    process.until_problem("spec is required").await;
    assert!(process.state().not_ready().is_some());

    laptop.write(EXAMPLE);
    process.until_in_force(Mode::Sync, 1).await;
    assert_eq!(process.state().not_ready(), None);
    process.stop().await;
}

#[tokio::test]
async fn a_process_starts_from_the_last_good_channel_while_the_file_is_missing_or_bad() {
    let laptop = Laptop::with(EXAMPLE);
    let mut process = laptop.start();
    laptop.write(&channel(Mode::Async));
    process.until_in_force(Mode::Async, 2).await;
    process.stop().await;

    for bad in [None, Some("spec: {"), Some("")] {
        match bad {
            None => fs::remove_file(laptop.file()).unwrap(),
            Some(text) => laptop.write(text),
        }
        let process = laptop.start();
        assert_eq!(process.in_force(), Some((Mode::Async, 2)));
        assert_eq!(process.state().not_ready(), None);
        assert!(
            process.problem().ends_with("; generation 2 stays in force"),
            "{}",
            process.problem()
        );
        process.stop().await;
    }

    laptop.write(EXAMPLE);
    let process = laptop.start();
    assert_eq!(
        (process.in_force(), process.problem().as_str()),
        (Some((Mode::Sync, 3)), "")
    );
    process.stop().await;
}

#[tokio::test]
async fn only_a_change_of_meaning_is_a_new_generation() {
    let laptop = Laptop::with(EXAMPLE);
    let mut process = laptop.start();
    laptop.write(&format!("# a comment more\n{EXAMPLE}"));
    process.looked().await;
    laptop.write("not a Channel");
    process.until_problem("stays in force").await;
    laptop.write(EXAMPLE);
    process.until_in_force(Mode::Sync, 1).await;

    laptop.write(&EXAMPLE.replace("name: reactions", "name: reactions\n  generation: 40"));
    process.until_in_force(Mode::Sync, 40).await;
    laptop.write(&channel(Mode::Async));
    process.until_in_force(Mode::Async, 41).await;
    process.stop().await;

    let process = laptop.start();
    assert_eq!(process.in_force(), Some((Mode::Async, 41)));
    process.stop().await;
}

#[tokio::test]
async fn no_change_is_missed_while_the_mode_is_switched_every_200_ms() {
    let laptop = Laptop::with(EXAMPLE);
    let mut process = laptop.start();
    for switch in 0..10 {
        let mode = if switch % 2 == 0 {
            Mode::Async
        } else {
            Mode::Sync
        };
        let began = tokio::time::Instant::now();
        rename_into_place(&channel(mode), &laptop.file());
        process.until_in_force(mode, switch + 2).await;
        tokio::time::sleep_until(began + Duration::from_millis(200)).await;
    }
    process.stop().await;
}

#[tokio::test]
async fn a_channel_that_cannot_be_kept_is_in_force_and_said_to_be_at_risk_until_it_is_kept() {
    let laptop = Laptop::with(EXAMPLE);
    // In the way of the data directory.
    fs::write(laptop.data_dir(), "").unwrap();
    let mut process = laptop.start();
    assert_eq!(process.in_force(), Some((Mode::Sync, 1)));
    process
        .until_problem("the Channel is in force, but a restart would not know it")
        .await;
    let trouble = process.state().problem.map(|problem| problem.trouble);
    assert_eq!(trouble, Some(Trouble::NotKept));

    fs::remove_file(laptop.data_dir()).unwrap();
    process.until_in_force(Mode::Sync, 1).await;
    assert!(laptop.kept().contains("generation: 1"));
    process.stop().await;
}

#[tokio::test]
async fn a_kept_channel_that_is_damaged_is_replaced_by_the_next_good_one() {
    let laptop = Laptop::new();
    fs::create_dir(laptop.data_dir()).unwrap();
    fs::write(laptop.data_dir().join("channel.last.yaml"), "half a docu").unwrap();
    let mut process = laptop.start();
    assert_eq!(process.in_force(), None);
    assert!(
        process.problem().contains("channel.last.yaml is no good"),
        "{}",
        process.problem()
    );

    laptop.write(EXAMPLE);
    process.until_in_force(Mode::Sync, 1).await;
    assert!(laptop.kept().contains("mode: Sync"));
    process.stop().await;
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_and_its_states_stay() {
    let laptop = Laptop::with(EXAMPLE);
    let process = laptop.start();
    let states = process.states.clone();
    tokio::time::timeout(PATIENCE, process.stop())
        .await
        .unwrap();
    laptop.write(&channel(Mode::Async));
    assert_eq!(in_force(&states.borrow()), Some((Mode::Sync, 1)));
}

/// A log that a test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_wrong_is_logged_once_and_so_is_its_end() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // Where nobody listens, a place that logs is switched off for all threads: whoever logs first in another test decides it.
    let nobody = tracing_subscriber::fmt().with_writer(std::io::sink);
    tracing::subscriber::set_global_default(nobody.finish()).unwrap();
    // The test and the source's task share this one thread.
    let _here = tracing::subscriber::set_default(subscriber);

    let laptop = Laptop::with(EXAMPLE);
    let mut process = laptop.start();
    laptop.write("");
    process.until_problem("is empty").await;
    process.looked().await;
    laptop.write(EXAMPLE);
    process.until_in_force(Mode::Sync, 1).await;
    process.looked().await;
    process.stop().await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, part) in lines.iter().zip([
        "Channel in force",
        "the document is empty; generation 1 stays",
        "good again",
    ]) {
        assert!(line.contains(part), "{text}");
    }
}
