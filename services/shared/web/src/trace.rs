//! A SERVER span for each request, by OpenTelemetry's conventions for HTTP, the headers that tell of it, and
//! `http.server.request.duration`.
//!
//! While the handler runs, the span is the current context's, so that log lines and problems name its trace and what the handler
//! starts continues it. It is described when it ends, so that one that isn't recorded costs next to nothing, and one that
//! failed can be recorded after all.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage, HttpRequest};
use duet_telemetry::names::attribute;
use duet_telemetry::names::span::{self, SpanName};
use duet_telemetry::propagation::{self, TRACERESPONSE, Traceparent};
use duet_telemetry::{Observer, Span};
use futures::future::LocalBoxFuture;
use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt;

/// What became of the event that a request made: a handler leaves it in the request's extensions for the span.
#[derive(Clone, Copy, Debug)]
pub struct Dispatched {
    /// `duet.mode`; none if there was none to go by.
    pub mode: Option<&'static str>,
    /// `duet.outcome`.
    pub outcome: &'static str,
}

/// The middleware of one route. The app's data has the [`Observer`], as an `Rc`; without one it does nothing.
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
        ready(Ok(Tracing {
            service,
            route: self.route,
        }))
    }
}

/// One route's service with a span around it.
pub struct Tracing<S> {
    service: S,
    route: Option<&'static str>,
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
        let Some(observer) = request.app_data::<Rc<Observer>>().cloned() else {
            return Box::pin(self.service.call(request));
        };
        let in_flight = InFlight::begin(&request, self.route, observer);
        let answer = self.service.call(request);
        let answer = answer.with_context(in_flight.span.context());
        Box::pin(async move {
            let mut response = answer.await?;
            let (took, traceresponse) = in_flight.end(&response);
            let headers = response.headers_mut();
            let total = format!("total;dur={:.3}", took.as_secs_f64() * 1_000.0);
            if let Ok(timing) = HeaderValue::try_from(total) {
                headers.append(SERVER_TIMING, timing);
            }
            if let Ok(traceresponse) = HeaderValue::from_str(traceresponse.as_str()) {
                headers.insert(HeaderName::from_static(TRACERESPONSE), traceresponse);
            }
            Ok(response)
        })
    }
}

/// W3C Server Timing: how long the answer took, in milliseconds.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A request that is being answered. Dropped before its end, its caller has hung up.
struct InFlight {
    observer: Rc<Observer>,
    method: &'static str,
    route: Option<&'static str>,
    began: Instant,
    span: Span,
}

impl InFlight {
    fn begin(
        request: &ServiceRequest,
        route: Option<&'static str>,
        observer: Rc<Observer>,
    ) -> Self {
        let method = known(request.method());
        let caller = caller(request.headers());
        let span = observer
            .tracer
            .entry(name(method, route), caller.as_ref())
            .start();
        Self {
            observer,
            method,
            route,
            began: Instant::now(),
            span,
        }
    }

    fn end<B>(mut self, response: &ServiceResponse<B>) -> (Duration, Traceparent) {
        let took = self.began.elapsed();
        let status = response.status();
        let code = status.as_u16();
        let Observer {
            tracer,
            instruments,
        } = &*self.observer;
        instruments.http_served(self.method, self.route, code, took);
        if status.is_server_error() {
            self.span
                .record_anyway(tracer, &name(self.method, self.route));
            self.span.fail(code.to_string(), || reason(status));
        }
        let dispatched = response.request().extensions().get::<Dispatched>().copied();
        self.span.attributes(|| {
            let code = KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(code));
            let mode = dispatched.and_then(|dispatched| dispatched.mode);
            let mode = mode.map(|mode| KeyValue::new(attribute::MODE, mode));
            let outcome =
                dispatched.map(|dispatched| KeyValue::new(attribute::OUTCOME, dispatched.outcome));
            describe(response.request(), self.method, self.route)
                .into_iter()
                .chain([code])
                .chain(mode)
                .chain(outcome)
        });
        (took, Traceparent::of(self.span.span_context()))
    }
}

fn describe(
    request: &HttpRequest,
    method: &'static str,
    route: Option<&'static str>,
) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(attribute::HTTP_REQUEST_METHOD, method),
        KeyValue::new(attribute::URL_SCHEME, "http"),
        KeyValue::new(attribute::URL_PATH, request.path().to_owned()),
    ];
    attributes.extend(route.map(|route| KeyValue::new(attribute::HTTP_ROUTE, route)));
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    attributes.extend(query.map(|query| KeyValue::new(attribute::URL_QUERY, query.to_owned())));
    let peer = request.peer_addr().map(|peer| peer.ip().to_string());
    attributes.extend(peer.map(|peer| KeyValue::new(attribute::CLIENT_ADDRESS, peer)));
    let parameters = [("post", attribute::POST), ("user", attribute::USER)];
    attributes.extend(parameters.into_iter().filter_map(|(parameter, key)| {
        let value = request.match_info().get(parameter)?;
        Some(KeyValue::new(key, value.to_owned()))
    }));
    attributes
}

fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().to_owned()
}

fn name(method: &'static str, route: Option<&'static str>) -> SpanName<'static> {
    let verb = if method == OTHER { "HTTP" } else { method };
    match route {
        Some(route) => span::server(verb, route),
        None => span::server_without_route(verb),
    }
}

/// What a method that the conventions don't know is called.
const OTHER: &str = "_OTHER";

/// The method's name as the conventions have it: a caller can't make up more of them.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or(OTHER)
}

/// The caller's span, if the request names one.
fn caller(headers: &HeaderMap) -> Option<opentelemetry::trace::SpanContext> {
    propagation::extract(|name| {
        headers
            .get_all(name)
            .filter_map(|value| value.to_str().ok())
    })
}
