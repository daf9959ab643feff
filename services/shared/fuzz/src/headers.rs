use std::time::Instant;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use bytes::Bytes;
use duet_channel::transport::http::intake;
use duet_telemetry::propagation;
use duet_web::ids::{PostId, UserId};
use duet_web::prefer::Prefer;

/// The headers of requests, as lines `name: value`: preferences, trace context, what a delivery says of itself; and names in a path.
pub fn headers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = || text.lines().filter_map(|line| line.split_once(": "));
    let mut request = TestRequest::default();
    for (name, value) in lines() {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            request = request.append_header((name, value));
        }
    }
    let request = request.to_http_request();
    let wait = Prefer::of(&request).wait;
    assert!(wait.is_none_or(|wait| wait <= Prefer::LONGEST));

    let values = |name: &str| {
        let of = request.headers().get_all(name);
        of.filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
    };
    if let Some(span) = propagation::extract(values) {
        assert!(span.is_valid());
        let mut carried = Vec::new();
        propagation::inject(&span, |name, value| carried.push((name, value.to_owned())));
        let again = propagation::extract(|name| {
            let of = carried.iter().filter(move |(header, _)| *header == name);
            of.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        });
        let again = again.expect("what was carried");
        assert_eq!(again.trace_id(), span.trace_id());
        assert_eq!(again.span_id(), span.span_id());
    }

    let header = |name: &'static str| request.headers().get(name)?.to_str().ok();
    let at = Instant::now();
    if let Ok(arrived) = intake::read(header, &Bytes::from_static(b"[]"), at) {
        assert!(arrived.deadline >= at);
    }
    for line in text.lines() {
        if let Ok(id) = line.parse::<UserId>() {
            assert_eq!(id.as_str(), line);
        }
        if let Ok(id) = line.parse::<PostId>() {
            assert_eq!(id.as_str(), line);
        }
    }
}
