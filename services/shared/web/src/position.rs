//! `Duet-Position`: the name of the event that a write made, for whoever reads at a receiver and wants to see what they wrote.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use duet_channel::receiver::Arrivals;
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::SqliteStore;
use duet_protocol::event::{EventId, NotAnEventId};
use futures::future::LocalBoxFuture;
use serde::{Serialize, Serializer};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::prefer::Prefer;
use crate::problem::{FieldError, Kind, Problem, ProblemDetails};
use crate::server::until_draining;

/// The header, in answers to writes and in requests that read.
pub const DUET_POSITION: HeaderName = HeaderName::from_static("duet-position");

/// A position: an event's name as callers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^[0-9a-f]{16}\.[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{16}\.[0-9a-f]{16}$",
    example = "000000000000feed.0001.0000.0196f0c1a2b3c4d5.0000000000000007"
)]
pub struct Position(pub EventId);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Position {
    type Err = NotAnEventId;

    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        text.parse().map(Position)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How long a read waits at most.
const LONGEST: Duration = Duration::from_secs(5);

/// A read that sees what its caller wrote: where the request has a `Duet-Position`, it is handled once that event is received and not
/// parked. It waits for 5 s at most, or for as long as `Prefer: wait` says. The app's data has the receiver's [`Arrivals`].
#[derive(Clone, Copy, Debug)]
pub struct AsOf(());

/// The headers of [`AsOf`], for OpenAPI.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub struct AsOfParams {
    /// `Duet-Position` of an answer to a write: the answer to this request waits until that has come, 5 seconds at most
    #[param(rename = "Duet-Position", nullable = false)]
    duet_position: Option<Position>,
    /// `wait=SECONDS` (RFC 7240; fractions are allowed) makes that wait shorter
    #[param(rename = "Prefer", nullable = false, example = "wait=0.2")]
    prefer: Option<String>,
}

/// What a read with [`AsOf`] may be answered with, for OpenAPI.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "its variants are read by the derive alone")]
pub enum AsOfProblem {
    /// What `Duet-Position` names did not come in time: ask again
    #[response(status = 504, content_type = "application/problem+json", headers(
        ("Retry-After" = u32, description = "In how many seconds asking again has a chance"),
    ))]
    NotReached(ProblemDetails),
}

/// The position that a request names, if it names one.
fn position(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let invalid = |what: &str| {
        let error = FieldError::in_header("Duet-Position", what);
        Problem::new(Kind::InvalidHeader, format!("Duet-Position: {what}.")).with(error)
    };
    let mut values = headers.get_all(DUET_POSITION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("it is given twice"));
    }
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position
        .map(Some)
        .ok_or_else(|| invalid("it is no position: send that of an answer to a write, as it is"))
}

/// What waiting came to; none if the process stops.
fn as_of(come: Option<Result<bool, StoreError>>) -> Result<AsOf, Problem> {
    const SECOND: Duration = Duration::from_secs(1);
    match come {
        Some(Ok(true)) => Ok(AsOf(())),
        Some(Ok(false)) | None => {
            let detail =
                "What Duet-Position names has not come here yet: ask again, or read without it.";
            Err(Problem::new(Kind::PositionNotReached, detail).retry_after(SECOND))
        }
        Some(Err(StoreError::Overloaded)) => {
            let detail = "Too much is asked for at once: ask again in a moment.";
            Err(Problem::new(Kind::Overloaded, detail).retry_after(SECOND))
        }
        Some(Err(error)) => Err(Problem::store(error)),
    }
}

impl FromRequest for AsOf {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let position = match position(request.headers()) {
            Ok(Some(position)) => position,
            Ok(None) => return Box::pin(async { Ok(AsOf(())) }),
            Err(problem) => return Box::pin(async { Err(problem) }),
        };
        let within = Prefer::of(request).wait.unwrap_or(LONGEST).min(LONGEST);
        let arrivals = request.app_data::<Data<Arrivals<SqliteStore>>>().cloned();
        let request = request.clone();
        Box::pin(async move {
            let arrivals = arrivals.ok_or_else(|| Problem::internal("no arrivals to wait for"))?;
            as_of(until_draining(&request, arrivals.has_come(position, within)).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_one_whole_position_is_one() {
        let good = "000000000000feed.0010.0003.000000000000002a.0000000000000007";
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(DUET_POSITION, HeaderValue::from_bytes(value).unwrap());
            }
            position(&headers).map_err(|problem| problem.kind())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[good.as_bytes()]), Ok(good.parse().ok()));
        let huge = "1.".repeat(50_000);
        for values in [
            &[good.as_bytes(), good.as_bytes()][..],
            &[b""],
            &[b"\xff\xfe"],
            &[huge.as_bytes()],
        ] {
            assert_eq!(read(values), Err(Kind::InvalidHeader));
        }
    }
}
