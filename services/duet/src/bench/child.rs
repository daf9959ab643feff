//! A process of this same program that is measured. It ends with the one that started it.

use crate::{
    commands::tether,
    failure::{Doing, Failure, Kind, ending},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::de::DeserializeOwned;
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{ChildStdout, Command},
};

/// How long it may take to say that it is ready.
const START: Duration = Duration::from_secs(90);
/// The longest that it may say by then.
const LONGEST: u64 = 64 * 1024;
/// Lines of its log that are shown when it fails.
const SHOWN: usize = 30;

/// What to run.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    args: Vec<OsString>,
    env: Vec<(&'static str, &'static str)>,
}

impl Program {
    /// This very program, with other arguments.
    pub(super) fn duet(name: &'static str) -> Self {
        Self {
            name,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }
}

#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Child {
    /// Starts it, its log in a file.
    pub(super) fn start(program: Program, log: &Path) -> Result<Self, Failure> {
        let Program { name, args, env } = program;
        let doing = || format!("start {name}");
        let own = std::env::current_exe().doing(doing)?;
        let errors = File::create(log).doing(|| format!("write {}", log.display()))?;
        let mut command = Command::from(tether::command(own.as_os_str()).doing(doing)?);
        let mut process = command
            .args(args)
            .envs(env)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .doing(doing)?;
        let stdout = process.stdout.take();
        let stdout =
            stdout.ok_or_else(|| Failure::new(Kind::Failed, format!("{name} has no stdout")))?;
        Ok(Self {
            name,
            process,
            stdout: BufReader::new(stdout),
            log: log.to_owned(),
        })
    }

    /// Its id; none if it has ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Reads the one JSON document that it prints when it is ready.
    pub(super) async fn told<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let mut said = Vec::new();
        let mut stdout = (&mut self.stdout).take(LONGEST);
        let reading = async {
            while stdout.read_until(b'\n', &mut said).await? > 0 {
                if let Ok(told) = serde_json::from_slice(&said) {
                    return Ok(Some(told));
                }
            }
            Ok::<_, std::io::Error>(None)
        };
        match tokio::time::timeout(START, reading).await {
            Ok(Ok(Some(told))) => return Ok(told),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Err(error).doing(|| format!("hear {}", self.name)),
            Err(_) => return Err(self.failure(&format!("isn't ready after {START:?}"))),
        }
        Err(match self.process.wait().await {
            Ok(status) => self.failure(&format!("ended before it was ready ({})", ending(status))),
            Err(_) => self.failure("says nothing"),
        })
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub(super) async fn stop(mut self, patience: Duration) -> Result<(), Failure> {
        if let Some(pid) = self.id() {
            // It has ended if this fails, which is what waiting tells next.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
        }
        match tokio::time::timeout(patience, self.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failure(&format!("failed to stop ({})", ending(status)))),
            Ok(Err(error)) => Err(error).doing(|| format!("wait for {}", self.name)),
            Err(_) => Err(self.failure(&format!("doesn't stop within {patience:?}"))),
        }
    }

    /// What is wrong with it, with the end of its log.
    pub(super) fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        Failure::new(Kind::Failed, format!("{} {what}", self.name)).hint(shown)
    }
}
