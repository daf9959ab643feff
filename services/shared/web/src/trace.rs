//! A SERVER span for each request, by OpenTelemetry's conventions for HTTP, the headers that tell of it, and
//! `http.server.request.duration`.
//!
//! The span is the current one while the handler runs, which adds its own attributes to it. Of a request that is not
//! sampled only the ids are made.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use futures::future::LocalBoxFuture;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

/// The middleware of one route.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    route: Option<&'static str>,
}

impl Traced {
    /// For the resource at `path`.
    pub const fn route(path: &'static str) -> Self {
        Self { route: Some(path) }
    }

    /// For requests that no resource answers.
    pub const fn no_route() -> Self {
        Self { route: None }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Traced
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Tracing<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let duration = global::meter("duet-web")
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Duration of HTTP server requests.")
            .with_boundaries(DURATION_BOUNDARIES.to_vec())
            .build();
        let instruments = Rc::new(Instruments {
            tracer: global::tracer("duet-web"),
            duration,
        });
        ready(Ok(Tracing {
            service,
            route: self.route,
            instruments,
        }))
    }
}

/// As the conventions advise, in seconds.
const DURATION_BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// One route's service with a span around it.
pub struct Tracing<S> {
    service: S,
    route: Option<&'static str>,
    instruments: Rc<Instruments>,
}

struct Instruments {
    tracer: BoxedTracer,
    duration: Histogram<f64>,
}

impl<S, B> Service<ServiceRequest> for Tracing<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let in_flight = InFlight::begin(&request, self.route, &self.instruments);
        let answer = self
            .service
            .call(request)
            .with_context(in_flight.context.clone());
        Box::pin(async move {
            match answer.await {
                Ok(mut response) => {
                    let took = in_flight.end(response.status());
                    let headers = response.headers_mut();
                    let total = took.as_secs_f64() * 1_000.0;
                    if let Ok(timing) = HeaderValue::from_str(&format!("total;dur={total:.3}")) {
                        headers.append(SERVER_TIMING, timing);
                    }
                    if let Some(traceresponse) = in_flight.traceresponse() {
                        headers.insert(TRACERESPONSE, traceresponse);
                    }
                    Ok(response)
                }
                Err(error) => {
                    in_flight.end(error.as_response_error().status_code());
                    Err(error)
                }
            }
        })
    }
}

/// W3C Trace Context Level 2: tells the caller the ids of the span that answered it.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// W3C Server Timing: how long the answer took, in milliseconds.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A request that is being answered. Dropped before its end, its caller has hung up: the span ends there.
struct InFlight {
    context: Context,
    began: Instant,
    method: &'static str,
    route: Option<&'static str>,
    instruments: Rc<Instruments>,
}

impl InFlight {
    fn begin(
        request: &ServiceRequest,
        route: Option<&'static str>,
        instruments: &Rc<Instruments>,
    ) -> Self {
        let method = known(request.method());
        let verb = if method == OTHER { "HTTP" } else { method };
        let name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));
        let parent = parent(request);
        let span = instruments
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .start_with_context(&instruments.tracer, &parent);
        let context = parent.with_span(span);
        let span = context.span();
        if span.is_recording() {
            let peer = request
                .peer_addr()
                .map(|peer| KeyValue::new("client.address", peer.ip().to_string()));
            let query = Some(request.query_string()).filter(|query| !query.is_empty());
            span.set_attributes(
                [
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("url.scheme", "http"),
                    KeyValue::new("url.path", request.path().to_owned()),
                ]
                .into_iter()
                .chain(route.map(|route| KeyValue::new("http.route", route)))
                .chain(query.map(|query| KeyValue::new("url.query", query.to_owned())))
                .chain(peer),
            );
        }
        Self {
            began: Instant::now(),
            method,
            route,
            instruments: Rc::clone(instruments),
            context,
        }
    }

    fn end(&self, status: StatusCode) -> Duration {
        let took = self.began.elapsed();
        let code = i64::from(status.as_u16());
        let error = status.is_server_error();
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("http.response.status_code", code),
        ];
        attributes.extend(self.route.map(|route| KeyValue::new("http.route", route)));
        attributes.extend(error.then(|| KeyValue::new("error.type", code.to_string())));
        self.instruments
            .duration
            .record(took.as_secs_f64(), &attributes);

        let span = self.context.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new("http.response.status_code", code));
            if error {
                span.set_attribute(KeyValue::new("error.type", code.to_string()));
                span.set_status(Status::error(status.canonical_reason().unwrap_or_default()));
            }
        }
        span.end();
        took
    }

    fn traceresponse(&self) -> Option<HeaderValue> {
        let span = self.context.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return None;
        }
        let text = format!(
            "00-{}-{}-{:02x}",
            ids.trace_id(),
            ids.span_id(),
            ids.trace_flags().to_u8()
        );
        HeaderValue::from_str(&text).ok()
    }
}

/// What a method that the conventions don't know is called.
const OTHER: &str = "_OTHER";

/// The method's name as the conventions have it: a caller can't make up more of them.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or(OTHER)
}

/// The caller's span, if the request names one.
fn parent(request: &ServiceRequest) -> Context {
    struct Headers<'a>(&'a actix_web::http::header::HeaderMap);

    impl opentelemetry::propagation::Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }

    if request.headers().contains_key("traceparent") {
        global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &Headers(request.headers()))
        })
    } else {
        Context::new()
    }
}
