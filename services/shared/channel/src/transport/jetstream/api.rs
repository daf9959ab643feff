//! Questions to JetStream's API, each bounded in time.

use std::collections::BTreeMap;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::{ErrorCode, consumer, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::connection::Nats;
use super::denied::Denied;

/// Why JetStream gave no answer to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// It did not answer.
    #[error("{0}")]
    Silent(String),
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// This user may not even ask.
    #[error(transparent)]
    Denied(#[from] Denied),
}

async fn ask<T: DeserializeOwned>(
    nats: &Nats,
    subject: String,
    payload: &impl Serialize,
) -> Result<Result<T, async_nats::jetstream::Error>, ApiError> {
    if !nats.is_connected() {
        return Err(ApiError::Silent("not connected".to_owned()));
    }
    let whole = format!("$JS.API.{subject}");
    let asked = nats.context().request(subject, payload);
    match nats.denials().unless_denied(&whole, asked).await? {
        Ok(Response::Ok(answer)) => Ok(Ok(answer)),
        Ok(Response::Err { error }) => Ok(Err(error)),
        Err(error) => Err(ApiError::Silent(error.to_string())),
    }
}

fn or_none<T>(
    answer: Result<T, async_nats::jetstream::Error>,
    missing: &[ErrorCode],
) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if missing.contains(&error.error_code()) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: async_nats::jetstream::Error) -> ApiError {
    ApiError::Refused(error.to_string())
}

#[derive(Serialize)]
struct Nothing {}

/// A stream as its leader knows it; `None` if there is none.
pub(super) async fn stream(nats: &Nats, name: &str) -> Result<Option<stream::Info>, ApiError> {
    let answer = ask(nats, format!("STREAM.INFO.{name}"), &Nothing {}).await?;
    or_none(answer, &[ErrorCode::STREAM_NOT_FOUND])
}

/// How a stream is configured, and on which subjects below `subject` it holds messages; `None` if there is none.
pub(super) async fn stream_and_subjects(
    nats: &Nats,
    name: &str,
    subject: &str,
) -> Result<Option<(stream::Config, Vec<String>)>, ApiError> {
    #[derive(Serialize)]
    struct Below {
        subjects_filter: String,
    }
    #[derive(Deserialize)]
    struct Seen {
        config: stream::Config,
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        subjects: Option<BTreeMap<String, u64>>,
    }
    let below = Below {
        subjects_filter: format!("{subject}.>"),
    };
    let answer = ask::<Seen>(nats, format!("STREAM.INFO.{name}"), &below).await?;
    let seen = or_none(answer, &[ErrorCode::STREAM_NOT_FOUND])?;
    Ok(seen.map(|Seen { config, state }| {
        let subjects = state.subjects.unwrap_or_default().into_keys();
        (config, subjects.collect())
    }))
}

/// The names of the streams that have subjects below this one: the first page of them, which holds a thousand.
pub(super) async fn streams_below(nats: &Nats, subject: &str) -> Result<Vec<String>, ApiError> {
    #[derive(Serialize)]
    struct Below {
        subject: String,
    }
    #[derive(Deserialize)]
    struct Names {
        streams: Option<Vec<String>>,
    }
    let below = Below {
        subject: format!("{subject}.>"),
    };
    let names = ask::<Names>(nats, "STREAM.NAMES".to_owned(), &below).await?;
    Ok(names.map_err(refused)?.streams.unwrap_or_default())
}

/// Drops the messages on a subject.
pub(super) async fn purge(nats: &Nats, stream: &str, subject: &str) -> Result<(), ApiError> {
    #[derive(Serialize)]
    struct Purge<'a> {
        filter: &'a str,
    }
    #[derive(Deserialize)]
    struct Purged {}
    let purge = Purge { filter: subject };
    let answer = ask::<Purged>(nats, format!("STREAM.PURGE.{stream}"), &purge).await?;
    or_none(answer, &[ErrorCode::STREAM_NOT_FOUND]).map(drop)
}

/// A consumer as its leader knows it; `None` if there is none.
pub(super) async fn consumer(
    nats: &Nats,
    stream: &str,
    name: &str,
) -> Result<Option<consumer::Info>, ApiError> {
    let answer = ask(nats, format!("CONSUMER.INFO.{stream}.{name}"), &Nothing {}).await?;
    or_none(
        answer,
        &[ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND],
    )
}

pub(super) async fn create_stream(nats: &Nats, config: &stream::Config) -> Result<(), ApiError> {
    let answer =
        ask::<stream::Info>(nats, format!("STREAM.CREATE.{}", config.name), config).await?;
    answer.map(drop).map_err(refused)
}

pub(super) async fn update_stream(nats: &Nats, config: &stream::Config) -> Result<(), ApiError> {
    let answer =
        ask::<stream::Info>(nats, format!("STREAM.UPDATE.{}", config.name), config).await?;
    answer.map(drop).map_err(refused)
}

/// Deletes a stream; none of the name is as good.
pub(super) async fn delete_stream(nats: &Nats, name: &str) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Deleted {}
    let answer = ask::<Deleted>(nats, format!("STREAM.DELETE.{name}"), &Nothing {}).await?;
    or_none(answer, &[ErrorCode::STREAM_NOT_FOUND]).map(drop)
}

/// Makes a consumer, or changes the one of its name.
pub(super) async fn put_consumer(
    nats: &Nats,
    stream: &str,
    config: &consumer::Config,
) -> Result<(), ApiError> {
    #[derive(Serialize)]
    struct Put<'a> {
        stream_name: &'a str,
        config: &'a consumer::Config,
    }
    let name = config.durable_name.as_deref().unwrap_or_default();
    let put = Put {
        stream_name: stream,
        config,
    };
    let answer =
        ask::<consumer::Info>(nats, format!("CONSUMER.CREATE.{stream}.{name}"), &put).await?;
    answer.map(drop).map_err(refused)
}

/// The names of a stream's consumers: the first page of them, which holds a thousand.
pub(super) async fn consumer_names(nats: &Nats, stream: &str) -> Result<Vec<String>, ApiError> {
    #[derive(Deserialize)]
    struct Names {
        consumers: Option<Vec<String>>,
    }
    let answer = ask::<Names>(nats, format!("CONSUMER.NAMES.{stream}"), &Nothing {}).await?;
    let names = or_none(answer, &[ErrorCode::STREAM_NOT_FOUND])?;
    Ok(names.and_then(|names| names.consumers).unwrap_or_default())
}

/// Deletes a consumer; none of the name is as good.
pub(super) async fn delete_consumer(nats: &Nats, stream: &str, name: &str) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Deleted {}
    let subject = format!("CONSUMER.DELETE.{stream}.{name}");
    let answer = ask::<Deleted>(nats, subject, &Nothing {}).await?;
    or_none(
        answer,
        &[ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND],
    )
    .map(drop)
}

/// A paused consumer gives out again.
pub(super) async fn resume_consumer(nats: &Nats, stream: &str, name: &str) -> Result<(), ApiError> {
    #[derive(Deserialize)]
    struct Resumed {}
    let subject = format!("CONSUMER.PAUSE.{stream}.{name}");
    let answer = ask::<Resumed>(nats, subject, &Nothing {}).await?;
    answer.map(drop).map_err(refused)
}
