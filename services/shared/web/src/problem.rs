//! RFC 9457 problem details: the only place that makes them.
//!
//! The domain's errors know no HTTP; a route turns one into a [`Problem`] of a [`Kind`]. What the caller reads is the
//! `detail`; what the log says, of a failure of ours, is its source.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use duet_channel::store::StoreError;
use opentelemetry::trace::TraceId;
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// The media type of every answer that is a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $status:ident $slug:literal $title:literal;)+) => {
        /// What went wrong: each kind has a `type` that never changes, a status, and a title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            /// The `type` member, a URI reference.
            pub const fn uri(self) -> &'static str {
                match self { $(Kind::$kind => concat!("/problems/", $slug),)+ }
            }

            /// The `title` member: the kind in a few words, the same each time.
            pub const fn title(self) -> &'static str {
                match self { $(Kind::$kind => $title,)+ }
            }

            /// The kind in a sentence, for whoever looks its `type` up.
            pub const fn meaning(self) -> &'static str {
                match self { $(Kind::$kind => concat!($($doc),+),)+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Kind::$kind => StatusCode::$status,)+ }
            }
        }
    };
}

kinds! {
    /// The body can't be read as JSON at all.
    MalformedJson = BAD_REQUEST "malformed-json" "The body is not JSON";
    /// JSON, but not what this request takes: a wrong type, a field too many or too few, a value out of its range.
    InvalidBody = BAD_REQUEST "invalid-body" "The body is not what this request takes";
    /// A path or query parameter is out of its range.
    InvalidParameter = BAD_REQUEST "invalid-parameter" "A parameter is not valid";
    /// A header is not what it must be.
    InvalidHeader = BAD_REQUEST "invalid-header" "A header is not valid";
    /// A cursor that no list gave out.
    InvalidCursor = BAD_REQUEST "invalid-cursor" "The cursor is not one that this list gave out";
    /// The body is over its limit.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large" "The body is too large";
    /// Not `application/json`, or compressed.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body's media type is not supported";
    /// The body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT "body-timeout" "The body did not arrive in time";
    /// No resource has this path.
    NotFound = NOT_FOUND "not-found" "There is nothing at this path";
    /// The resource has other methods.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "The resource does not have this method";

    /// The post isn't there.
    PostNotFound = NOT_FOUND "post-not-found" "There is no such post";
    /// The user has no reaction to the post.
    ReactionNotFound = NOT_FOUND "reaction-not-found" "There is no such reaction";
    /// The post belongs to another user.
    AnotherOwner = CONFLICT "another-owner" "The post has another owner";

    /// No event of this position was ever accepted here.
    DeliveryNotFound = NOT_FOUND "delivery-not-found" "There is no such delivery";

    /// No event of this id is parked or dead here: it may have been applied or discarded meanwhile.
    DeadLetterNotFound = NOT_FOUND "dead-letter-not-found" "There is no such dead letter";
    /// A redrive is under way: its progress is to be had, and it can be cancelled.
    RedriveUnderWay = CONFLICT "redrive-under-way" "A redrive is under way";
    /// No Channel names a receiver.
    NoReceivers = CONFLICT "no-receivers" "There is no receiver";

    /// What the request's position names has not come here in time.
    PositionNotReached = GATEWAY_TIMEOUT "position-not-reached" "What was written has not come here yet";
    /// The receiver did not answer within the deadline.
    DeadlinePassed = GATEWAY_TIMEOUT "deadline-passed" "The receiver did not answer in time";
    /// The receiver refused, failed, or was not reached.
    NotDelivered = SERVICE_UNAVAILABLE "not-delivered" "The receiver did not take it";
    /// More is under way than is allowed at once.
    Overloaded = SERVICE_UNAVAILABLE "overloaded" "Too much is under way at once";
    /// The process can't serve yet, or not any more.
    NotReady = SERVICE_UNAVAILABLE "not-ready" "The service is not ready";
    /// The store did not take or give it.
    StoreUnavailable = SERVICE_UNAVAILABLE "store-unavailable" "The store can't be used right now";
    /// It failed, and whether it was taken back is not known.
    OutcomeUnknown = SERVICE_UNAVAILABLE "outcome-unknown" "Whether it stands is not known";
    /// A failure of ours.
    Internal = INTERNAL_SERVER_ERROR "internal" "The service failed";
}

