//! The pair that is measured: `duet up` as a user runs it, over stores that are new.

use super::{
    child::{Child, Program},
    load::Posts,
    options::Common,
};
use crate::{
    channel_file::ChannelFile,
    compare::Journal,
    data_dir::{DataDir, Held},
    failure::{Doing, Failure, Kind},
    internal::{self, client, why},
    process::Process,
    running::Running,
};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

/// Between two looks at what Notification still lacks.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the pair may take until all is stored at both ends.
const DRAINED: Duration = Duration::from_secs(600);
/// How long stopping may take.
const STOPPED: Duration = Duration::from_secs(60);
/// How long processes that were killed may take to be gone.
const GONE: Duration = Duration::from_secs(2);
/// Posts that are made at a time.
const AT_A_TIME: usize = 64;

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Traces {
    /// As the services sample by themselves; spans go to the Jaeger that `duet up` holds
    Default,
    /// None
    Off,
}

impl Traces {
    /// The default sampling where this build has a Jaeger to send spans to: without one nothing is recorded at all.
    pub(super) const BY_ITSELF: Self = if cfg!(feature = "jaeger") {
        Self::Default
    } else {
        Self::Off
    };
}

/// What a pair is started with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup<'a> {
    mode: duet_crd::Mode,
    traces: Traces,
    /// None where they are there already.
    posts: Option<Posts>,
    nats_server: Option<&'a Path>,
}

impl<'a> Setup<'a> {
    pub(super) fn of(common: &'a Common, mode: duet_crd::Mode, posts: Posts) -> Self {
        Self {
            mode,
            traces: common.traces,
            posts: Some(posts),
            nats_server: common.nats_server.as_deref(),
        }
    }

    /// Over stores that hold their posts.
    pub(super) fn again(self) -> Self {
        Self {
            posts: None,
            ..self
        }
    }
}

/// A pair that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Pair {
    data: DataDir,
    running: Running,
    pub(super) reaction: SocketAddr,
    /// Where Notification answers.
    pub(super) notification: SocketAddr,
    child: Option<Child>,
    http: reqwest::Client,
}

impl Pair {
    /// Starts it over the directory, and makes the posts.
    pub(super) async fn start(dir: &Path, setup: &Setup<'_>) -> Result<Self, Failure> {
        let channel = dir.join("channel.yaml");
        DataDir::make_channel(&channel, duet_crd::EXAMPLE)?;
        ChannelFile::read(&channel)?.switch(setup.mode)?;

        let mut program = Program::duet("the pair")
            .args(["up", "--json", "--data-dir"])
            .args([dir]);
        for port in [
            "reaction",
            "reaction-internal",
            "notification",
            "notification-internal",
            "jaeger",
        ] {
            program = program.args([format!("--{port}"), "127.0.0.1:0".to_owned()]);
        }
        if let Some(path) = setup.nats_server {
            program = program.args([Path::new("--nats-server"), path]);
        }
        // Whatever this shell says about traces, the report has to be true.
        program = program.env("OTEL_SDK_DISABLED", "false").env(
            "OTEL_TRACES_SAMPLER",
            match setup.traces {
                Traces::Default => "duet",
                Traces::Off => "always_off",
            },
        );
        let mut child = Child::start(program, &dir.join("log"))?;
        let running: Running = child.told().await?;
        let address = |url: &str| -> Result<SocketAddr, Failure> {
            let address = url.trim_start_matches("http://");
            address.parse().doing(|| format!("connect to {url}"))
        };
        let reaction = address(&running.reaction.public)?;
        let notification = address(&running.notification.public)?;
        let pair = Self {
            data: DataDir::at(dir),
            running,
            reaction,
            notification,
            child: Some(child),
            http: client(),
        };
        if let Some(posts) = setup.posts {
            pair.make(posts).await?;
        }
        Ok(pair)
    }

