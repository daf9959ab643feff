//! What a collector gets of each signal, over gRPC and over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::time::{Duration, Instant};

use duet_telemetry::{
    Config, Headers, Otlp, Protocol, Signal, Telemetry, TelemetryError,
    names::span,
    sampler::{Roots, Sampling},
};
use duet_testkit::{OtlpReceiver, eventually};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const LONG: Duration = Duration::from_secs(3600);

fn config() -> Config {
    let mut config = Config::new("reaction", "1.2.3");
    config.sampling = Sampling {
        roots: Roots::All,
        ..Sampling::default()
    };
    config
}

#[tokio::test]
async fn what_was_told_last_arrives_when_the_process_stops_by_either_protocol_with_its_headers() {
    for protocol in PROTOCOLS {
        let collector = OtlpReceiver::start().await;
        let otlp = |signal| {
            let mut otlp = Otlp::to(&collector.endpoint(), protocol, signal);
            otlp.headers = Headers::new([("X-Key", "a b")]).unwrap();
            Some(otlp)
        };
        let mut config = config();
        config.traces = otlp(Signal::Traces);
        config.spans.every = LONG;
        config.metrics = otlp(Signal::Metrics);
        config.metrics_every = LONG;
        let telemetry = Telemetry::start(config).unwrap();
        telemetry.tracer().root(span::COMMIT_GROUP).start().end();
        let instruments = telemetry.instruments();
        instruments.received("applied", 3);
        instruments.http_served("GET", Some("/v1/posts"), 200, Duration::from_millis(250));
        telemetry.shutdown(Duration::from_secs(10)).await.unwrap();

        let spans = collector.spans();
        assert_eq!(spans.len(), 1, "{protocol:?}: {spans:?}");
        assert_eq!(spans[0].service, "reaction");
        let points = collector.points();
        let point = |metric: &str| {
            let found = points.iter().find(|point| point.metric == metric);
            found.unwrap_or_else(|| panic!("{protocol:?}: no {metric} in {points:?}"))
        };
        // The conventions' own names and units: what Prometheus makes of them is for Prometheus only.
        let events = point("duet.events");
        assert_eq!((events.value, events.unit.as_str()), (3.0, "{event}"));
        assert_eq!(events.attributes["duet.outcome"], "applied");
        assert_eq!(events.resource["service.version"], "1.2.3");
        let served = point("http.server.request.duration");
        assert_eq!((served.value, served.count), (0.25, Some(1)));
        assert_eq!(served.attributes["http.route"], "/v1/posts");

        let exports = collector.exports();
        assert_eq!(exports.len(), 2, "{exports:?}");
        for export in exports {
            assert_eq!(export.headers["x-key"], "a b", "{export:?}");
            let http = export.path.starts_with("/v1/");
            assert_eq!(http, protocol == Protocol::HttpProtobuf, "{export:?}");
        }
    }
}

#[tokio::test]
async fn metrics_are_pushed_at_their_interval_and_shown_to_prometheus_besides() {
    let collector = OtlpReceiver::start().await;
    let mut config = config();
    config.metrics = Some(Otlp::to(
        &collector.endpoint(),
        Protocol::HttpProtobuf,
        Signal::Metrics,
    ));
    config.metrics_every = Duration::from_millis(20);
    let telemetry = Telemetry::start(config).unwrap();
    telemetry.instruments().received("applied", 1);
    let pushed = || async {
        let points = collector.points();
        points
            .iter()
            .filter(|it| it.metric == "duet.events")
            .count()
            > 1
    };
    eventually(Duration::from_secs(10), pushed).await;
    let shown = telemetry.metrics().render().unwrap();
    assert!(shown.contains("duet_events_total"), "{shown}");
    telemetry.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn metrics_that_are_not_for_prometheus_are_not_shown_and_the_page_says_so() {
    let mut config = config();
    config.prometheus = false;
    let telemetry = Telemetry::start(config).unwrap();
    telemetry.instruments().received("applied", 1);
    let shown = telemetry.metrics().render().unwrap();
    assert!(shown.starts_with("# OTEL_METRICS_EXPORTER"), "{shown}");
    assert!(!shown.contains("duet"), "{shown}");
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_the_work_nor_the_end() {
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", hung.local_addr().unwrap());
    for protocol in PROTOCOLS {
        let mut config = config();
        config.traces = Some(Otlp::to(&address, protocol, Signal::Traces));
        config.metrics = Some(Otlp::to(&address, protocol, Signal::Metrics));
        let queue = config.spans.queue;
        let telemetry = Telemetry::start(config).unwrap();
        let tracer = telemetry.tracer();
        // Far more than the queue takes: what is over it is dropped, and nobody waits.
        let began = Instant::now();
        for _ in 0..queue * 8 {
            tracer.root(span::COMMIT_GROUP).start().end();
        }
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        let began = Instant::now();
        let ended = telemetry.shutdown(Duration::from_millis(100)).await;
        assert!(matches!(
            ended,
            Err(TelemetryError::Flush {
                signal: Signal::Traces,
                ..
            })
        ));
        // An export alone may take 5 s.
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn an_https_collector_is_spoken_to_by_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    for protocol in PROTOCOLS {
        let mut config = config();
        config.traces = Some(Otlp::to(&address, protocol, Signal::Traces));
        config.spans.every = Duration::from_millis(1);
        let telemetry = Telemetry::start(config).unwrap();
        telemetry.tracer().root(span::COMMIT_GROUP).start().end();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first)
            .await
            .unwrap();
        // A TLS handshake's record.
        assert_eq!(first, [22], "{protocol:?}");
        drop(stream);
        let _ = telemetry.shutdown(Duration::from_millis(1)).await;
    }
}
