//! One process, started again when it dies.

use super::roster::Roster;
use crate::{
    commands::tether,
    failure::{Doing, Failure, ending},
    process::Process,
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::watch,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Waits before a restart: doubling, and back to the first once a process has run for a while.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const HEALTHY: Duration = Duration::from_secs(10);
/// The longest line of a child's log that is passed on in one piece.
const LONGEST_LINE: u64 = 64 * 1024;
/// Between a process's end and that of its output: something it started may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What to run.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// How long it may take to stop by itself.
    pub(super) grace: Duration,
    /// Lines of its log that nobody needs to see.
    pub(super) noise: fn(&str) -> bool,
}

/// A process that is kept running until it is told to stop.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: &'static str,
    /// Whether it is to be kept down for now.
    down: watch::Sender<bool>,
    /// How the process before this one ended.
    died: watch::Receiver<Option<ExitStatus>>,
    stop: CancellationToken,
    abort: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Child {
    /// Starts it, and writes each of its processes into `roster`. Fails only if it can't be started at all.
    pub(super) fn start(spec: Spec, roster: Arc<Roster>) -> Result<Self, Failure> {
        let (tell, died) = watch::channel(None);
        let (down, kept_down) = watch::channel(false);
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let first = Run::start(&spec, &roster)?;
        let name = spec.name;
        let keep = Keep {
            spec,
            roster,
            tell,
            down: kept_down,
            stop: stop.clone(),
            abort: abort.clone(),
        };
        let keeper = tokio::spawn(keep.running(first));
        Ok(Self {
            name,
            down,
            died,
            stop,
            abort,
            keeper,
        })
    }

    /// Ends when one of its processes has ended by itself, with how.
    pub(super) async fn dies(&self) -> ExitStatus {
        let mut died = self.died.clone();
        loop {
            if let Some(status) = *died.borrow_and_update() {
                return status;
            }
            if died.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Stops it and keeps it down, or starts it again.
    pub(super) fn keep_down(&self, down: bool) {
        self.down.send_if_modified(|is| {
            let differs = *is != down;
            *is = down;
            differs
        });
    }

    /// SIGTERM, then SIGKILL when its grace period is over. Ends when it is gone.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        self.gone().await;
    }

    /// SIGKILL at once; [`Child::gone`] waits for it.
    pub(super) fn abort(&self) {
        self.abort.cancel();
        self.stop.cancel();
    }

    /// Ends when no process of it is left, after it was told to stop.
    pub(super) async fn gone(&mut self) {
        if !self.keeper.is_finished() {
            let _ = (&mut self.keeper).await;
        }
    }
}

/// One process of it.
#[derive(Debug)]
struct Run {
    child: tokio::process::Child,
    since: Instant,
    output: JoinHandle<()>,
}

impl Run {
    fn start(spec: &Spec, roster: &Roster) -> Result<Self, Failure> {
        let doing = || format!("start {}", spec.name);
        let tethered = tether::command(spec.program.as_os_str()).doing(doing)?;
        let mut child = Command::from(tethered)
            .args(&spec.args)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .doing(doing)?;
        roster.started(spec.name, child.id().and_then(Process::with_id));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (name, noise) = (spec.name, spec.noise);
        let output = tokio::spawn(async move {
            tokio::join!(pass_on(name, noise, stdout), pass_on(name, noise, stderr));
        });
        Ok(Self {
            child,
            since: Instant::now(),
            output,
        })
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id() {
            // It has ended if this fails, which is what waiting tells next.
            let _ = killpg(Pid::from_raw(pid.cast_signed()), signal);
        }
    }

    /// Waits for its end and for its last words.
    async fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().await.ok();
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.output).await;
        self.output.abort();
        status
    }
}

/// Keeps it running until it is told to stop.
struct Keep {
    spec: Spec,
    roster: Arc<Roster>,
    tell: watch::Sender<Option<ExitStatus>>,
    down: watch::Receiver<bool>,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Keep {
    async fn running(mut self, first: Run) {
        let name = self.spec.name;
        let mut run = Some(first);
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(now) = &mut run {
                let status = tokio::select! {
                    status = now.ended() => status,
                    () = self.stop.cancelled() => break self.end(now).await,
                    () = until(&mut self.down, true) => {
                        eprintln!("duet: {name} is kept down");
                        self.end(now).await;
                        self.roster.started(name, None);
                        (run, wait) = (None, Duration::ZERO);
                        continue;
                    }
                };
                if now.since.elapsed() >= HEALTHY {
                    wait = FIRST_WAIT;
                }
                let how = status.map_or_else(|| "an unknown ending".to_owned(), ending);
                eprintln!("duet: {name} ended ({how}); starting it again in {wait:?}");
                self.roster.started(name, None);
                self.tell.send_replace(status);
            }
            let may_start = async {
                tokio::time::sleep(wait).await;
                until(&mut self.down, false).await;
            };
            tokio::select! {
                () = may_start => {}
                () = self.stop.cancelled() => break,
            }
            wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            run = Run::start(&self.spec, &self.roster)
                .inspect_err(|failure| eprintln!("duet: {failure}"))
                .ok();
        }
    }

    /// Stops it: asked, given its grace, then killed.
    async fn end(&self, run: &mut Run) {
        let Spec { name, grace, .. } = self.spec;
        run.signal(Signal::SIGTERM);
        tokio::select! {
            _ = run.ended() => return,
            () = tokio::time::sleep(grace) => {
                eprintln!("duet: {name} has not stopped within {grace:?}; killing it");
            }
            () = self.abort.cancelled() => {}
        }
        run.signal(Signal::SIGKILL);
        run.ended().await;
    }
}

/// Ends once it is so; where nobody can change it any more, never.
async fn until(down: &mut watch::Receiver<bool>, is: bool) {
    if down.wait_for(|down| *down == is).await.is_err() {
        std::future::pending().await
    }
}

/// Passes a child's log on, each line with its name before it. Logs go to stderr: stdout is what was asked for.
async fn pass_on(name: &str, noise: fn(&str) -> bool, from: Option<impl AsyncRead + Unpin>) {
    let Some(from) = from else { return };
    let (mark, plain) = if std::io::stderr().is_terminal() {
        ("\x1b[2m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !noise(text) {
            // A terminal that has gone must not end what runs.
            let _ = writeln!(std::io::stderr(), "{mark}{name:<12} |{plain} {text}");
        }
    }
}