/// Whether what the caller asked for stands, where an answer must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Applied {
    /// It does not; asking again is safe.
    No,
    /// It may; read it, or ask again, which is safe too.
    Unknown,
}

/// One thing that is wrong with a request, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where in the body: a JSON Pointer as a URI fragment, `#/owner`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "#/kind")]
    pub pointer: Option<String>,
    /// Which parameter of path or query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub parameter: Option<Cow<'static, str>>,
    /// Which header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub header: Option<&'static str>,
    /// What is wrong there.
    pub detail: String,
}

impl FieldError {
    /// Something wrong at `pointer`, a JSON Pointer into the body.
    pub fn at(pointer: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(format!("#{pointer}")),
            parameter: None,
            header: None,
            detail: detail.into(),
        }
    }

    /// Something wrong with a parameter of path or query.
    pub fn of(parameter: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: Some(parameter.into()),
            header: None,
            detail: detail.into(),
        }
    }

    /// Something wrong with a header.
    pub fn in_header(header: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: None,
            header: Some(header),
            detail: detail.into(),
        }
    }
}

/// A problem to answer with.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    applied: Option<Applied>,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

impl Problem {
    /// A problem of this kind. `detail` says what this caller can do about it, and nothing secret.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            applied: None,
            retry_after: None,
            allow: None,
        }))
    }

    /// A failure of ours: the log gets `error` whole, the caller the trace id to ask by.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        let detail = "This is a fault of the service. Its log has the cause under this trace id.";
        Self::new(Kind::Internal, detail)
    }

    /// The store did not take or give it, `error` says why; the log gets it, the caller is told to come back.
    pub fn store(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "the store failed");
        let detail = "Ask again in a moment. The service's log has the cause under this trace id.";
        Self::new(Kind::StoreUnavailable, detail).retry_after(Duration::from_secs(1))
    }

    /// The store did not give what was asked for.
    pub fn not_read(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => {
                let detail = "The store has too much to do: ask again in a moment.";
                Self::new(Kind::Overloaded, detail).retry_after(Duration::from_secs(1))
            }
            other => Self::store(other),
        }
    }

    /// Names one more thing that is wrong, and where.
    #[must_use]
    pub fn with(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Says whether what the caller asked for stands.
    #[must_use]
    pub fn applied(mut self, applied: Applied) -> Self {
        self.0.applied = Some(applied);
        self
    }

    /// Says when asking again has a chance: the `Retry-After` header, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// A request by a method that the resource doesn't have; it has those of `allowed`.
    pub fn method_not_allowed(method: &Method, allowed: &[Method]) -> Self {
        let allow = allowed
            .iter()
            .map(Method::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let detail = format!("{method} is not one of its methods: {allow}.");
        let mut problem = Self::new(Kind::MethodNotAllowed, detail);
        problem.0.allow = Some(allow);
        problem
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.title(), self.0.detail)
    }
}

impl std::error::Error for Problem {}

/// The trace that the current request belongs to.
fn trace_id() -> Option<TraceId> {
    let id = duet_telemetry::current().trace_id();
    (id != TraceId::INVALID).then_some(id)
}

/// A problem as it is sent: RFC 9457's members and Duet's own.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// What went wrong, as a URI reference that never changes.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "/problems/post-not-found")]
    kind: &'static str,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status, once more.
    status: u16,
    /// What was wrong this time, and what to do about it.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
    /// The trace of the request, as 32 hexadecimal digits; none if the request was not traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trace_id: Option<String>,
    /// Whether what was asked for stands; only where that is in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Applied>, nullable = false)]
    applied: Option<Applied>,
    /// Each thing that is wrong with the request, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// The problems that any request may be answered with, for OpenAPI.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "its variants are read by the derive alone")]
