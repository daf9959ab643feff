//! Request bodies: strict JSON within a size and a time. What is wrong is told with its place.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

use crate::problem::{FieldError, Kind, Problem};

/// The most bytes a public request's body has.
pub const PUBLIC_BODY: usize = 64 * 1024;

/// The most bytes a body of the intake has.
pub const INTAKE_BODY: usize = 1024 * 1024;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A JSON body of at most `MAX` bytes, as a `T` that has been checked.
///
/// The media type must be `application/json` or end in `+json`, and the body uncompressed. Give `T` serde's
/// `deny_unknown_fields`: a field that nobody reads is a caller's mistake.
#[derive(Debug)]
pub struct Json<T, const MAX: usize = PUBLIC_BODY>(pub T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest for Json<T, MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = check_media_type(request.headers(), is_json);
        let body = headers
            .and_then(|()| announced(request.headers(), MAX))
            .map(|()| payload.take());
        Box::pin(async move { parse(&read(body?, MAX).await?).map(Json) })
    }
}

/// A body of at most `MAX` bytes, as it came.
#[derive(Debug)]
pub struct Raw<const MAX: usize>(pub Bytes);

impl<const MAX: usize> FromRequest for Raw<MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = announced(request.headers(), MAX).map(|()| payload.take());
        Box::pin(async move { read(body?, MAX).await.map(Raw) })
    }
}

fn is_json(essence: &str) -> bool {
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

/// Refuses what is compressed, and media types that are not `wanted`; parameters such as `charset` don't matter.
fn check_media_type(headers: &HeaderMap, wanted: fn(&str) -> bool) -> Result<(), Problem> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("unreadable"))
    };
    if let Some(coding) =
        text(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        let detail =
            format!("The body is encoded as {coding}: send it as it is, without Content-Encoding.");
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    let given = text(header::CONTENT_TYPE).unwrap_or("missing");
    let essence = given.split(';').next().unwrap_or_default().trim();
    if wanted(essence) {
        return Ok(());
    }
    let detail =
        format!("The Content-Type is {given}: send JSON, with Content-Type: application/json.");
    Err(Problem::new(Kind::UnsupportedMediaType, detail))
}

fn too_large(max: usize) -> Problem {
    Problem::new(
        Kind::BodyTooLarge,
        format!("A body here has at most {max} bytes."),
    )
}

/// Refuses by `Content-Length`, before anything is read.
fn announced(headers: &HeaderMap, max: usize) -> Result<(), Problem> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > max as u64 => Err(too_large(max)),
        _ => Ok(()),
    }
}

async fn read(mut payload: Payload, max: usize) -> Result<Bytes, Problem> {
    let whole = async {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::new(Kind::InvalidBody, format!("The body broke off: {error}."))
            })?;
            if first.len() + rest.len() + chunk.len() > max {
                return Err(too_large(max));
            }
            // Most bodies are one chunk, which is then used as it is.
            if first.is_empty() && rest.is_empty() {
                first = chunk;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&chunk);
            }
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    };
    match tokio::time::timeout(ARRIVAL, whole).await {
        Ok(body) => body,
        Err(_) => {
            let detail = format!("A body has {} s to arrive.", ARRIVAL.as_secs());
            Err(Problem::new(Kind::BodyTimeout, detail))
        }
    }
}

/// Parses a JSON object; only when that fails, once more for what is wrong and where.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde takes an array for a struct, field by field: no caller means that.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(body) {
        Ok(parsed) if is_object => Ok(parsed),
        parsed => Err(refused::<T>(body, parsed.err())),
    }
}

/// Why a body is refused. For a wrong type serde_json may speak of syntax, so whether it is JSON at all is asked apart.
fn refused<T: DeserializeOwned>(body: &[u8], error: Option<serde_json::Error>) -> Problem {
    if body.is_empty() {
        return Problem::new(
            Kind::MalformedJson,
            "The body is empty: send a JSON object.",
        );
    }
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
        return Problem::new(
            Kind::MalformedJson,
            format!("The body is not JSON: {error}."),
        );
    }
    let Some(error) = error.filter(|_| body.trim_ascii_start().starts_with(b"{")) else {
        return Problem::new(
            Kind::InvalidBody,
            "The body is JSON, but not an object: send one.",
        );
    };
    let pointer = pointer_to_error::<T>(body);
    let place = if pointer.is_empty() {
        "The body"
    } else {
        &pointer
    };
    // The pointer says where.
    let (line, column, error) = (error.line(), error.column(), error.to_string());
    let what = error
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&error);
    Problem::new(Kind::InvalidBody, format!("{place} is not valid: {what}."))
        .with(FieldError::at(&pointer, what))
}

/// Where in the body a `T` can't be read: a JSON Pointer (RFC 6901).
fn pointer_to_error<T: DeserializeOwned>(body: &[u8]) -> String {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return String::new();
    };
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Title, UserId};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Post {
        owner: UserId,
        title: Title,
    }

    #[track_caller]
    fn is_refused(body: &str, kind: Kind, says: &[&str]) {
        let problem = parse::<Post>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.kind(), kind, "{problem}");
        for said in says {
            assert!(
                problem.to_string().contains(said),
                "{problem} does not say {said}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_told_with_line_and_column() {
        is_refused(
            r#"{"owner": "bob", "#,
            Kind::MalformedJson,
            &["line 1 column"],
        );
        is_refused("", Kind::MalformedJson, &["empty"]);
        is_refused(
            r#"{"owner":"bob","title":"x"} {}"#,
            Kind::MalformedJson,
            &["trailing characters", "column 29"],
        );
    }

    #[test]
    fn what_has_a_pointer_has_no_line_and_column() {
        let problem = parse::<Post>(br#"{"owner": 3, "title": "x"}"#).unwrap_err();
        let told = format!("{problem:?}");
        assert!(told.contains("expected a string"), "{told}");
        assert!(!told.contains("at line"), "{told}");
    }

    #[test]
    fn a_bad_field_is_named() {
        is_refused(
            r#"{"owner": 3, "title": "x"}"#,
            Kind::InvalidBody,
            &["/owner", "expected a string"],
        );
        is_refused(
            r#"{"owner": "..", "title": "x"}"#,
            Kind::InvalidBody,
            &["/owner", "dots alone"],
        );
        is_refused(
            r#"{"owner": "bob", "title": ""}"#,
            Kind::InvalidBody,
            &["/title", "1 to 200"],
        );
        is_refused(
            r#"{"owner": "bob"}"#,
            Kind::InvalidBody,
            &["missing field `title`"],
        );
        is_refused(
            r#"{"owner": "bob", "title": "x", "colour": 1}"#,
            Kind::InvalidBody,
            &["/colour", "unknown field `colour`"],
        );
        is_refused(
            r#"{"owner": "a", "owner": "b", "title": "x"}"#,
            Kind::InvalidBody,
            &["duplicate field `owner`"],
        );
        for body in [r#"["bob", "x"]"#, "3", "null"] {
            is_refused(body, Kind::InvalidBody, &["not an object"]);
        }
    }
}
