//! What is recorded of requests: spans at a collector, headers at the caller, metrics.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::time::Duration;

use duet_telemetry::names::attribute;
use duet_telemetry::sampler::{Roots, Sampling};
use duet_telemetry::{Config, Observer, Otlp, Protocol, Signal, Telemetry, describe};
use duet_testkit::{Kind as Of, OtlpReceiver, Span, Status};
use duet_web::Problem;
use duet_web::ports::{Addresses, Ports};
use duet_web::routes::at;
use duet_web::server;
use opentelemetry::KeyValue;
use reqwest::Response;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CALLER: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

struct Server {
    collector: OtlpReceiver,
    telemetry: Telemetry,
    url: String,
    handle: actix_web::dev::ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Records no trace that begins here, unless it is exceptional.
    async fn start() -> Self {
        let collector = OtlpReceiver::start().await;
        let mut config = Config::new("test", "1.2.3");
        let endpoint = collector.endpoint();
        config.traces = Some(Otlp::to(&endpoint, Protocol::Grpc, Signal::Traces));
        config.sampling = Sampling::default();
        config.sampling.rates.per_second = 1;
        config.sampling.rates.one_in = u32::MAX;
        assert_eq!(config.sampling.roots, Roots::Limited);
        let telemetry = Telemetry::start(config).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let ports = Ports::bind(any, any).unwrap();
        let Addresses { listen, .. } = ports.addresses().unwrap().unwrap();
        let grace = Duration::from_secs(5);
        let observer = Some(Observer::from(&telemetry));
        let server = server::serve(
            ports.public.unwrap(),
            grace,
            grace,
            CancellationToken::new(),
            observer,
            |config| {
                config
                    .service(at("/v1/posts/{post}").get(async || {
                        describe(|| [KeyValue::new(attribute::USER, "ana")]);
                        "read"
                    }))
                    .service(
                        at("/v1/broken")
                            .get(async || Err::<&str, _>(Problem::internal("it broke"))),
                    );
            },
        );
        let server = server.unwrap();
        let started = Self {
            collector,
            telemetry,
            url: format!("http://{listen}"),
            handle: server.handle(),
            running: tokio::spawn(server),
        };
        // The one trace a second.
        started.get("/v1/posts/first", None).await;
        started
    }

    async fn get(&self, path: &str, traceparent: Option<String>) -> Response {
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.url));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.send().await.unwrap()
    }

    /// What was recorded, but for the first request; and the metrics.
    async fn end(self) -> (Vec<Span>, String) {
        self.handle.stop(true).await;
        self.running.await.unwrap().unwrap();
        let metrics = self.telemetry.metrics().render().unwrap();
        self.telemetry
            .shutdown(Duration::from_secs(5))
            .await
            .unwrap();
        let mut spans = self.collector.spans();
        spans.retain(|span| span.attributes["url.path"] != "/v1/posts/first");
        (spans, metrics)
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_sampled_request_is_a_server_span_by_the_conventions_that_the_handler_adds_to() {
    let server = Server::start().await;
    let response = server
        .get("/v1/posts/p1?a=b", Some(format!("00-{CALLER}-01")))
        .await;
    let told = header(&response, "traceresponse").to_owned();
    assert!(header(&response, "server-timing").starts_with("total;dur="));

    let (spans, metrics) = server.end().await;
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        (span.name.as_str(), span.kind),
        ("GET /v1/posts/{post}", Of::Server)
    );
    assert_eq!(told, format!("00-{}-{}-01", span.trace_id, span.span_id));
    assert_eq!(
        format!("{}-{}", span.trace_id, span.parent.as_ref().unwrap()),
        CALLER
    );
    for (key, value) in [
        ("http.request.method", Value::from("GET")),
        ("http.route", "/v1/posts/{post}".into()),
        ("http.response.status_code", 200.into()),
        ("url.scheme", "http".into()),
        ("url.path", "/v1/posts/p1".into()),
        ("url.query", "a=b".into()),
        ("client.address", "127.0.0.1".into()),
        ("duet.post", "p1".into()),
        ("duet.user", "ana".into()),
    ] {
        assert_eq!(span.attributes.get(key), Some(&value), "{key}");
    }
    let counted = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/v1/posts/{post}",url_scheme="http"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn an_unsampled_request_has_ids_all_the_same_and_a_callers_no_is_told_back() {
    let server = Server::start().await;
    let own = server.get("/v1/posts/p1", None).await;
    let own = header(&own, "traceresponse");
    assert!(
        own.starts_with("00-") && own.ends_with("-00") && own.len() == 55,
        "{own}"
    );
    assert!(!own.contains("-0000000000000000-"), "{own}");
    let callers = server
        .get("/v1/posts/p1", Some(format!("00-{CALLER}-00")))
        .await;
    assert_eq!(header(&callers, "traceresponse"), format!("00-{CALLER}-00"));
    assert_eq!(server.end().await.0, []);
}

#[tokio::test]
async fn a_failure_that_was_not_sampled_can_be_found_by_the_trace_id_in_its_problem() {
    let server = Server::start().await;
    let response = server.get("/v1/broken", None).await;
    let told = header(&response, "traceresponse").to_owned();
    let problem: Value = response.json().await.unwrap();
    let missing = server.get("/v1/nothing", None).await;
    assert_eq!(missing.status(), 404);

    let (spans, _) = server.end().await;
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(problem["trace_id"], span.trace_id);
    assert_eq!(told, format!("00-{}-{}-01", span.trace_id, span.span_id));
    assert_eq!(span.status, Status::Error("Internal Server Error".into()));
    for (key, value) in [
        ("http.request.method", Value::from("GET")),
        ("http.route", "/v1/broken".into()),
        ("url.path", "/v1/broken".into()),
        ("http.response.status_code", 500.into()),
        ("error.type", "500".into()),
        ("duet.sampling", "exceptional".into()),
    ] {
        assert_eq!(span.attributes.get(key), Some(&value), "{key}");
    }
}
