//! Being asked: the receiver's half, for handlers of any web framework.
//!
//! [`answer`] is all of it, for a handler with nothing to add. Else a handler gives headers and body to [`read`], has the events received, and answers with
//! [`outcomes_to_json`](cloudevents::outcomes_to_json), or with a problem that has the [`IntakeError`]'s status. A hello it reads with
//! [`hello_question_from_json`](cloudevents::hello_question_from_json) and answers with
//! [`hello_to_json`](cloudevents::hello_to_json).

use std::time::{Duration, Instant};

use bytes::Bytes;
use duet_protocol::event::Event;

use super::{DEADLINE, DELIVERY};
pub use super::{EVENTS, HELLO};
use crate::receiver::{Receiver, ReceivingService};
use crate::store::{Store, StoreError};
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

impl IntakeError {
    /// The status that tells it.
    pub fn status(&self) -> u16 {
        match self {
            IntakeError::MediaType(_) => 415,
            IntakeError::TooLarge(_) => 413,
            IntakeError::Malformed(_) => 400,
            IntakeError::Overloaded { .. } => 503,
            IntakeError::Unknown => 500,
        }
    }
}

/// What the store did not take: whether it is known that nothing was applied.
impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(_) => IntakeError::Unknown,
            StoreError::Overloaded
            | StoreError::ParkedFull
            | StoreError::NotCommitted(_)
            | StoreError::Corrupt(_)
            | StoreError::Closed => IntakeError::Overloaded {
                retry_after: Duration::from_secs(1),
            },
        }
    }
}

/// Answers a POST to [`EVENTS`] or [`HELLO`]: with a status, and a body that is JSON where the status is 200, else a sentence. With
/// neither spans nor metrics of its own.
pub async fn answer<'a, S: Store, A: ReceivingService<S::Connection>>(
    receiver: &Receiver<S, A>,
    path: &str,
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &Bytes,
) -> (u16, Bytes) {
    let at = Instant::now();
    let answered = async {
        if path == HELLO {
            let store = cloudevents::hello_question_from_json(body)?;
            return Ok(cloudevents::hello_to_json(&receiver.hello(store).await?));
        }
        let arrived = read(header, body, at)?;
        let deadline = receiver.clock().now() + arrived.deadline.saturating_duration_since(at);
        let received = receiver
            .receive(arrived.events, arrived.urgency, deadline)
            .await?;
        Ok::<_, IntakeError>(cloudevents::outcomes_to_json(&Delivered {
            outcomes: received.outcomes,
            receipts: received.receipts,
        }))
    };
    match answered.await {
        Ok(json) => (200, json.into()),
        Err(error) => (error.status(), error.to_string().into()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::conformance::Events;
    use crate::transport::{Batch, Outgoing};

    fn body() -> Bytes {
        let event = Events::of(1).one().into();
        let batch = Batch {
            events: vec![Outgoing { event, late: false }],
            urgency: Urgency::Inline,
        };
        cloudevents::batch_to_json(&batch, |_| {
            cloudevents::Carried::AsCreated(&batch.events[0].event.trace)
        })
    }

    fn read_with(headers: &[(&str, &str)], at: Instant) -> Result<Arrived, IntakeError> {
        let defaults = [("content-type", cloudevents::BATCH)];
        let header = |name: &str| {
            let named =
                |(of, value): &(&'static str, &'static str)| (*of == name).then_some(*value);
            let given = headers.iter().find(|(of, _)| *of == name);
            given
                .map(|(_, value)| *value)
                .or_else(|| defaults.iter().find_map(named))
        };
        read(header, &body(), at)
    }

    #[test]
    fn what_a_request_says_of_itself_is_read() {
        let now = Instant::now();
        let arrived = read_with(&[(DELIVERY, "inline"), (DEADLINE, "1500")], now).unwrap();
        assert_eq!(
            (arrived.events.len(), arrived.urgency),
            (1, Urgency::Inline)
        );
        assert_eq!(arrived.deadline, now + Duration::from_millis(1_500));
        let arrived = read_with(
            &[(
                "content-type",
                "application/cloudevents-batch+json; charset=utf-8",
            )],
            now,
        )
        .unwrap();
        assert_eq!(
            (arrived.urgency, arrived.deadline),
            (Urgency::Background, now + LONGEST)
        );
    }

    #[test]
    fn a_deadline_is_no_longer_than_the_longest() {
        let now = Instant::now();
        let arrived = read_with(&[(DEADLINE, "18446744073709551615")], now).unwrap();
        assert_eq!(arrived.deadline, now + LONGEST);
    }

    #[test]
    fn what_a_request_cannot_say_is_refused() {
        let now = Instant::now();
        for (header, value) in [
            (DELIVERY, "soon"),
            (DEADLINE, "-1"),
            (DEADLINE, "1.5"),
            (DEADLINE, ""),
        ] {
            let refused = read_with(&[(header, value)], now).unwrap_err();
            assert!(
                matches!(&refused, IntakeError::Malformed(why) if why.contains(header)),
                "{refused:?}"
            );
        }
        for media in ["application/json", "", "text/plain"] {
            let refused = read_with(&[("content-type", media)], now).unwrap_err();
            assert_eq!(refused, IntakeError::MediaType(cloudevents::BATCH));
        }
    }

    #[test]
    fn what_is_too_much_is_told_apart_from_what_makes_no_sense() {
        let too_large = IntakeError::from(DecodeError::TooMany(513));
        assert!(matches!(too_large, IntakeError::TooLarge(_)));
        let nonsense =
            IntakeError::from(cloudevents::batch(&Bytes::from_static(b"[{}]")).unwrap_err());
        assert!(
            matches!(&nonsense, IntakeError::Malformed(why) if why.contains("specversion")),
            "{nonsense:?}"
        );
    }
}
