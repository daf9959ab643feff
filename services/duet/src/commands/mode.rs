//! `duet mode [sync|async]`: shows the mode, or switches it and waits until it is followed. On a laptop that edits the Channel document,
//! in a cluster it patches the Channel.

use super::{on_one_thread, print, print_json};
use crate::{
    channel_file::{ChannelFile, name},
    cluster::{self, Cluster},
    failure::{Failure, Kind},
    internal::{self, Observed, client},
    place::{Pair, Participant, Place},
};
use futures::future::{join_all, try_join_all};
use serde::Serialize;
use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Between two questions to a service.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The mode to switch to; without it the mode is shown
    #[arg(value_enum)]
    mode: Option<Mode>,
    #[command(flatten)]
    place: Place,
    /// The Channel document, if it isn't the one that the data directory names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context", "namespace", "release"])]
    channel: Option<PathBuf>,
    /// Seconds to wait until each service follows
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    wait: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// As a verb is told it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Reaction calls Notification, and the caller waits
    Sync,
    /// Reaction hands the event to the broker, and the caller doesn't wait
    Async,
}

impl From<Mode> for duet_crd::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Sync => Self::Sync,
            Mode::Async => Self::Async,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// As the Channel says.
    mode: &'static str,
    /// What it said before, where this command changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    /// The document's path, or the resource in a cluster.
    channel: String,
    /// Who follows since when; empty where nothing runs.
    followed: Vec<Followed>,
    /// When the Channel's status said that all follow; only in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_after_ms: Option<u128>,
}

/// Who follows: a service, in a cluster a pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    service: String,
    took_ms: u128,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
struct Goal {
    mode: duet_crd::Mode,
    /// The generation that has it, where the Channel is one that counts them for everybody.
    generation: Option<u64>,
    /// The clock starts before the change is made: what is told is what a caller would have seen.
    since: Instant,
    patience: Duration,
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let report = match options.place.cluster() {
        Some(cluster) => on_one_thread(in_cluster(&options, cluster))?,
        None => here(&options)?,
    };
    if options.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

/// On a laptop.
fn here(options: &Options) -> Result<Report, Failure> {
    let data = &options.place.data;
    let running = data.running();
    let path = options
        .channel
        .clone()
        .or_else(|| running.as_ref().map(|it| it.channel.clone()))
        .unwrap_or_else(|| data.channel());
    let mut file = ChannelFile::read(&path).map_err(|failure| match path.exists() {
        true => failure,
        false => failure.hint("`duet up` makes one; or name one with --channel FILE. If the pair is in a Kubernetes cluster, say where with --namespace."),
    })?;
    let was = file.mode();
    let channel = file.path().display().to_string();
    let Some(goal) = options.goal() else {
        return Ok(Report::showing(was, channel));
    };
    if was != goal.mode {
        file.switch(goal.mode)?;
    }
    // Another document than the one that the pair watches changes nothing there.
    let watched = running.filter(|it| {
        it.channel
            .canonicalize()
            .is_ok_and(|channel| channel == file.path())
    });
    let followed = match watched {
        Some(running) => {
            let participants = Pair::from(running).participants;
            on_one_thread(followed(&client(), &participants, goal))?
        }
        None => Vec::new(),
    };
    Ok(Report {
        mode: name(goal.mode),
        was: Some(name(was)),
        channel,
        followed,
        status_after_ms: None,
    })
}

/// In a cluster.
async fn in_cluster(options: &Options, at: &cluster::Options) -> Result<Report, Failure> {
    let cluster = Cluster::connect(at).await?;
    let mut channel = cluster.channel().await?;
    let was = channel.mode;
    if options.mode.is_none() {
        return Ok(Report::showing(was, channel.path()));
    }
    let pair = cluster.pair().await?;
    let http = client();
    // The way to each pod is opened before the clock starts.
    join_all(pair.participants.iter().map(|it| told(&http, it))).await;
    let Some(mut goal) = options.goal() else {
        return Ok(Report::showing(was, channel.path()));
    };
    if was != goal.mode {
        channel = cluster.switch(&channel, goal.mode).await?;
    }
    goal.generation = channel.generation.map(i64::cast_unsigned);
    let says_so = async {
        cluster.all_follow(&channel, goal.patience).await?;
        Ok(goal.since.elapsed().as_millis())
    };
    let (followed, status_after_ms) =
        tokio::try_join!(followed(&http, &pair.participants, goal), says_so)?;
    Ok(Report {
        mode: name(goal.mode),
        was: Some(name(was)),
        channel: channel.path(),
        followed,
        status_after_ms: Some(status_after_ms),
    })
}

/// Waits until every participant says that it follows.
async fn followed(
    http: &reqwest::Client,
    participants: &[Participant],
    goal: Goal,
) -> Result<Vec<Followed>, Failure> {
    let follows = async |it: &Participant| {
        loop {
            let told = told(http, it).await;
            if told.as_ref().is_ok_and(|told| goal.is_met(told)) {
                return Ok(Followed {
                    service: it.name.clone(),
                    took_ms: goal.since.elapsed().as_millis(),
                });
            }
            if goal.since.elapsed() > goal.patience {
                return Err(not_followed(&it.name, told, goal.patience));
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    try_join_all(participants.iter().map(follows)).await
}

async fn told(http: &reqwest::Client, at: &Participant) -> Result<Observed, String> {
    internal::observed(http, at.internal.as_ref()?).await
}

impl Options {
    /// The clock of the goal starts now.
    fn goal(&self) -> Option<Goal> {
        Some(Goal {
            mode: self.mode?.into(),
            generation: None,
            since: Instant::now(),
            patience: Duration::from_secs(self.wait.into()),
        })
    }
}

impl Goal {
    fn is_met(&self, told: &Observed) -> bool {
        told.mode.as_deref() == Some(name(self.mode)) && told.observed_generation >= self.generation
    }
}

impl Report {
    /// Of a Channel that is left as it is.
    fn showing(mode: duet_crd::Mode, channel: String) -> Self {
        Self {
            mode: name(mode),
            was: None,
            channel,
            followed: Vec::new(),
            status_after_ms: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mode,
            was,
            channel,
            followed,
            status_after_ms,
        } = self;
        match was {
            None => return writeln!(f, "{mode}"),
            Some(was) if was != mode => writeln!(f, "{was} -> {mode} in {channel}")?,
            Some(_) => writeln!(f, "{mode} already in {channel}")?,
        }
        for Followed { service, took_ms } in followed {
            writeln!(f, "{service} follows after {took_ms} ms")?;
        }
        match status_after_ms {
            Some(took_ms) => writeln!(f, "the Channel's status says so after {took_ms} ms"),
            None if followed.is_empty() => {
                writeln!(f, "The pair isn't running; it will start with that.")
            }
            None => Ok(()),
        }
    }
}

fn not_followed(service: &str, told: Result<Observed, String>, patience: Duration) -> Failure {
    let instead = match told {
        Err(error) => error,
        Ok(told) => {
            let refused = told
                .conditions
                .iter()
                .find(|it| it.r#type == "Accepted" && it.status == "False");
            let why = refused.map(|it| format!(" ({}: {})", it.r#type, it.message));
            format!(
                "it still says {}{}",
                told.mode.as_deref().unwrap_or("no mode"),
                why.unwrap_or_default()
            )
        }
    };
    let what = format!("{service} doesn't follow within {patience:?}: {instead}");
    Failure::new(Kind::Late, what)
        .hint("The Channel is changed. `duet status` shows what each service says.")
}
