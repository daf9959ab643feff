//! Asking a receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::StoreId;
use duet_telemetry::names::{attribute, span};
use http_body_util::{BodyExt, Full};
use opentelemetry::KeyValue;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Body, Client, Response, StatusCode, Url};

use super::{DEADLINE, DELIVERY, EVENTS, HELLO};
use crate::transport::cloudevents::{self, Carried};
use crate::transport::spans::{Names, Observer, Sending};
use crate::transport::{
    BacklogKnown, Batch, Call, CallError, Delivered, Features, Limits, Order, ReceiptsBy, Urgency,
};

/// Requests under way at once to one receiver.
const IN_FLIGHT: usize = 64;
/// The most bytes of an answer that are read: outcomes of a whole batch, each with a cause.
const MAX_ANSWER: usize = 1024 * 1024;
/// How long a connection may take; a deadline may be sooner.
const CONNECT: Duration = Duration::from_secs(2);
/// The most that a request without a connection ends before its deadline, so that its caller hears in time that nothing was applied.
const CONNECT_BEFORE: Duration = Duration::from_millis(100);
/// Left of a deadline for the way back, so that the receiver gives up before its caller does.
const WAY_BACK: Duration = Duration::from_millis(5);

/// Calls one receiver over HTTP/1.1, its connections kept open.
#[derive(Debug)]
pub struct HttpCall {
    client: Client,
    events: Url,
    hello: Url,
    host: Arc<str>,
    port: u16,
    observer: Observer,
}

/// Why no call can be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpCallError {
    /// The address is none.
    #[error("{0:?} is no http:// address")]
    Address(String),
    /// The client can't be built.
    #[error("no HTTP client")]
    Client(#[source] reqwest::Error),
}

impl HttpCall {
    /// Calls the receiver at `base`, such as `http://127.0.0.1:8091`.
    ///
    /// # Errors
    /// If `base` is no address.
    pub fn new(base: &str, observer: Observer) -> Result<Self, HttpCallError> {
        let at = |path: &str| Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).ok();
        let urls = at(EVENTS)
            .zip(at(HELLO))
            .filter(|(url, _)| url.scheme() == "http");
        let (events, hello) = urls.ok_or_else(|| HttpCallError::Address(base.to_owned()))?;
        let host = events
            .host_str()
            .ok_or_else(|| HttpCallError::Address(base.to_owned()))?;
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IN_FLIGHT)
            // Below the 5 s after which many servers close: a request on a connection that is being closed is lost.
            .pool_idle_timeout(Duration::from_secs(4))
            .tcp_nodelay(true)
            .build()
            .map_err(HttpCallError::Client)?;
        Ok(HttpCall {
            client,
            host: host.into(),
            port: events.port_or_known_default().unwrap_or(80),
            events,
            hello,
            observer,
        })
    }

    async fn ask(
        &self,
        url: &Url,
        body: Bytes,
        media: &'static str,
        headers: Vec<(HeaderName, HeaderValue)>,
        within: Duration,
    ) -> Result<(u16, Bytes), (CallError, ErrorType)> {
        let asked_for = Arc::new(AtomicBool::new(false));
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, media)
            .header(CONTENT_LENGTH, body.len())
            .body(telling(body, asked_for.clone()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let asked = async {
            let response = request.send().await.map_err(not_answered)?;
            answer(response).await
        };
        let before = CONNECT_BEFORE.min(within / 10);
        let too_late = async {
            tokio::time::sleep(within - before).await;
            if !asked_for.load(Ordering::Relaxed) {
                let error = CallError::NotApplied("no connection in time".into());
                return (error, ErrorType::Word("connect"));
            }
            tokio::time::sleep(before).await;
            let error = CallError::Unknown("the deadline passed".into());
            (error, ErrorType::Word("timeout"))
        };
        tokio::select! {
            biased;
            answered = asked => answered,
            error = too_late => Err(error),
        }
    }

    fn measure(&self, result: Result<u16, &ErrorType>, began: Instant) {
        let result = match result {
            Ok(status) => Ok(status),
            Err(ErrorType::Status(status)) => Ok(*status),
            Err(ErrorType::Word(word)) => Err(*word),
        };
        self.observer.instruments.http_called(
            "POST",
            (&self.host, self.port),
            result,
            began.elapsed(),
        );
    }

    fn describe(&self, sending: &Sending<'_>) {
        sending.describe(|_| {
            vec![
                KeyValue::new(attribute::HTTP_REQUEST_METHOD, "POST"),
                KeyValue::new(attribute::URL_FULL, self.events.to_string()),
                KeyValue::new(attribute::SERVER_ADDRESS, self.host.clone()),
                KeyValue::new(attribute::SERVER_PORT, i64::from(self.port)),
            ]
        });
    }
}

/// A request's body that tells once it is asked for, which is when there is a connection: until then nobody can have applied it.
fn telling(body: Bytes, asked_for: Arc<AtomicBool>) -> Body {
    let body = Full::new(body).map_frame(move |frame| {
        asked_for.store(true, Ordering::Relaxed);
        frame
    });
    Body::wrap(body)
}