pub enum AnyProblem {
    /// The request is not valid
    #[response(status = 400, content_type = "application/problem+json")]
    Request(ProblemDetails),
    /// The service can't answer right now
    #[response(status = 503, content_type = "application/problem+json", headers(
        ("Retry-After" = u32, description = "In how many seconds asking again has a chance"),
    ))]
    Unavailable(ProblemDetails),
}

/// The problems that any request with a body may be answered with, for OpenAPI.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "its variants are read by the derive alone")]
pub enum BodyProblem {
    /// The body did not arrive in time
    #[response(status = 408, content_type = "application/problem+json")]
    Timeout(ProblemDetails),
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemDetails),
    /// The body is not `application/json`, or compressed
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(ProblemDetails),
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let Inner {
            kind,
            detail,
            errors,
            applied,
            retry_after,
            allow,
        } = &*self.0;
        let body = ProblemDetails {
            kind: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            trace_id: trace_id().map(|id| id.to_string()),
            applied: *applied,
            errors: errors.clone(),
        };
        let mut response = HttpResponse::build(kind.status());
        if let Some(wait) = retry_after {
            response.insert_header((
                header::RETRY_AFTER,
                wait.as_millis().div_ceil(1_000).to_string(),
            ));
        }
        if let Some(allow) = allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        response
            .content_type(MEDIA_TYPE)
            .body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use actix_web::body::MessageBody;
    use serde_json::{Value, json};

    use super::*;

    fn body(response: HttpResponse) -> Value {
        let bytes = response.into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_kind_is_a_problem_with_a_type_of_its_own() {
        let mut types = HashSet::new();
        for &kind in Kind::ALL {
            assert!(
                kind.status().is_client_error() || kind.status().is_server_error(),
                "{kind:?}"
            );
            assert!(types.insert(kind.uri()), "{} is used twice", kind.uri());
            let slug = kind.uri().strip_prefix("/problems/").unwrap();
            assert!(
                slug.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{slug}"
            );
            assert!(
                !kind.title().ends_with('.') && kind.title().len() <= 60,
                "{}",
                kind.title()
            );

            let response = Problem::new(kind, "Do this.").error_response();
            assert_eq!(response.status(), kind.status());
            assert_eq!(
                response.headers().get(header::CONTENT_TYPE).unwrap(),
                MEDIA_TYPE
            );
            let expected = json!({
                "type": kind.uri(),
                "title": kind.title(),
                "status": kind.status().as_u16(),
                "detail": "Do this.",
            });
            assert_eq!(body(response), expected);
        }
    }

    #[test]
    fn the_extra_members_and_headers_are_there_when_they_say_something() {
        let problem = Problem::new(Kind::NotDelivered, "Ask again.")
            .applied(Applied::Unknown)
            .retry_after(Duration::from_millis(1_200))
            .with(FieldError::at("/kind", "no such kind"))
            .with(FieldError::of("limit", "too high"));
        let response = problem.error_response();
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "2");
        let body = body(response);
        assert_eq!(body["applied"], "unknown");
        let errors = json!([
            {"pointer": "#/kind", "detail": "no such kind"},
            {"parameter": "limit", "detail": "too high"},
        ]);
        assert_eq!(body["errors"], errors);
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let problem = Problem::method_not_allowed(&Method::POST, &[Method::GET, Method::PUT]);
        let response = problem.error_response();
        assert_eq!(response.headers().get(header::ALLOW).unwrap(), "GET, PUT");
    }

    #[test]
    fn what_the_log_gets_of_a_failure_is_not_told_to_the_caller() {
        let response = Problem::internal("disk /var/x is full").error_response();
        assert!(!body(response).to_string().contains("/var/x"));
    }
}