    async fn make(&self, posts: Posts) -> Result<(), Failure> {
        let make = |(post, owner)| async move {
            let url = format!("{}/v1/posts/{post}", self.running.reaction.public);
            let body = serde_json::json!({ "owner": owner, "title": format!("{post} of {owner}") });
            let answer = self.http.put(&url).json(&body).send().await;
            match answer.and_then(reqwest::Response::error_for_status) {
                Ok(_) => Ok(()),
                Err(error) => Err(Failure::new(
                    Kind::Failed,
                    format!("can't make {url}: {}", why(&error)),
                )),
            }
        };
        let made = futures::stream::iter(posts.all())
            .map(make)
            .buffer_unordered(AT_A_TIME);
        made.try_collect().await
    }

    /// What runs now, by name.
    pub(super) fn processes(&self) -> BTreeMap<String, Process> {
        let now = self.data.named();
        let mut all = now.map_or_else(|| self.running.children.clone(), |now| now.children);
        all.insert("duet up".to_owned(), self.running.duet.clone());
        all
    }

    /// Where its broker listens.
    pub(super) fn broker(&self) -> &str {
        &self.running.nats
    }

    /// Writes another mode into the Channel: the services follow by themselves.
    pub(super) fn switch(&self, mode: duet_crd::Mode) -> Result<(), Failure> {
        ChannelFile::read(&self.running.channel)?.switch(mode)
    }

    /// Ends a part, and keeps it down until this is given back.
    pub(super) async fn take_down(&self, part: &str) -> Result<Down, Failure> {
        let (mut journal, held) = Journal::begin(&self.data, self.running.channel.clone())?;
        journal.keep_down(&self.data, part)?;
        let gone = || async { !self.processes().contains_key(part) };
        self.until(&format!("still runs {part}"), gone).await?;
        Ok(Down {
            journal,
            _held: held,
        })
    }

    /// Starts it again. Ends once both services are ready.
    pub(super) async fn bring_back(&self, down: Down) -> Result<(), Failure> {
        let Down { mut journal, _held } = down;
        journal.go_on(&self.data)?;
        let ready = || async {
            let mut ready = true;
            for (name, service) in self.running.services() {
                let told = internal::readiness(&self.http, &service.internal).await;
                ready &= told.is_ok_and(|it| it.ready) && self.processes().contains_key(name);
            }
            ready && self.processes().contains_key("nats")
        };
        self.until("isn't ready again", ready).await?;
        journal.put_back(&self.data).map(drop)
    }

    async fn until<F: Future<Output = bool>>(
        &self,
        why: &str,
        is_so: impl Fn() -> F,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        while !is_so().await {
            if started.elapsed() > STOPPED {
                return Err(self.failure(&format!("{why} after {STOPPED:?}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until Reaction holds a receipt for everything that it accepted.
    pub(super) async fn drained(&self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let told = internal::observed(&self.http, &self.running.reaction.internal).await;
            match told.map(|told| told.unacknowledged) {
                Ok(Some(0)) => return Ok(()),
                left if started.elapsed() > DRAINED => {
                    let left = match left {
                        Ok(left) => format!("{} events are on their way", left.unwrap_or_default()),
                        Err(error) => error,
                    };
                    return Err(
                        self.failure(&format!("has not drained within {DRAINED:?}: {left}"))
                    );
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Stops it in order: afterwards the stores are closed.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        match self.child.take() {
            Some(child) => child.stop(STOPPED).await,
            None => Ok(()),
        }
    }

    fn failure(&self, what: &str) -> Failure {
        match &self.child {
            Some(child) => child.failure(what),
            None => Failure::new(Kind::Failed, format!("the pair {what}")),
        }
    }
}

/// A part that is kept down.
#[derive(Debug)]
pub(super) struct Down {
    journal: Journal,
    _held: Held,
}

impl Drop for Pair {
    /// The child kills `duet up` when it is dropped, and Linux then kills what that had started. Elsewhere this does.
    fn drop(&mut self) {
        if self.child.take().is_none() {
            return;
        }
        let children = self.running.children.values();
        children.clone().for_each(Process::kill_group);
        let since = Instant::now();
        while children.clone().any(|child| child.is_running()) && since.elapsed() < GONE {
            std::thread::sleep(PAUSE);
        }
    }
}