/// The conventions' `error.type`.
#[derive(Debug)]
enum ErrorType {
    Status(u16),
    Word(&'static str),
}

/// No answer came. Only what never left is surely not applied.
fn not_answered(error: reqwest::Error) -> (CallError, ErrorType) {
    let cause = Arc::from(sources(&error));
    if error.is_connect() || error.is_builder() {
        (CallError::NotApplied(cause), ErrorType::Word("connect"))
    } else {
        (CallError::Unknown(cause), ErrorType::Word("connection"))
    }
}

/// An error and what it came from, in one line.
fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

async fn answer(mut response: Response) -> Result<(u16, Bytes), (CallError, ErrorType)> {
    let status = response.status();
    let failed = |error: CallError| Err((error, ErrorType::Status(status.as_u16())));
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        return failed(CallError::Overloaded {
            retry_after: retry_after(&response),
        });
    }
    let body = body(&mut response).await;
    if status.is_success() {
        return match body {
            Ok(body) => Ok((status.as_u16(), body)),
            Err(cause) => Err((CallError::Unknown(cause), ErrorType::Word("connection"))),
        };
    }
    let problem = body.ok().and_then(|body| detail(&body)).unwrap_or_default();
    let cause = Arc::from(format!("{status} {problem}").trim_end());
    // Nothing of a request that is refused was applied.
    if status.is_client_error() {
        failed(CallError::NotApplied(cause))
    } else {
        failed(CallError::Unknown(cause))
    }
}

async fn body(response: &mut Response) -> Result<Bytes, Arc<str>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| sources(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("the answer is too large".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A problem's detail (RFC 9457).
fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(problem.get("detail")?.as_str()?.chars().take(200).collect())
}

/// Whole seconds; the form with a date is not used between services.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn trace_headers(carried: &Carried<'_>, headers: &mut Vec<(HeaderName, HeaderValue)>) {
    carried.each(|name, value| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((HeaderName::from_static(name), value));
        }
    });
}

#[async_trait]
impl Call for HttpCall {
    fn limits(&self) -> Limits {
        Limits {
            events: cloudevents::MAX_EVENTS,
            bytes: cloudevents::MAX_BYTES,
            header_bytes: 8 * 1024,
            in_flight: IN_FLIGHT,
        }
    }

    fn features(&self) -> Features {
        Features {
            order: Order::None,
            backlog: BacklogKnown::No,
            repeats: false,
            receipts: ReceiptsBy::Itself,
        }
    }

    async fn deliver(&self, batch: &Batch, within: Duration) -> Result<Delivered, CallError> {
        let names = Names {
            one: span::client("POST", EVENTS),
            part: span::DELIVER_REACTION,
            whole: span::client("POST", EVENTS),
        };
        let sending = Sending::begin(&self.observer.tracer, names, batch);
        self.describe(&sending);
        let body = cloudevents::batch_to_json(batch, |index| sending.carried(index));
        if body.len() > cloudevents::MAX_BYTES || batch.events.len() > cloudevents::MAX_EVENTS {
            return Err(CallError::NotApplied("more than a request carries".into()));
        }
        let delivery = match batch.urgency {
            Urgency::Inline => "inline",
            Urgency::Background => "background",
        };
        let remaining = within.saturating_sub(WAY_BACK).as_millis();
        let mut headers = vec![
            (
                HeaderName::from_static(DEADLINE),
                HeaderValue::from(u64::try_from(remaining).unwrap_or(u64::MAX)),
            ),
            (
                HeaderName::from_static(DELIVERY),
                HeaderValue::from_static(delivery),
            ),
        ];
        trace_headers(&sending.whole(), &mut headers);
        let began = Instant::now();
        let answered = self
            .ask(&self.events, body, cloudevents::BATCH, headers, within)
            .await;
        self.measure(
            answered
                .as_ref()
                .map(|(status, _)| *status)
                .map_err(|(_, kind)| kind),
            began,
        );
        let delivered = answered.and_then(|(status, body)| {
            sending.describe(|_| {
                vec![KeyValue::new(
                    attribute::HTTP_RESPONSE_STATUS_CODE,
                    i64::from(status),
                )]
            });
            cloudevents::outcomes_from_json(&body, batch.events.len()).map_err(|error| {
                (
                    CallError::Unknown(error.to_string().into()),
                    ErrorType::Word("answer"),
                )
            })
        });
        match delivered {
            Ok(delivered) => {
                sending.describe_each(|index| {
                    let outcome = delivered.outcomes.get(index)?;
                    Some(KeyValue::new(
                        attribute::OUTCOME,
                        cloudevents::outcome_word(outcome),
                    ))
                });
                Ok(delivered)
            }
            Err((error, kind)) => {
                let why = error.to_string();
                match kind {
                    ErrorType::Status(status) => {
                        sending.describe(|_| {
                            vec![KeyValue::new(
                                attribute::HTTP_RESPONSE_STATUS_CODE,
                                i64::from(status),
                            )]
                        });
                        sending.fail(status.to_string(), &why);
                    }
                    ErrorType::Word(word) => sending.fail(word, &why),
                }
                Err(error)
            }
        }
    }

    async fn hello(&self, store: StoreId, within: Duration) -> Result<HelloAnswer, CallError> {
        let began = Instant::now();
        let asked = self
            .ask(
                &self.hello,
                cloudevents::hello_question_to_json(store).into(),
                cloudevents::DATA,
                Vec::new(),
                within,
            )
            .await;
        self.measure(
            asked
                .as_ref()
                .map(|(status, _)| *status)
                .map_err(|(_, kind)| kind),
            began,
        );
        let (_, body) = asked.map_err(|(error, _)| error)?;
        cloudevents::hello_from_json(&body)
            .map_err(|error| CallError::Unknown(error.to_string().into()))
    }
}
