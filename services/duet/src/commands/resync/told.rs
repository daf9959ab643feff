//! What the services tell of a resync: `/v1/resync` of the sender, `/v1/inbox` of each receiver.

use super::ANSWER;
use crate::{
    failure::{Failure, Kind},
    internal::{body, why},
    place::Participant,
};
use futures::future::join_all;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What a resync would come to at the sender, and how the last one stands there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sender {
    pub(super) store: String,
    /// All of these would be announced.
    pub(super) rows: u64,
    /// Events of the outbox that would be dropped: the rows tell what they told.
    pub(super) dropped: u64,
    pub(super) receivers: Vec<Receiver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Last>,
}

/// How a receiver fits the sender's store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Receiver {
    pub(super) name: String,
    pub(super) unacknowledged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// The last resync.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Last {
    pub(super) stage: Stage,
    pub(super) begun: String,
    pub(super) announced: u64,
    pub(super) waits_for: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    #[default]
    Announcing,
    Sweeping,
    Done,
}

/// What a receiver holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Inbox {
    pub(super) receiver: String,
    pub(super) rows: u64,
    pub(super) stores: Vec<OfStore>,
    pub(super) parked: u64,
    pub(super) dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sweeping: Option<Sweeping>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OfStore {
    pub(super) store: String,
    pub(super) rows: u64,
}

/// A sweep under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sweeping {
    pub(super) swept: u64,
    pub(super) left: u64,
}

impl Sender {
    pub(super) fn is_under_way(&self) -> bool {
        self.last.as_ref().is_some_and(|it| it.stage != Stage::Done)
    }
}

/// What the pair tells.
#[derive(Debug)]
pub(super) struct Told {
    /// The base URL of the sender's internal port.
    pub(super) reaction: String,
    pub(super) sender: Sender,
    pub(super) inboxes: Vec<Inbox>,
    /// Who could not be asked, and why.
    pub(super) silent: Vec<(String, String)>,
}

/// What one participant is.
enum Is {
    Sender(String, Sender),
    Receiver(Inbox),
    /// Of another version, or of another kind.
    Neither,
}

impl Told {
    /// Asks every participant. Which side it is on shows by what it has.
    pub(super) async fn of(http: &Client, participants: &[Participant]) -> Result<Self, Failure> {
        let asked = join_all(participants.iter().map(|it| what_it_is(http, it))).await;
        let (mut sender, mut inboxes, mut silent) = (None, Vec::new(), Vec::new());
        for (participant, is) in participants.iter().zip(asked) {
            match is {
                Ok(Is::Sender(at, told)) => sender = Some((at, told)),
                Ok(Is::Receiver(inbox)) => inboxes.push(inbox),
                Ok(Is::Neither) => {}
                Err(why) => silent.push((participant.name.clone(), why)),
            }
        }
        let Some((reaction, sender)) = sender else {
            let silent: Vec<_> = silent
                .iter()
                .map(|(name, why)| format!("{name}: {why}"))
                .collect();
            let what = format!("no sender can be asked: {}", silent.join("; "));
            return Err(Failure::new(Kind::NotRunning, what.trim_end_matches(": "))
                .hint("`duet status` shows what each service says."));
        };
        Ok(Told {
            reaction,
            sender,
            inboxes,
            silent,
        })
    }

    /// What a receiver holds, or why it can't be asked. A pod's name has its service's in it.
    pub(super) fn held_by(&self, receiver: &str) -> Result<&Inbox, &str> {
        let mut inboxes = self.inboxes.iter();
        inboxes.find(|it| it.receiver == receiver).ok_or_else(|| {
            let mut silent = self.silent.iter();
            let silent = silent.find(|(name, _)| name.contains(receiver));
            silent.map_or("it is not there", |(_, why)| why)
        })
    }
}

async fn what_it_is(http: &Client, it: &Participant) -> Result<Is, String> {
    let at = it.internal.as_ref()?;
    if let Some((_, sender)) = answer(http.get(format!("{at}/v1/resync"))).await? {
        return Ok(Is::Sender(at.clone(), sender));
    }
    let inbox = answer(http.get(format!("{at}/v1/inbox"))).await?;
    Ok(inbox.map_or(Is::Neither, |(_, inbox)| Is::Receiver(inbox)))
}

/// Begins a resync; false where one is under way, which goes on.
pub(super) async fn begin(http: &Client, reaction: &str) -> Result<bool, Failure> {
    let begun = answer::<Sender>(http.post(format!("{reaction}/v1/resync"))).await;
    match begun {
        Ok(Some((status, _))) => Ok(status == StatusCode::ACCEPTED),
        Ok(None) => Err(Failure::new(
            Kind::Failed,
            "this Reaction can't resync: it is of an older version",
        )),
        Err(why) => Err(Failure::new(
            Kind::Failed,
            format!("can't begin a resync: {why}"),
        )),
    }
}

/// None if there is no such resource.
async fn answer<T: DeserializeOwned>(
    request: RequestBuilder,
) -> Result<Option<(StatusCode, T)>, String> {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let answer = request
        .send()
        .await
        .map_err(|error| match error.is_timeout() {
            true => format!("no answer within {ANSWER:?}"),
            false => why(&error),
        })?;
    let status = answer.status();
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let body = body(answer).await?;
    if !status.is_success() {
        let problem = serde_json::from_slice(&body);
        let problem = problem.map(|Problem { detail }| format!("{status}: {detail}"));
        return Err(problem.unwrap_or_else(|_| status.to_string()));
    }
    let told = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(Some((status, told)))
}
