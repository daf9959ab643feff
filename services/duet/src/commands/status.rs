//! `duet status`: what each service says of the channel, and what is down.

use super::{on_one_thread, print, print_json};
use crate::{
    data_dir::DataDir,
    failure::{Failure, Kind},
    internal::{self, Observed, Readiness, client},
    running::Running,
};
use serde::Serialize;
use std::fmt::{self, Write as _};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    ready: bool,
    services: Vec<Service>,
}

/// What one service says; `down` says why it says nothing.
#[derive(Debug, Serialize)]
struct Service {
    service: &'static str,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum State {
    Down {
        down: String,
    },
    Up {
        readiness: Readiness,
        #[serde(serialize_with = "told")]
        channel: Result<Observed, String>,
    },
}

/// As it was told, or `{"error": …}`.
fn told<S: serde::Serializer>(
    channel: &Result<Observed, String>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match channel {
        Ok(observed) => observed.serialize(to),
        Err(error) => serde_json::json!({ "error": error }).serialize(to),
    }
}

impl State {
    fn is_ready(&self) -> bool {
        matches!(self, Self::Up { readiness, channel } if readiness.ready && channel.is_ok())
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let running = options.data.must_run()?;
    let status = on_one_thread(async { Ok(ask(&running).await) })?;
    if options.json {
        print_json(&status)?;
    } else {
        print(&status);
    }
    if status.ready {
        return Ok(());
    }
    let down: Vec<_> = status
        .services
        .iter()
        .filter(|it| !it.state.is_ready())
        .collect();
    let names: Vec<_> = down.iter().map(|it| it.service).collect();
    Err(Failure::new(
        Kind::NotRunning,
        format!("not ready: {}", names.join(", ")),
    ))
}

async fn ask(running: &Running) -> Status {
    let http = client();
    let one = async |(service, at): (&'static str, &crate::running::Service)| {
        let (readiness, channel) = tokio::join!(
            internal::readiness(&http, &at.internal),
            internal::observed(&http, &at.internal)
        );
        let state = match readiness {
            Ok(readiness) => State::Up { readiness, channel },
            Err(down) => State::Down { down },
        };
        Service { service, state }
    };
    let [reaction, notification] = running.services();
    let (reaction, notification) = tokio::join!(one(reaction), one(notification));
    let services = vec![reaction, notification];
    Status {
        ready: services.iter().all(|it| it.state.is_ready()),
        services,
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Service { service, state } in &self.services {
            write!(f, "{service:<13} ")?;
            match state {
                State::Down { down } => writeln!(f, "down: {down}")?,
                State::Up { readiness, channel } => {
                    f.write_str(if readiness.ready {
                        "ready"
                    } else {
                        "not ready"
                    })?;
                    match channel {
                        Ok(observed) => writeln!(f, "  {}", line(observed))?,
                        Err(error) => writeln!(f, "  {error}")?,
                    }
                    for (part, reason) in &readiness.reasons {
                        writeln!(f, "{:<13} {part}: {reason}", "")?;
                    }
                    for it in channel.iter().flat_map(|it| &it.conditions) {
                        let (reason, message) = (&it.reason, &it.message);
                        let why = [reason.as_str(), message].map(str::trim);
                        let why: Vec<_> = why.into_iter().filter(|it| !it.is_empty()).collect();
                        writeln!(
                            f,
                            "{:<13} {}={} {}",
                            "",
                            it.r#type,
                            it.status,
                            why.join(": ")
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Mode, generation and numbers on one line.
fn line(observed: &Observed) -> String {
    let mut line = observed
        .mode
        .clone()
        .unwrap_or_else(|| "no mode yet".to_owned());
    // Writing to a String can't fail.
    if let Some(generation) = observed.observed_generation {
        let _ = write!(line, "  generation {generation}");
    }
    if let Some(count) = observed.unacknowledged {
        let _ = write!(line, "  unacknowledged {count}");
    }
    for (name, value) in &observed.more {
        match value {
            serde_json::Value::Number(value) => drop(write!(line, "  {name} {value}")),
            serde_json::Value::String(value) => drop(write!(line, "  {name} {value}")),
            _ => {}
        }
    }
    line
}
