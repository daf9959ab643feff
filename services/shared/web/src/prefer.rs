//! RFC 7240's `Prefer`, of which `wait` is understood. Other preferences, and what makes no sense, are passed over, as it asks for.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, TryIntoHeaderPair};
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;

use crate::problem::Problem;

/// The request's header.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The answer's header: which preferences were followed.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a caller prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `wait=SECONDS`: how long it is ready to wait for the work to be done. Fractions are allowed; at most [`Prefer::LONGEST`].
    pub wait: Option<Duration>,
}

/// The header of [`Prefer`], for OpenAPI.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub struct PreferParams {
    /// `wait=SECONDS` (RFC 7240; fractions are allowed, at most 30): how long to wait before the answer is that it is not done yet
    #[param(rename = "Prefer", nullable = false, example = "wait=0.2")]
    prefer: Option<String>,
}

impl Prefer {
    /// The longest wait; one that is asked to be longer is this long.
    pub const LONGEST: Duration = Duration::from_secs(30);

    /// What a request's caller prefers.
    pub fn of(request: &HttpRequest) -> Self {
        Self::read(request.headers())
    }

    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(PREFER);
        let mut preferences = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(list);
        // The first counts.
        let wait = preferences.find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then_some(value)
        });
        Prefer {
            wait: wait.and_then(seconds),
        }
    }
}

/// A header's list, at its commas; those in quotes are none.
fn list(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

fn seconds(value: &str) -> Option<Duration> {
    const LONGEST_TEXT: usize = 16;
    let value = value.trim();
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let value = quoted.unwrap_or(value);
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    if value.len() > LONGEST_TEXT || !value.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let seconds = value.chars().all(digits).then(|| value.parse().ok())??;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    Some(wait.min(Prefer::LONGEST))
}

/// The header that says that a wait was as long as preferred.
pub fn waited(wait: Duration) -> impl TryIntoHeaderPair {
    let applied = format!("wait={}", wait.as_secs_f64());
    let applied = HeaderValue::try_from(applied).unwrap_or(HeaderValue::from_static("wait"));
    (PREFERENCE_APPLIED, applied)
}

impl FromRequest for Prefer {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> Option<u128> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Prefer::read(&headers).wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn wait_is_found_among_others_and_what_makes_no_sense_is_passed_over() {
        for (values, expected) in [
            (&["wait=0.2"][..], Some(200)),
            (&["Wait = 10"], Some(10_000)),
            (&["wait=\"1.5\""], Some(1_500)),
            (&["respond-async, wait=10; foo=bar"], Some(10_000)),
            (&["foo=\"a, wait=1\", wait=2"], Some(2_000)),
            (&["respond-async", "wait=3"], Some(3_000)),
            (&["wait=1, wait=2"], Some(1_000)),
            (&["wait=31"], Some(30_000)),
            (&["wait=999999999999999"], Some(30_000)),
            (&["wait=0"], Some(0)),
            (&[], None),
            (&[""], None),
            (&["wait"], None),
            (&["wait="], None),
            (&["wait=-1"], None),
            (&["wait=1e3"], None),
            (&["wait=inf"], None),
            (&["wait=1.2.3"], None),
            (&["wait=99999999999999999999"], None),
            (&["foo=\"wait=1"], None),
            (&["wait=\u{e9}"], None),
        ] {
            assert_eq!(wait(values), expected, "{values:?}");
        }
        assert_eq!(wait(&[&"wait=1,".repeat(10_000)]), Some(1_000));
    }
}
