//! `duet mode [sync|async]`: shows the mode, or switches it and waits until it is followed. On a laptop that edits the Channel document,
//! in a cluster it patches the Channel.

use super::{
    following::{self, Followed, followed, told},
    on_one_thread, print, print_json,
};
use crate::{
    channel_file::name,
    cluster::{self, Cluster},
    failure::Failure,
    internal::{Observed, client},
    place::{Pair, Place},
};
use duet_crd::CanarySpec;
use futures::future::join_all;
use serde::Serialize;
use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

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
    /// The share that takes another mode; none where all take the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
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

/// A share of the pairs that takes another mode.
#[derive(Debug, Serialize)]
struct Canary {
    mode: &'static str,
    percent: u32,
}

impl Canary {
    /// None where it changes nothing for this mode.
    fn beside(mode: duet_crd::Mode, canary: Option<&CanarySpec>) -> Option<Self> {
        let canary = canary.filter(|it| it.mode != mode && it.percent > 0)?;
        Some(Self {
            mode: name(canary.mode),
            percent: canary.percent,
        })
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, percent } = self;
        write!(f, "{percent} of 100 pairs take {mode} (spec.canary)")
    }
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
    let (mut file, watched) = options.place.channel_file(options.channel.as_deref())?;
    let was = file.mode();
    let channel = file.path().display().to_string();
    let Some(goal) = options.goal() else {
        let canary = Canary::beside(was, file.canary());
        return Ok(Report::showing(was, canary, channel));
    };
    if was != goal.mode {
        file.switch(goal.mode)?;
    }
    let followed = match watched {
        Some(running) => {
            let participants = Pair::from(running).participants;
            let is_met = |_: &str, told: &Observed| goal.is_met(told);
            on_one_thread(followed(&client(), &participants, goal.until(&is_met)))?
        }
        None => Vec::new(),
    };
    Ok(Report {
        mode: name(goal.mode),
        canary: Canary::beside(goal.mode, file.canary()),
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
    let canary = channel.canary.clone();
    if options.mode.is_none() {
        let canary = Canary::beside(was, canary.as_ref());
        return Ok(Report::showing(was, canary, channel.path()));
    }
    let pair = cluster.pair().await?;
    let http = client();
    // The way to each pod is opened before the clock starts.
    join_all(pair.participants.iter().map(|it| told(&http, it))).await;
    let Some(mut goal) = options.goal() else {
        let canary = Canary::beside(was, canary.as_ref());
        return Ok(Report::showing(was, canary, channel.path()));
    };
    if was != goal.mode {
        channel = cluster.switch(&channel, goal.mode).await?;
    }
    goal.generation = channel.generation.map(i64::cast_unsigned);
    let says_so = async {
        cluster.all_follow(&channel, goal.patience).await?;
        Ok(goal.since.elapsed().as_millis())
    };
    let is_met = |_: &str, told: &Observed| goal.is_met(told);
    let follow = followed(&http, &pair.participants, goal.until(&is_met));
    let (followed, status_after_ms) = tokio::try_join!(follow, says_so)?;
    Ok(Report {
        mode: name(goal.mode),
        canary: Canary::beside(goal.mode, canary.as_ref()),
        was: Some(name(was)),
        channel: channel.path(),
        followed,
        status_after_ms: Some(status_after_ms),
    })
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
    fn until<'a>(self, is_met: &'a dyn Fn(&str, &Observed) -> bool) -> following::Goal<'a> {
        following::Goal {
            is_met,
            since: self.since,
            patience: self.patience,
        }
    }

    fn is_met(&self, told: &Observed) -> bool {
        told.mode.as_deref() == Some(name(self.mode)) && told.observed_generation >= self.generation
    }
}

impl Report {
    /// Of a Channel that is left as it is.
    fn showing(mode: duet_crd::Mode, canary: Option<Canary>, channel: String) -> Self {
        Self {
            mode: name(mode),
            canary,
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
            canary,
            was,
            channel,
            followed,
            status_after_ms,
        } = self;
        match was {
            None => {
                return match canary {
                    Some(canary) => writeln!(f, "{mode}; {canary}"),
                    None => writeln!(f, "{mode}"),
                };
            }
            Some(was) if was != mode => writeln!(f, "{was} -> {mode} in {channel}")?,
            Some(_) => writeln!(f, "{mode} already in {channel}")?,
        }
        if let Some(canary) = canary {
            writeln!(f, "{canary}")?;
        }
        for Followed {
            service, took_ms, ..
        } in followed
        {
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
