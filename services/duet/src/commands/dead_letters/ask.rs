//! Questions to a receiver's internal port, and what it answers instead.

use crate::{
    failure::{Failure, Kind},
    internal::{body, why},
};
use duet_web::{
    dead_letters::{
        CAUSES, Cause, DISCARD, Discard, Discarded, Filter, LETTERS, Letter, Preview, Progress,
        REDRIVE, Redrive,
    },
    page::List,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, time::Duration};

/// A preview or a discard looks at many letters.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// The letters that are asked for at once.
const PAGE: &str = "200";

/// A receiver that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    /// The service; in a cluster the pod.
    pub(super) name: String,
    pub(super) internal: String,
    pub(super) http: reqwest::Client,
}

/// Why a receiver did not do what it was asked.
#[derive(Debug)]
pub(super) enum Refused {
    /// It did not answer.
    Away(String),
    /// It answered with a problem.
    Problem(Box<Problem>),
}

/// A problem, as RFC 9457 has it.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
}

impl Refused {
    /// Whether it has no such resource at all: it is no receiver, or an older one.
    pub(super) fn is_no_receiver(&self) -> bool {
        matches!(self, Self::Problem(it) if it.kind == "/problems/not-found")
    }

    /// Whether there is no such letter.
    pub(super) fn is_no_letter(&self) -> bool {
        matches!(self, Self::Problem(it) if it.kind == "/problems/dead-letter-not-found")
    }

    /// Whether a redrive is under way, and another can't begin.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self, Self::Problem(it) if it.kind == "/problems/redrive-under-way")
    }

    /// As the command's failure.
    pub(super) fn failure(self, name: &str) -> Failure {
        let kind = match &self {
            Self::Away(_) => Kind::NotRunning,
            Self::Problem(it) => match it.status {
                404 => Kind::NotFound,
                503 => Kind::NotRunning,
                _ => Kind::Failed,
            },
        };
        Failure::new(kind, format!("{name}: {self}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Problem(it) => write!(f, "{}: {}", it.title, it.detail),
        }
    }
}

impl Receiver {
    /// How many there are, by cause.
    pub(super) async fn causes(&self, filter: &Filter) -> Result<Vec<Cause>, Refused> {
        let list: List<Cause> = self.send(self.get(CAUSES).query(&query(filter))).await?;
        Ok(list.items)
    }

    /// A page of them.
    pub(super) async fn page(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
    ) -> Result<List<Letter>, Refused> {
        let mut query = query(filter);
        query.push(("limit", PAGE.to_owned()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.send(self.get(LETTERS).query(&query)).await
    }

    /// One of them.
    pub(super) async fn letter(&self, id: impl fmt::Display) -> Result<Letter, Refused> {
        self.send(self.get(&format!("{LETTERS}/{id}"))).await
    }

    /// What a redrive would come to.
    pub(super) async fn preview(&self, filter: Filter) -> Result<Preview, Refused> {
        let ask = Redrive {
            filter,
            rate: None,
            dry_run: true,
        };
        self.post(REDRIVE, &ask).await
    }

    /// Begins a redrive.
    pub(super) async fn redrive(
        &self,
        filter: Filter,
        rate: Option<std::num::NonZeroU32>,
    ) -> Result<Progress, Refused> {
        let ask = Redrive {
            filter,
            rate,
            dry_run: false,
        };
        self.post(REDRIVE, &ask).await
    }

    /// How far the last one has come.
    pub(super) async fn progress(&self) -> Result<Progress, Refused> {
        self.send(self.get(REDRIVE)).await
    }

    /// Cancels the one that is under way.
    pub(super) async fn cancel(&self) -> Result<Progress, Refused> {
        let url = format!("{}{REDRIVE}", self.internal);
        self.send(self.http.delete(url)).await
    }

    /// Gives them up.
    pub(super) async fn discard(&self, filter: Filter) -> Result<Discarded, Refused> {
        self.post(DISCARD, &Discard { filter }).await
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.internal))
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        ask: &impl Serialize,
    ) -> Result<T, Refused> {
        let url = format!("{}{path}", self.internal);
        self.send(self.http.post(url).json(ask)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Refused> {
        let answer = request.send().await;
        let answer = answer.map_err(|error| Refused::Away(why(&error)))?;
        let status = answer.status();
        let body = body(answer).await.map_err(Refused::Away)?;
        let unreadable = |error| Refused::Away(format!("it answers {status}, unreadable: {error}"));
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(unreadable),
            false => Err(Refused::Problem(
                serde_json::from_slice(&body).map_err(unreadable)?,
            )),
        }
    }
}

/// A filter as a query's parameters.
fn query(filter: &Filter) -> Vec<(&'static str, String)> {
    let Filter {
        ids,
        cause,
        state,
        kind,
        key_prefix,
        before,
    } = filter;
    let mut query: Vec<_> = ids.iter().map(|id| ("id", id.0.to_string())).collect();
    let before = before.and_then(|at| jiff::Timestamp::from_microsecond(at.micros()).ok());
    let others = [
        ("cause", cause.as_ref().map(|it| it.0.to_string())),
        ("state", state.map(|it| it.as_str().to_owned())),
        ("kind", kind.as_ref().map(|it| it.0.to_string())),
        ("keyPrefix", key_prefix.as_ref().map(|it| it.0.to_string())),
        ("before", before.map(|it| it.to_string())),
    ];
    let others = others.into_iter();
    query.extend(others.filter_map(|(name, value)| Some((name, value?))));
    query
}
