//! What the log says while the collector is away. One test: the log is the whole process'.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use duet_telemetry::{
    Config, Otlp, Protocol, Signal, Telemetry,
    names::span,
    sampler::{Roots, Sampling},
};
use duet_testkit::{OtlpReceiver, eventually};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_with(&self, text: &str) -> usize {
        let bytes = self.0.lock().unwrap();
        let log = String::from_utf8_lossy(&bytes);
        log.lines().filter(|line| line.contains(text)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_and_comes_back_is_told_once_each_and_what_is_told_arrives_again()
{
    let log = Log::default();
    let to = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || to.clone())
        .with_ansi(false)
        .init();

    let collector = OtlpReceiver::start().await;
    let address = collector.endpoint();
    drop(collector);
    let mut config = Config::new("reaction", "0.0.0");
    config.traces = Some(Otlp::to(&address, Protocol::Grpc, Signal::Traces));
    config.spans.every = Duration::from_millis(10);
    config.metrics = Some(Otlp::to(&address, Protocol::HttpProtobuf, Signal::Metrics));
    config.metrics_every = Duration::from_millis(10);
    config.sampling = Sampling {
        roots: Roots::All,
        ..Sampling::default()
    };
    let telemetry = Telemetry::start(config).unwrap();
    let tracer = telemetry.tracer();
    let instruments = telemetry.instruments();
    let record = || {
        tracer.root(span::COMMIT_GROUP).start().end();
        instruments.received("applied", 1);
    };

    let away = ["traces can't be exported", "metrics can't be exported"];
    for _ in 0..20 {
        record();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually(Duration::from_secs(20), || async {
        away.map(|away| log.lines_with(away)) == [1, 1]
    })
    .await;
    let metrics = telemetry.metrics().render().unwrap();
    let lost = |line: &&str| line.starts_with("otel_sdk_exporter_span_exported");
    let lost = metrics.lines().find(lost).unwrap_or_default();
    assert!(lost.contains(r#"error_type="export""#), "{metrics}");

    let collector =
        OtlpReceiver::start_at(address.trim_start_matches("http://").parse().unwrap()).await;
    eventually(Duration::from_secs(20), || async {
        record();
        !collector.spans().is_empty() && !collector.points().is_empty()
    })
    .await;
    let back = [
        "the collector takes traces again",
        "the collector takes metrics again",
    ];
    eventually(Duration::from_secs(10), || async {
        back.map(|back| log.lines_with(back)) == [1, 1]
    })
    .await;
    assert_eq!(away.map(|away| log.lines_with(away)), [1, 1]);
    telemetry.shutdown(Duration::from_secs(5)).await.unwrap();
    // Nothing that was counted meanwhile is missing.
    let points = collector.points();
    let last = points.iter().rfind(|point| point.metric == "duet.events");
    assert!(last.unwrap().value >= 20.0, "{last:?}");
}
