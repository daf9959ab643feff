//! A server with these parts, over real HTTP: what is refused and how, the internal port, and stopping in order.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::time::Duration;

use actix_web::HttpRequest;
use duet_telemetry::{Config, Observer, Telemetry};
use duet_web::body::Json;
use duet_web::drain::{self, Patience, Stop, Unfinished};
use duet_web::health::{Health, Readiness, Version};
use duet_web::ids::{PostId, Title};
use duet_web::ports::{Addresses, Ports};
use duet_web::routes::{at, parameter};
use duet_web::server;
use duet_web::{Kind, Problem};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinHandle;

const NO_PATIENCE: Patience = Patience {
    drain_delay: Duration::ZERO,
    grace_period: Duration::from_secs(5),
};

struct Server {
    public: String,
    internal: String,
    readiness: Readiness,
    stop: Stop,
    ended: JoinHandle<Result<(), Unfinished>>,
    client: Client,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    title: Title,
}

async fn put(request: HttpRequest, body: Json<Body>) -> Result<String, Problem> {
    let post: PostId = parameter(&request, "post")?;
    if post.as_str() == "slow" {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(body.0.title.to_string())
}

impl Server {
    async fn start(patience: Patience) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let ports = Ports::bind(any, any).unwrap();
        let addresses = ports.addresses().unwrap().unwrap();
        let telemetry = Telemetry::start(Config::new("test", "1.2.3")).unwrap();
        let observer = Observer::from(&telemetry);
        let (readiness, stop) = (Readiness::default(), Stop::by_hand());
        let health = Health {
            readiness: readiness.clone(),
            version: Version {
                service: "test",
                version: "1.2.3",
            },
            metrics: telemetry.metrics(),
        };
        let grace = patience.grace_period;
        let draining = || stop.draining.clone();
        let public = server::serve(
            ports.public.unwrap(),
            grace,
            grace,
            draining(),
            Some(observer),
            |config| {
                config.service(at("/v1/posts/{post}").put(put).get(async || "read"));
            },
        );
        let internal = server::serve(
            ports.internal,
            grace,
            grace,
            draining(),
            None,
            move |config| health.configure(config),
        );
        let servers = vec![public.unwrap(), internal.unwrap()];
        let (told, ready) = (stop.clone(), readiness.clone());
        let ended = tokio::spawn(async move {
            drain::serve_until_stopped(&told, &ready, patience, servers, std::future::ready(()))
                .await
        });
        Self {
            public: format!("http://{}", addresses.listen),
            internal: format!("http://{}", addresses.internal_listen),
            readiness,
            stop,
            ended,
            client: Client::new(),
        }
    }

    async fn put(&self, post: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.put(format!("{}/v1/posts/{post}", self.public));
        request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    async fn internal(&self, path: &str) -> (StatusCode, String) {
        let response = self
            .client
            .get(format!("{}{path}", self.internal))
            .send()
            .await
            .unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn stopped(self) -> Result<(), Unfinished> {
        self.stop.draining.cancel();
        self.ended.await.unwrap()
    }
}

async fn problem(response: Response, kind: Kind) -> Value {
    assert_eq!(response.status(), kind.status().as_u16());
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["type"], kind.uri(), "{body}");
    body
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem_each_time() {
    let server = Server::start(NO_PATIENCE).await;
    let title = r#"{"title":"x"}"#;

    assert_eq!(server.put("p1", title).await.text().await.unwrap(), "x");
    problem(server.put("p1", "{").await, Kind::MalformedJson).await;
    let body = problem(server.put("p1", r#"{"title":3}"#).await, Kind::InvalidBody).await;
    assert_eq!(body["errors"][0]["pointer"], "#/title");
    let body = problem(server.put("a%2Fb", title).await, Kind::InvalidParameter).await;
    assert_eq!(body["errors"][0]["parameter"], "post");
    problem(
        server.put("p1", " ".repeat(64 * 1024 + 1)).await,
        Kind::BodyTooLarge,
    )
    .await;
    let chunks = futures::stream::iter((0..65).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    problem(
        server.put("p1", reqwest::Body::wrap_stream(chunks)).await,
        Kind::BodyTooLarge,
    )
    .await;

    let url = format!("{}/v1/posts/p1", server.public);
    let form = server
        .client
        .put(&url)
        .header("content-type", "text/plain")
        .body(title)
        .send()
        .await
        .unwrap();
    problem(form, Kind::UnsupportedMediaType).await;
    let zipped = server
        .client
        .put(&url)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    problem(
        zipped.body(title).send().await.unwrap(),
        Kind::UnsupportedMediaType,
    )
    .await;

    let response = server.client.delete(&url).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "PUT, GET, HEAD");
    problem(response, Kind::MethodNotAllowed).await;
    problem(
        server
            .client
            .get(format!("{}/v2", server.public))
            .send()
            .await
            .unwrap(),
        Kind::NotFound,
    )
    .await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn every_answer_names_its_trace_and_a_callers_trace_goes_on() {
    let server = Server::start(NO_PATIENCE).await;
    let response = server.put("p1", "{").await;
    let timing = response.headers()["server-timing"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(timing.starts_with("total;dur="), "{timing}");
    let traceresponse = response.headers()["traceresponse"]
        .to_str()
        .unwrap()
        .to_owned();
    let body = problem(response, Kind::MalformedJson).await;
    assert_eq!(&traceresponse[3..35], body["trace_id"]);

    let request = server.client.get(format!("{}/nowhere", server.public));
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let response = request.header("traceparent", caller).send().await.unwrap();
    let body = problem(response, Kind::NotFound).await;
    assert_eq!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn the_internal_port_tells_of_the_process() {
    let server = Server::start(NO_PATIENCE).await;
    assert_eq!(server.internal("/livez").await.0, StatusCode::OK);
    assert_eq!(server.internal("/readyz").await.0, StatusCode::OK);
    assert_eq!(
        server.internal("/version").await.1,
        r#"{"service":"test","version":"1.2.3"}"#
    );
    server.put("p1", r#"{"title":"x"}"#).await;
    let metrics = server.internal("/metrics").await.1;
    let counted = r#"http_server_request_duration_seconds_count{http_request_method="PUT",http_response_status_code="200",http_route="/v1/posts/{post}",url_scheme="http"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");

    server
        .readiness
        .not_ready("settings", "no Channel was ever seen");
    let not_ready = (
        StatusCode::SERVICE_UNAVAILABLE,
        r#"{"ready":false,"reasons":{"settings":"no Channel was ever seen"}}"#.to_owned(),
    );
    assert_eq!(server.internal("/readyz").await, not_ready);
    server.readiness.ready("settings");
    assert_eq!(server.internal("/readyz").await.0, StatusCode::OK);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_new_ones_are_taken_for_the_drain_delay() {
    let drain_delay = Duration::from_millis(150);
    let server = Server::start(Patience {
        drain_delay,
        ..NO_PATIENCE
    })
    .await;
    let first = server.put("p1", r#"{"title":"x"}"#).await;
    assert!(!first.headers().contains_key("connection"));
    let url = format!("{}/v1/posts/slow", server.public);
    let slow = server
        .client
        .put(url)
        .header("content-type", "application/json")
        .body(r#"{"title":"late"}"#)
        .send();
    let slow = tokio::spawn(slow);
    while server.internal("/readyz").await.0 == StatusCode::OK {
        server.stop.draining.cancel();
    }
    let last = server.put("p1", r#"{"title":"x"}"#).await;
    assert_eq!(last.status(), StatusCode::OK);
    assert_eq!(last.headers()["connection"], "close");
    assert!(!server.stop.end.is_cancelled());
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "late");
    let end = server.stop.end.clone();
    server.stopped().await.unwrap();
    assert!(end.is_cancelled());
}

#[tokio::test]
async fn what_is_not_done_in_the_grace_period_is_dropped_and_a_second_signal_does_not_wait_for_it()
{
    let grace_period = Duration::from_millis(50);
    let server = Server::start(Patience {
        drain_delay: Duration::from_secs(60),
        grace_period,
    })
    .await;
    assert!(matches!(
        server.stopped().await,
        Err(Unfinished::GracePeriodOver)
    ));

    let server = Server::start(Patience {
        drain_delay: Duration::from_secs(60),
        ..NO_PATIENCE
    })
    .await;
    server.stop.aborted.cancel();
    assert!(matches!(server.stopped().await, Err(Unfinished::Aborted)));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it_and_the_flag() {
    let any = "127.0.0.1:0".parse().unwrap();
    let taken = Ports::bind(any, any).unwrap();
    let address = taken.addresses().unwrap().unwrap().internal_listen;
    let error = Ports::bind(any, address).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("--internal-listen"),
        "{error}"
    );
}

#[tokio::test]
async fn where_a_process_listens_stands_in_its_data_directory() {
    let any = "127.0.0.1:0".parse().unwrap();
    let addresses = Ports::bind(any, any).unwrap().addresses().unwrap().unwrap();
    let dir = tempfile::tempdir().unwrap();
    addresses.write(dir.path()).unwrap();
    assert_eq!(Addresses::read(dir.path()).unwrap(), addresses);
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    Addresses {
        pid: 0,
        ..addresses
    }
    .remove(dir.path());
    assert!(
        Addresses::read(dir.path()).is_ok(),
        "another's file was taken away"
    );
    addresses.remove(dir.path());
    assert!(Addresses::read(dir.path()).is_err());
}
