//! `POST /v1/events` and `POST /v1/hello` on the internal port: what senders deliver and ask.
//!
//! The SERVER span is made here and not by the middleware: a request that carries no trace begins none, since several events
//! of other traces travel in it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use duet_channel::clock::Clock;
use duet_channel::receiver::{Receiver, ReceivingService};
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::transport::http::intake::{self, Arrived, IntakeError};
use duet_channel::transport::http::{EVENTS, HELLO};
use duet_channel::transport::spans::{self, Receiving as Spans};
use duet_channel::transport::{Delivered, Urgency, cloudevents};
use duet_protocol::event::Event;
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::StoreId;
use duet_telemetry::names::{attribute, span};
use duet_telemetry::{Observer, Span, propagation};
use opentelemetry::KeyValue;

use super::Connection;
use crate::body::{INTAKE_BODY, Raw};
use crate::routes::at;
use crate::{Kind, Problem};

/// What the two resources need.
pub(super) struct Intake<A: ReceivingService<Connection>> {
    /// Takes events in.
    pub(super) receiver: Receiver<SqliteStore, A>,
    /// The process's clock.
    pub(super) clock: Clock,
    /// The service, which knows what its events are about.
    pub(super) own: Arc<A>,
    /// Where it is told what comes in.
    pub(super) observer: Observer,
}

/// Registers the two resources. The app's data has an [`Intake`].
pub(super) fn configure<A: ReceivingService<Connection>>(config: &mut ServiceConfig) {
    config
        .service(at(EVENTS).post(events::<A>))
        .service(at(HELLO).post(hello::<A>));
}

async fn events<A: ReceivingService<Connection>>(
    request: HttpRequest,
    intake: Data<Intake<A>>,
    body: Result<Raw<INTAKE_BODY>, Problem>,
) -> HttpResponse {
    let (began, arrived) = (Instant::now(), SystemTime::now());
    let mut span = intake.begin(request.headers(), arrived);
    let answer = match body {
        Ok(Raw(body)) => {
            let header = |name| request.headers().get(name)?.to_str().ok();
            let events = intake::read(header, &body, began).map_err(problem);
            match events {
                Ok(events) => intake.receive(events, &span, arrived).await,
                Err(problem) => Err(problem),
            }
        }
        Err(problem) => Err(problem),
    };
    let response = answer.unwrap_or_else(|problem| problem.error_response());
    intake.end(&mut span, &response, began.elapsed());
    response
}

async fn hello<A: ReceivingService<Connection>>(
    intake: Data<Intake<A>>,
    body: Raw<INTAKE_BODY>,
) -> Result<HttpResponse, Problem> {
    let question = cloudevents::hello_question_from_json(&body.0);
    let store: StoreId = question.map_err(|error| problem(error.into()))?;
    let answer = intake
        .receiver
        .hello(store)
        .await
        .map_err(|error| problem(error.into()))?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(cloudevents::hello_to_json(&answer)))
}

impl<A: ReceivingService<Connection>> Intake<A> {
    /// The request's SERVER span: part of the trace that the request names, recorded if that is.
    fn begin(&self, headers: &HeaderMap, arrived: SystemTime) -> Span {
        let name = span::server("POST", EVENTS);
        let caller = propagation::extract(|name| {
            headers
                .get_all(name)
                .filter_map(|value| value.to_str().ok())
        });
        let start = match &caller {
            Some(caller) => self.observer.tracer.entry(name, Some(caller)),
            None => self.observer.tracer.shared(name, []),
        };
        start.start_at(arrived)
    }

    async fn receive(
        &self,
        arrived: Arrived,
        span: &Span,
        at: SystemTime,
    ) -> Result<HttpResponse, Problem> {
        let Arrived {
            events,
            urgency,
            deadline,
        } = arrived;
        let mut spans = Spans::request(&self.observer.tracer, span.context(), &events, at);
        let events: Arc<[Event]> = events.into();
        let deadline = self.clock.now() + deadline.saturating_duration_since(Instant::now());
        let received = self
            .receiver
            .receive(events.clone(), urgency, deadline)
            .await;
        let received = received.map_err(|error| problem(error.into()))?;
        let describe = |event: &Event| self.own.describe(event);
        spans.applied(
            &self.observer.tracer,
            &events,
            &received.outcomes,
            received.span,
            describe,
        );
        let (_, durable) = received.span;
        spans::count(&self.observer.instruments, &received.outcomes);
        for (event, outcome) in events.iter().zip(&received.outcomes) {
            if urgency == Urgency::Inline && matches!(outcome, Outcome::Applied(_)) {
                let accepted = SystemTime::UNIX_EPOCH
                    + Duration::from_micros(event.time.micros().unsigned_abs());
                self.observer
                    .instruments
                    .notified("sync", accepted, durable);
            }
        }
        let delivered = Delivered {
            outcomes: received.outcomes,
            receipts: received.receipts,
        };
        Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body(cloudevents::outcomes_to_json(&delivered)))
    }

    fn end(&self, span: &mut Span, response: &HttpResponse, took: Duration) {
        let status = response.status();
        self.observer
            .instruments
            .http_served("POST", Some(EVENTS), status.as_u16(), took);
        if status.is_server_error() {
            span.record_anyway(&self.observer.tracer, &span::server("POST", EVENTS));
            let reason = status.canonical_reason().unwrap_or_default();
            span.fail(status.as_str().to_owned(), || reason.to_owned());
        }
        span.attributes(|| {
            [
                KeyValue::new(attribute::HTTP_REQUEST_METHOD, "POST"),
                KeyValue::new(attribute::HTTP_ROUTE, EVENTS),
                KeyValue::new(attribute::URL_SCHEME, "http"),
                KeyValue::new(attribute::URL_PATH, EVENTS),
                KeyValue::new(
                    attribute::HTTP_RESPONSE_STATUS_CODE,
                    i64::from(status.as_u16()),
                ),
            ]
        });
    }
}

fn problem(error: IntakeError) -> Problem {
    let detail = format!("{error}.");
    match error {
        IntakeError::MediaType(_) => Problem::new(Kind::UnsupportedMediaType, detail),
        IntakeError::TooLarge(_) => Problem::new(Kind::BodyTooLarge, detail),
        IntakeError::Malformed(_) => Problem::new(Kind::InvalidBody, detail),
        IntakeError::Overloaded { retry_after } => {
            Problem::new(Kind::Overloaded, detail).retry_after(retry_after)
        }
        IntakeError::Unknown => Problem::internal(error),
    }
}
