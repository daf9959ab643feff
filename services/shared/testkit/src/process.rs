//! A child that dies with the test, however the test ends.
//!
//! Each child leads a process group of its own, which is killed on drop. When the test's process itself is killed,
//! Linux kills its children (`PR_SET_PDEATHSIG`); elsewhere only the drop does.

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fs::{File, OpenOptions},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    time::{Duration, Instant},
};

/// Lines of a child's log shown when its test panics.
const SHOWN_LINES: usize = 60;

/// How long stopping a process may take.
const STOPPED: Duration = Duration::from_secs(10);

/// A running child, its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    exited: Option<ExitStatus>,
    log: PathBuf,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Process {
    /// Starts `command` with its output appended to `log`.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn spawn(name: &str, command: Command, log: &Path) -> Self {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("{name}: can't write {}: {error}", log.display()));
        let child = spawn_bound(name, command, output);
        Self {
            name: name.to_owned(),
            child,
            exited: None,
            log: log.to_owned(),
        }
    }

    /// The process id, also that of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn exit(&mut self) -> Option<Exit> {
        if self.exited.is_none() {
            self.exited = self
                .child
                .try_wait()
                .expect("a child of ours can be waited for");
        }
        self.exited
            .map(|status| match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, signal) => Exit::Signal(signal.unwrap_or_default()),
            })
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// If it still runs after `timeout`.
    pub async fn ended(&mut self, timeout: Duration) -> Exit {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            if let Some(exit) = self.exit() {
                return exit;
            }
            let name = &self.name;
            assert!(
                tokio::time::Instant::now() < deadline,
                "{name} still runs after {timeout:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL, then waits for it: afterwards it is gone.
    pub fn kill(&mut self) {
        if self.exit().is_none() {
            self.signal(Signal::SIGKILL);
            self.exited = Some(self.child.wait().expect("a killed child can be waited for"));
        }
    }

    /// SIGSTOP, and waits until it has stopped: on a busy machine it would go on answering for a moment. It keeps its sockets.
    ///
    /// # Panics
    /// If it hasn't after ten seconds.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let deadline = Instant::now() + STOPPED;
        while cfg!(target_os = "linux") && running(self.child.id()) && !self.is_stopped() {
            assert!(Instant::now() < deadline, "{} doesn't stop", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether each of its threads stands still.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut threads = threads.into_iter().flatten().flatten();
        threads.all(|thread| state(&thread.path()).is_none_or(|state| state == 'T'))
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends SIGTERM and doesn't wait; see [`Process::ended`].
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends `signal` to its group. One that has already ended is left alone.
    pub fn signal(&self, signal: Signal) {
        if self.exited.is_none() {
            // Can only fail if the whole group has just ended, which is what the next look will tell.
            let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), signal);
        }
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<_> = output.lines().collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!(
                "--- {} (pid {}) printed:\n{shown}\n---",
                self.name,
                self.child.id()
            );
        }
    }
}

/// Whether any process has this id. One that has ended and that nobody has reaped yet doesn't count.
pub fn running(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        let state = state(Path::new(&format!("/proc/{pid}")));
        return state.is_some_and(|state| !matches!(state, 'Z' | 'X'));
    }
    nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), None).is_ok()
}

/// The state of a process or thread of this directory in Linux' /proc; none if it has gone.
fn state(of: &Path) -> Option<char> {
    // "PID (name) STATE …"; the name may hold anything, the last parenthesis ends it.
    let stat = std::fs::read_to_string(of.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// Starts the child from a thread that lives as long as this process: Linux counts the *thread* that forked as the
/// parent whose death kills the child, and a test's thread may end while another test still uses a shared server.
fn spawn_bound(name: &str, mut command: Command, output: File) -> Child {
    type Job = Box<dyn FnOnce() + Send>;
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .expect("a thread can be started");
        jobs
    });

    let errors = output.try_clone().expect("a file handle can be duplicated");
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    bind_to_parent(&mut command);

    let (answer, spawned) = mpsc::sync_channel(1);
    let job = Box::new(move || {
        let _ = answer.send((command.spawn(), command));
    });
    spawner
        .send(job)
        .expect("the spawner lives as long as the process");
    match spawned.recv().expect("the spawner answers every job") {
        (Ok(child), _) => child,
        (Err(error), command) => {
            panic!(
                "{name}: can't start {}: {error}",
                command.get_program().display()
            )
        }
    }
}

#[cfg(target_os = "linux")]
fn bind_to_parent(command: &mut Command) {
    let parent = Pid::this();
    let bind = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have gone before the call above, which would then wait for init's death.
        if Pid::parent() != parent {
            return Err(std::io::Error::from(nix::errno::Errno::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made (prctl, getppid); nothing allocates or locks.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(bind);
    }
}

#[cfg(not(target_os = "linux"))]
fn bind_to_parent(_: &mut Command) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::until;

    #[tokio::test]
    async fn what_is_paused_stands_still_until_it_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        let process = Process::spawn("busy", busy, &dir.path().join("log"));
        assert!(!process.is_stopped());
        process.pause();
        assert!(process.is_stopped());
        process.resume();
        let goes_on = async || {
            (!process.is_stopped())
                .then_some(())
                .ok_or("it stands still")
        };
        until(Duration::from_secs(10), goes_on).await;
    }
}
