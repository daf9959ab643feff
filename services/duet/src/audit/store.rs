//! A store, in its file or behind its service's internal port: the same questions, the same answers.

use crate::{
    failure::{Doing, Failure, Kind},
    internal,
};
use duet_channel::store::sqlite::audit::{
    self, AtReceiver, AuditRows, ReceiverTables, SenderTables, Stands,
};
use duet_protocol::{
    event::EventId,
    sequence::{Sequence, Source},
};
use rusqlite::{Connection, OpenFlags};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// How long one answer may take: all rows are read for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer that is read: rows come a page at a time, and epochs, of which each start of a process makes one, all at once.
const LONGEST: usize = 64 << 20;
/// How long a file's writer may keep a reader out.
const BUSY: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Store {
    /// The service's name.
    pub(crate) name: String,
    way: Way,
}

enum Way {
    File(Connection, &'static dyn AuditRows),
    Service(reqwest::Client, String),
}

impl Store {
    /// The store in a file, which is read and never written. Its service may run.
    pub(crate) fn file(
        name: &str,
        path: &Path,
        rows: &'static dyn AuditRows,
    ) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            Ok::<_, rusqlite::Error>(connection)
        };
        let connection = open().doing(|| format!("read {}", path.display()))?;
        Ok(Store {
            name: name.to_owned(),
            way: Way::File(connection, rows),
        })
    }

    /// The store of a service that is asked at its internal port.
    pub(crate) fn service(name: &str, internal: &str) -> Self {
        Store {
            name: name.to_owned(),
            way: Way::Service(
                internal::client_within(PATIENCE),
                internal.trim_end_matches('/').to_owned(),
            ),
        }
    }

    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(
            Kind::Untold,
            format!(
                "can't tell whether it balances: {}'s store can't be read: {error}",
                self.name
            ),
        )
    }

    /// What a sender's tables say, with the hashes up to these places.
    pub(crate) async fn sender(
        &self,
        at: &BTreeMap<Source, Sequence>,
    ) -> Result<SenderTables, Failure> {
        let told = match &self.way {
            Way::File(file, rows) => {
                audit::sender(file, *rows, at).map_err(|error| error.to_string())
            }
            Way::Service(http, base) => {
                let at: Vec<_> = at
                    .iter()
                    .map(|(source, sequence)| (source.to_string(), sequence.0))
                    .collect();
                post(http, &format!("{base}/v1/ledger"), &json!({"places": at})).await
            }
        };
        let mut told = told.map_err(|error| self.failed(error))?;
        told.findings
            .iter_mut()
            .for_each(|it| it.store.clone_from(&self.name));
        Ok(told)
    }

    /// What a receiver's tables say.
    pub(crate) async fn receiver(&self) -> Result<ReceiverTables, Failure> {
        let told = match &self.way {
            Way::File(file, rows) => {
                audit::receiver(file, *rows).map_err(|error| error.to_string())
            }
            Way::Service(http, base) => get(http, &format!("{base}/v1/ledger"), &[]).await,
        };
        let mut told = told.map_err(|error| self.failed(error))?;
        told.findings
            .iter_mut()
            .for_each(|it| it.store.clone_from(&self.name));
        Ok(told)
    }

    /// Up to `limit` rows, from the one after `after` on.
    pub(crate) async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stands>, Failure> {
        let told = match &self.way {
            Way::File(file, rows) => rows
                .page(file, after, limit)
                .map_err(|error| error.to_string()),
            Way::Service(http, base) => {
                let mut query = vec![("limit", limit.to_string())];
                query.extend(after.map(|after| ("after", after.to_owned())));
                get(http, &rows_of(base), &query).await
            }
        };
        told.map_err(|error| self.failed(error))
    }

    /// The rows of these keys.
    pub(crate) async fn rows(&self, keys: &[String]) -> Result<Vec<Option<Stands>>, Failure> {
        let told = match &self.way {
            Way::File(file, rows) => {
                let of = |key: &String| rows.of(file, key);
                let all = keys.iter().map(of).collect::<Result<Vec<_>, _>>();
                all.map_err(|error| error.to_string())
            }
            Way::Service(http, base) => {
                let ask = async |some: &[String]| {
                    post(http, &rows_of(base), &json!({"keys": some})).await
                };
                all(keys, ask).await
            }
        };
        told.map_err(|error| self.failed(error))
    }

    /// How these keys stand here, and whether an event of each has been received.
    pub(crate) async fn at_receiver(
        &self,
        keys: &[(String, Option<EventId>)],
    ) -> Result<Vec<AtReceiver>, Failure> {
        let told = match &self.way {
            Way::File(file, rows) => {
                audit::at_receiver(file, *rows, keys).map_err(|error| error.to_string())
            }
            Way::Service(http, base) => {
                let ask = async |some: &[(String, Option<EventId>)]| {
                    let text = |(key, event): &(String, Option<EventId>)| {
                        (key.clone(), event.map(|event| event.to_string()))
                    };
                    let some: Vec<_> = some.iter().map(text).collect();
                    post(http, &rows_of(base), &json!({"keys": some})).await
                };
                all(keys, ask).await
            }
        };
        told.map_err(|error| self.failed(error))
    }
}

fn rows_of(base: &str) -> String {
    format!("{base}/v1/ledger/rows")
}

/// Asks about all of them: each answer is about as many, from the first on, as fit into it.
async fn all<Q, T>(
    questions: &[Q],
    ask: impl AsyncFn(&[Q]) -> Result<Vec<T>, String>,
) -> Result<Vec<T>, String> {
    let mut answers = Vec::with_capacity(questions.len());
    while let Some(left) = questions
        .get(answers.len()..)
        .filter(|left| !left.is_empty())
    {
        let some = ask(left).await?;
        if some.is_empty() {
            return Err("an answer to nothing that was asked".to_owned());
        }
        answers.extend(some);
    }
    Ok(answers)
}

async fn post<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &str,
    question: &Value,
) -> Result<T, String> {
    let question = serde_json::to_vec(question).map_err(|error| error.to_string())?;
    let asked = http
        .post(url)
        .header("content-type", "application/json")
        .body(question);
    answer(url, asked).await
}

async fn get<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &str,
    query: &[(&str, String)],
) -> Result<T, String> {
    let mut with = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    if !query.is_empty() {
        with.query_pairs_mut().extend_pairs(query);
    }
    answer(url, http.get(with)).await
}

async fn answer<T: DeserializeOwned>(
    url: &str,
    asked: reqwest::RequestBuilder,
) -> Result<T, String> {
    let answer = asked.send().await.map_err(|error| internal::why(&error))?;
    let status = answer.status();
    let body = internal::body_within(answer, LONGEST).await?;
    if !status.is_success() {
        return Err(format!("{url} says {status}"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_into_one_answer_is_asked_for_again() {
        let keys = [1, 2, 3, 4, 5];
        let two = async |some: &[i32]| Ok(some.iter().take(2).map(|it| it * 10).collect());
        assert_eq!(all(&keys, two).await, Ok(vec![10, 20, 30, 40, 50]));
        let none = async |_: &[i32]| Ok(Vec::<i32>::new());
        assert!(all(&keys, none).await.is_err());
    }
}
