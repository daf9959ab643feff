use super::{AtReceiver, Facts};
use crate::failure::Failure;
use crate::internal;
use crate::place::{Pair, Participant, Place};
use duet_channel::clock::Clock;
use duet_channel::life::{Name, Received, Sent};
use duet_channel::store::sqlite::{file, life, versions};
use duet_protocol::event::Key;
use duet_reaction::domain::Pair as Subject;
use duet_reaction::store::reactions;
use futures::future::join_all;
use serde::Deserialize;
use std::path::PathBuf;

/// The services of a laptop, each with a store of its name.
const SERVICES: [&str; 3] = ["reaction", "notification", "trending"];

/// What a service tells: which of the two it is shows by what it has.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Sent(Box<Sent>),
    Received(Box<Received>),
}

/// Where one service is asked.
struct Source {
    name: String,
    /// Its internal port, or why it has none.
    internal: Result<String, String>,
    /// Its store, on this machine.
    file: Option<PathBuf>,
}

/// Gathers what each service tells; on a laptop its file does where it does not run.
pub(crate) async fn ask(
    place: &Place,
    subject: &Subject,
    asked: Option<Name>,
) -> Result<Facts, Failure> {
    let pair = match place.cluster() {
        Some(_) => Some(place.pair().await?),
        None => place.data.running().map(Pair::from),
    };
    let sources = match place.cluster() {
        Some(_) => pair
            .iter()
            .flat_map(|pair| &pair.participants)
            .map(of_pod)
            .collect(),
        None => on_this_machine(place, pair.as_ref())?,
    };
    let key = subject.key().ok_or_else(|| {
        Failure::new(
            crate::failure::Kind::Failed,
            "post and user are longer than a key is",
        )
    })?;
    let (post, user) = (subject.post.to_string(), subject.user.to_string());
    let http = internal::client();
    let mut sender = Err("it is not there".to_owned());
    let mut receivers = Vec::new();
    let told = join_all(sources.iter().map(|it| it.tells(&http, &key, None))).await;
    for (source, told) in sources.iter().zip(told) {
        match told {
            Ok(Told::Sent(sent)) => sender = Ok(*sent),
            Ok(Told::Received(received)) => receivers.push((source, Ok(*received))),
            Err(why) if source.name.contains(SERVICES[0]) => sender = Err(why),
            Err(why) => receivers.push((source, Err(why))),
        }
    }
    let row = sender.as_ref().ok().and_then(|sent| sent.row.as_ref());
    if let Some(event) = row.map(|row| row.event) {
        for (source, told) in &mut receivers {
            if told.is_ok()
                && let Ok(Told::Received(again)) = source.tells(&http, &key, Some(event)).await
            {
                *told = Ok(*again);
            }
        }
    }
    let mut arrivals = Vec::new();
    for (source, _) in &receivers {
        arrivals.push(match asked {
            Some(_) => source.tells(&http, &key, asked).await.ok(),
            None => None,
        });
    }
    let jaeger = pair.as_ref().and_then(|pair| pair.jaeger.as_ref());
    let trace = jaeger.zip(row.and_then(|row| row.trace.as_ref()));
    let receivers = receivers.into_iter().zip(arrivals);
    let receivers = receivers.map(|((source, told), asked)| AtReceiver {
        name: source.name.clone(),
        told,
        asked: match asked {
            Some(Told::Received(asked)) => asked.arrival,
            _ => None,
        },
    });
    Ok(Facts {
        post,
        user,
        asked,
        trace: trace.map(|(at, id)| format!("{}/trace/{id}", at.page)),
        receivers: receivers.collect(),
        sender,
    })
}

fn of_pod(participant: &Participant) -> Source {
    Source {
        name: participant.name.clone(),
        internal: participant.internal.clone(),
        file: None,
    }
}

/// What runs here, and the stores that are here.
fn on_this_machine(place: &Place, pair: Option<&Pair>) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for name in SERVICES {
        let mut running = pair.iter().flat_map(|pair| &pair.participants);
        let running = running.find(|it| it.name == name);
        let file = place.data.of(name).join(format!("{name}.sqlite"));
        let file = Some(file).filter(|file| file.exists());
        if running.is_none() && file.is_none() {
            continue;
        }
        let not_running = || Err("it does not run".to_owned());
        sources.push(Source {
            name: name.to_owned(),
            internal: running.map_or_else(not_running, |it| it.internal.clone()),
            file,
        });
    }
    if sources.is_empty() {
        place.data.must_run()?;
    }
    Ok(sources)
}

impl Source {
    /// What it tells of a key; of an event, a receiver tells whether it came.
    async fn tells(
        &self,
        http: &reqwest::Client,
        key: &Key,
        event: Option<Name>,
    ) -> Result<Told, String> {
        let asked = match &self.internal {
            Ok(internal) => {
                let event = event
                    .map(|event| format!("&event={event}"))
                    .unwrap_or_default();
                // Of what an id may have, and the slash between two, nothing has to be encoded in a query.
                let url = format!("{internal}/v1/why?key={key}{event}");
                internal::get(http, &url, false).await
            }
            Err(why) => Err(why.clone()),
        };
        match (asked, &self.file) {
            (Err(_), Some(_)) => self.in_file(key, event).map_err(|error| error.to_string()),
            (asked, _) => asked,
        }
    }

    /// What its store's file tells, while nobody need serve it.
    fn in_file(&self, key: &Key, event: Option<Name>) -> Result<Told, file::FileError> {
        let path = self.file.clone().unwrap_or_default();
        let (now, event) = (Clock::start().wall(), event.map(|name| name.0));
        match self.name.as_str() {
            "reaction" => file::read(&path, duet_reaction::store::MIGRATIONS, |connection| {
                let row = reactions::own_row(connection, key)?;
                life::sender(connection, key, row, now).map(|it| Told::Sent(Box::new(it)))
            }),
            "notification" => {
                file::read(&path, duet_notification::store::MIGRATIONS, |connection| {
                    let row = duet_notification::store::applied(connection, key)?;
                    life::receiver(connection, key, row, event, now)
                        .map(|it| Told::Received(Box::new(it)))
                })
            }
            _ => file::read(&path, duet_trending::MIGRATIONS, |connection| {
                let row = versions::applied(connection, key)?;
                life::receiver(connection, key, row, event, now)
                    .map(|it| Told::Received(Box::new(it)))
            }),
        }
    }
}
