//! Being asked: the receiver's half, for handlers of any web framework.
//!
//! A handler gives the headers and the body, and answers with the bytes (as `application/json`) or with a problem made from the
//! [`IntakeError`].

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use duet_protocol::event::Event;
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::StoreId;

use super::{DEADLINE, DELIVERY};
use crate::transport::cloudevents::{self, DecodeError, NotAnAnswer};
use crate::transport::{Delivered, Urgency};

/// The longest that a deadline is taken for; without a header this is it.
const LONGEST: Duration = Duration::from_secs(300);

/// Events that a sender delivered.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The events, each with the context of the span that sent it.
    pub events: Vec<Event>,
    /// Whether callers wait.
    pub urgency: Urgency,
    /// Nothing may be applied after this: nobody waits for it any more.
    pub deadline: Instant,
}

/// Why a request is not answered with outcomes. Nothing of it was applied, but for [`IntakeError::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// 415: neither a batch nor JSON.
    #[error("the Content-Type is not {0}")]
    MediaType(&'static str),
    /// 413: over [`cloudevents::MAX_BYTES`] or [`cloudevents::MAX_EVENTS`].
    #[error("{0}")]
    TooLarge(DecodeError),
    /// 400: it can't be understood.
    #[error("{0}")]
    Malformed(String),
    /// 503 with `Retry-After`: too much to do, or stopping.
    #[error("the receiver takes nothing now")]
    Overloaded {
        /// When to come again.
        retry_after: Duration,
    },
    /// 500: whether anything was applied is not known.
    #[error("the receiver can't tell whether it was applied")]
    Unknown,
}

impl IntakeError {
    /// The HTTP status that says it.
    pub const fn status(&self) -> u16 {
        match self {
            IntakeError::MediaType(_) => 415,
            IntakeError::TooLarge(_) => 413,
            IntakeError::Malformed(_) => 400,
            IntakeError::Overloaded { .. } => 503,
            IntakeError::Unknown => 500,
        }
    }

    /// The value of `Retry-After`, in whole seconds, where there is one.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            IntakeError::Overloaded { retry_after } => Some(
                retry_after
                    .as_millis()
                    .div_ceil(1_000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            ),
            _ => None,
        }
    }
}

impl From<DecodeError> for IntakeError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge(_) | DecodeError::TooMany(_) => IntakeError::TooLarge(error),
            _ => IntakeError::Malformed(error.to_string()),
        }
    }
}

impl From<NotAnAnswer> for IntakeError {
    fn from(error: NotAnAnswer) -> Self {
        IntakeError::Malformed(error.to_string())
    }
}

/// A receiver that can be asked.
#[async_trait]
pub trait Intake: Send + Sync + 'static {
    /// Receives a batch: an outcome for each event, in order, and what is held of their sources, both durable.
    async fn receive(&self, arrived: Arrived) -> Result<Delivered, IntakeError>;
    /// What is held of a store's sources.
    async fn hello(&self, store: StoreId) -> Result<HelloAnswer, IntakeError>;
}

/// Answers `POST /v1/events`. `header` gives a header's value; `at` is when the request arrived.
///
/// # Errors
/// [`IntakeError`], to be told as its status.
pub async fn events<'a>(
    intake: &dyn Intake,
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &Bytes,
    at: Instant,
) -> Result<Vec<u8>, IntakeError> {
    let arrived = read(header, body, at)?;
    Ok(cloudevents::outcomes_to_json(
        &intake.receive(arrived).await?,
    ))
}

/// Answers `POST /v1/hello`.
///
/// # Errors
/// [`IntakeError`], to be told as its status.
pub async fn hello(intake: &dyn Intake, body: &[u8]) -> Result<Vec<u8>, IntakeError> {
    let store = cloudevents::hello_question_from_json(body)?;
    Ok(cloudevents::hello_to_json(&intake.hello(store).await?))
}

/// The events of a request to `POST /v1/events`.
///
/// # Errors
/// [`IntakeError`], to be told as its status.
pub fn read<'a>(
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &Bytes,
    at: Instant,
) -> Result<Arrived, IntakeError> {
    let media = header("content-type")
        .and_then(|media| media.split(';').next())
        .unwrap_or_default();
    if !media.trim().eq_ignore_ascii_case(cloudevents::BATCH) {
        return Err(IntakeError::MediaType(cloudevents::BATCH));
    }
    let urgency = match header(DELIVERY) {
        Some("inline") => Urgency::Inline,
        Some("background") | None => Urgency::Background,
        Some(_) => {
            return Err(IntakeError::Malformed(format!(
                "{DELIVERY} is inline or background"
            )));
        }
    };
    let remaining = match header(DEADLINE) {
        Some(text) => text.parse().map(Duration::from_millis).map_err(|_| {
            IntakeError::Malformed(format!("{DEADLINE} is a number of milliseconds"))
        })?,
        None => LONGEST,
    };
    Ok(Arrived {
        events: cloudevents::batch(body)?,
        urgency,
        deadline: at + remaining.min(LONGEST),
    })
}
