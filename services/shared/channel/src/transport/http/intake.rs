//! Being asked: the receiver's half, for handlers of any web framework.
//!
//! A handler gives headers and body to [`read`], has the events received, and answers with
//! [`outcomes_to_json`](cloudevents::outcomes_to_json), or with a problem that has the [`IntakeError`]'s status. A hello it reads with
//! [`hello_question_from_json`](cloudevents::hello_question_from_json) and answers with
//! [`hello_to_json`](cloudevents::hello_to_json).

use std::time::{Duration, Instant};

use bytes::Bytes;
use duet_protocol::event::Event;

use super::{DEADLINE, DELIVERY};
use crate::transport::Urgency;
use crate::transport::cloudevents::{self, DecodeError, NotAnAnswer};

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
