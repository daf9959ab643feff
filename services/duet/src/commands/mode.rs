//! `duet mode [sync|async]`: shows the mode, or edits the Channel document and waits until it is followed.

use super::{on_one_thread, print, print_json};
use crate::{
    channel_file::{ChannelFile, name},
    data_dir::DataDir,
    failure::{Failure, Kind},
    internal::{self, client},
    running::Running,
};
use serde::Serialize;
use std::{
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
    data: DataDir,
    /// The Channel document, if it isn't the one that the data directory names
    #[arg(long, value_name = "FILE")]
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
    /// As the document says.
    mode: &'static str,
    /// What it said before, where this command changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    channel: PathBuf,
    /// Who follows since when; empty where nothing runs.
    followed: Vec<Followed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    service: &'static str,
    took_ms: u128,
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let running = options.data.running();
    let path = options
        .channel
        .clone()
        .or_else(|| running.as_ref().map(|it| it.channel.clone()))
        .unwrap_or_else(|| options.data.channel());
    let mut file = ChannelFile::read(&path).map_err(|failure| match path.exists() {
        true => failure,
        false => failure.hint("`duet up` makes one; or name one with --channel FILE."),
    })?;
    let Some(wanted) = options.mode.map(duet_crd::Mode::from) else {
        return show(&options, &file);
    };

    let was = file.mode();
    // The clock starts before the rename: what is told is what a caller would have seen.
    let since = Instant::now();
    if was != wanted {
        file.switch(wanted)?;
    }
    // Another document than the one that the pair watches changes nothing there.
    let watched = running.filter(|it| {
        it.channel
            .canonicalize()
            .is_ok_and(|channel| channel == file.path())
    });
    let followed = match &watched {
        Some(running) => {
            let patience = Duration::from_secs(options.wait.into());
            on_one_thread(followed(running, name(wanted), since, patience))?
        }
        None => Vec::new(),
    };
    let report = Report {
        mode: name(wanted),
        was: Some(name(was)),
        channel: file.path().to_owned(),
        followed,
    };
    if options.json {
        return print_json(&report);
    }
    tell(&report, watched.is_some());
    Ok(())
}

fn show(options: &Options, file: &ChannelFile) -> Result<(), Failure> {
    let mode = name(file.mode());
    if options.json {
        let channel = file.path().to_owned();
        return print_json(&Report {
            mode,
            was: None,
            channel,
            followed: Vec::new(),
        });
    }
    print(format_args!("{mode}\n"));
    Ok(())
}

fn tell(report: &Report, runs: bool) {
    let Report {
        mode,
        was,
        channel,
        followed,
    } = report;
    match was.filter(|was| was != mode) {
        Some(was) => print(format_args!("{was} -> {mode} in {}\n", channel.display())),
        None => print(format_args!("{mode} already in {}\n", channel.display())),
    }
    for Followed { service, took_ms } in followed {
        print(format_args!("{service} follows after {took_ms} ms\n"));
    }
    if !runs {
        print("The pair isn't running; it will start with that.\n");
    }
}

/// Waits until each service says that it follows `mode`.
async fn followed(
    running: &Running,
    mode: &str,
    since: Instant,
    patience: Duration,
) -> Result<Vec<Followed>, Failure> {
    let http = client();
    let ask = |(service, at): (&'static str, &crate::running::Service)| {
        let (http, internal) = (http.clone(), at.internal.clone());
        async move {
            loop {
                let told = internal::observed(&http, &internal).await;
                if told
                    .as_ref()
                    .is_ok_and(|told| told.mode.as_deref() == Some(mode))
                {
                    return Ok(Followed {
                        service,
                        took_ms: since.elapsed().as_millis(),
                    });
                }
                if since.elapsed() > patience {
                    return Err(not_followed(service, told, patience));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    let [reaction, notification] = running.services();
    let (reaction, notification) = tokio::join!(ask(reaction), ask(notification));
    Ok(vec![reaction?, notification?])
}

fn not_followed(
    service: &str,
    told: Result<internal::Observed, String>,
    patience: Duration,
) -> Failure {
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
        .hint("The document is written. `duet status` shows what each service says.")
}
