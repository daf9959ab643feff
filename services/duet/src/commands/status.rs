//! `duet status`: what each service says of the channel, and what is down.

use super::{on_one_thread, print, print_json};
use crate::{
    cluster::{Cluster, Standing},
    compare::{Journal, line_in_cluster},
    failure::{Failure, Kind},
    internal::{self, Observed, Readiness, client},
    place::{Participant, Place},
};
use futures::future::join_all;
use serde::Serialize;
use std::fmt::{self, Write as _};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    ready: bool,
    /// What the operator says; on a laptop there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Standing>,
    /// What a `duet compare` changes, or left changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<String>,
    services: Vec<Service>,
}

/// What one service, or one pod of it, says; `down` says why it says nothing.
#[derive(Debug, Serialize)]
struct Service {
    service: String,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there are as many as services")]
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
    let (status, no_channel) = on_one_thread(ask(&options.place))?;
    if options.json {
        print_json(&status)?;
    } else {
        print(&status);
    }
    if let Some(failure) = no_channel {
        return Err(failure);
    }
    if status.ready {
        let refused = || status.each(Observed::refused, "not accepted");
        return match (status.each(Observed::degraded, "degraded"), refused()) {
            (Some(why), _) => Err(Failure::new(Kind::Degraded, why)),
            (None, Some(why)) => Err(Failure::new(Kind::Invalid, why)
                .hint("What was in force before still is: the newest Channel is not.")),
            (None, None) => Ok(()),
        };
    }
    let channel = status.channel.iter().filter(|it| it.ready().is_err());
    let down = status.services.iter().filter(|it| !it.state.is_ready());
    let names = channel
        .map(|it| format!("channel/{}", it.name))
        .chain(down.map(|it| it.service.clone()));
    let what = format!("not ready: {}", names.collect::<Vec<_>>().join(", "));
    Err(Failure::new(Kind::NotRunning, what))
}

impl Status {
    /// What is wrong where something is, and why.
    fn each(&self, wrong: fn(&Observed) -> Option<&str>, what: &str) -> Option<String> {
        let wrong = self.services.iter().filter_map(|it| match &it.state {
            State::Up {
                channel: Ok(observed),
                ..
            } => Some((&it.service, wrong(observed)?)),
            State::Up { .. } | State::Down { .. } => None,
        });
        let each: Vec<_> = wrong
            .map(|(service, why)| format!("{service}: {why}"))
            .collect();
        (!each.is_empty()).then(|| format!("{what}: {}", each.join("; ")))
    }
}

/// The second is why there is no Channel in a cluster: its pods are shown all the same.
async fn ask(place: &Place) -> Result<(Status, Option<Failure>), Failure> {
    let (pair, channel, compare) = match place.cluster() {
        None => {
            let compare = Journal::of(&place.data).map(|it| it.line());
            (place.pair().await?, None, compare)
        }
        Some(options) => {
            let cluster = Cluster::connect(options).await?;
            let channel = cluster.channel().await;
            let compare = match &channel {
                Ok(channel) => line_in_cluster(&cluster, &channel.name).await,
                Err(_) => None,
            };
            (cluster.pair().await?, Some(channel), compare)
        }
    };
    let (channel, no_channel) = match channel {
        None => (None, None),
        Some(Ok(channel)) => (Some(channel), None),
        Some(Err(failure)) => (None, Some(failure)),
    };
    let http = client();
    let services: Vec<_> = join_all(pair.participants.iter().map(|it| one(&http, it))).await;
    let status = Status {
        ready: no_channel.is_none()
            && channel.iter().all(|it| it.ready().is_ok())
            && services.iter().all(|it| it.state.is_ready()),
        channel,
        compare,
        services,
    };
    Ok((status, no_channel))
}

async fn one(http: &reqwest::Client, at: &Participant) -> Service {
    let state = match &at.internal {
        Err(down) => State::Down { down: down.clone() },
        Ok(internal) => {
            let (readiness, channel) = tokio::join!(
                internal::readiness(http, internal),
                internal::observed(http, internal)
            );
            match readiness {
                Ok(readiness) => State::Up { readiness, channel },
                Err(down) => State::Down { down },
            }
        }
    };
    Service {
        service: at.name.clone(),
        state,
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(channel) = &self.channel {
            writeln!(f, "{channel}")?;
        }
        if let Some(compare) = &self.compare {
            writeln!(f, "{compare}")?;
        }
        let names = self.services.iter().map(|it| it.service.len());
        let wide = names.max().unwrap_or_default() + 1;
        for Service { service, state } in &self.services {
            write!(f, "{service:<wide$} ")?;
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
                        writeln!(f, "{:<wide$} {part}: {reason}", "")?;
                    }
                    for it in channel.iter().flat_map(|it| &it.conditions) {
                        writeln!(f, "{:<wide$} {it}", "")?;
                    }
                    for it in channel.iter().flat_map(Observed::mended) {
                        writeln!(f, "{:<wide$} {it}", "")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Mode, generation and numbers on one line; dead letters and retransmissions only where there are some.
fn line(observed: &Observed) -> String {
    let number = |it: Option<u64>| it.map(|it| it.to_string());
    let numbers = [
        ("generation", number(observed.observed_generation)),
        ("unacknowledged", number(observed.unacknowledged)),
        ("oldest", observed.oldest_age.clone()),
        ("parked", number(observed.parked)),
        (
            "dead letters",
            number(observed.dead_letters.filter(|it| *it > 0)),
        ),
        (
            "retransmissions",
            number(observed.retransmissions.filter(|it| *it > 0)),
        ),
        ("lost", number(observed.lost)),
    ];
    let mut line = observed
        .mode
        .clone()
        .unwrap_or_else(|| "no mode yet".to_owned());
    if let Some(canary) = &observed.canary {
        let _ = write!(line, "  {canary}");
    }
    for (name, value) in numbers {
        if let Some(value) = value {
            // Writing to a String can't fail.
            let _ = write!(line, "  {name} {value}");
        }
    }
    line
}
