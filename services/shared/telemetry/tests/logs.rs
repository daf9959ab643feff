//! What a collector gets of the log. One test: the log is the whole process'.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::time::Duration;

use duet_telemetry::{Config, Otlp, Protocol, Signal, Telemetry, Tracer, logs, names::span};
use duet_testkit::{OtlpReceiver, eventually};

fn config(collector: &OtlpReceiver, protocol: Protocol) -> Config {
    let mut config = Config::new("reaction", "1.2.3");
    config.logs = Some(Otlp::to(&collector.endpoint(), protocol, Signal::Logs));
    config.log_records.every = Duration::from_millis(10);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_arrive_with_the_ids_of_their_trace_and_those_about_exporting_dont() {
    logs::init().unwrap();
    tracing::info!("before there is a collector");
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let collector = OtlpReceiver::start().await;
        let telemetry = Telemetry::start(config(&collector, protocol)).unwrap();
        // Recorded or not, a span has ids.
        let span = Tracer::default().root(span::COMMIT_GROUP).start();
        let ids = span.span_context().clone();
        {
            let _attached = span.context().attach();
            tracing::warn!(user = "ana", count = 3_u64, "said {}", 1);
        }
        tracing::error!(target: "hyper_util::client", "about an export");
        tracing::debug!("what RUST_LOG doesn't ask for");
        eventually(Duration::from_secs(10), || async {
            collector.log_lines().len() == 1
        })
        .await;
        tracing::info!("at the end");
        telemetry.shutdown(Duration::from_secs(10)).await.unwrap();
        tracing::info!("after the end");

        let lines = collector.log_lines();
        let said: Vec<_> = lines
            .iter()
            .map(|line| line.body.as_str().unwrap())
            .collect();
        assert_eq!(said, ["said 1", "at the end"], "{protocol:?}");
        let [first, last] = &lines[..] else {
            unreachable!()
        };
        assert_eq!(first.severity, "WARN");
        assert_eq!(first.target, module_path!());
        assert_eq!(first.attributes["user"], "ana");
        assert_eq!(first.attributes["count"], 3);
        assert_eq!(first.resource["service.name"], "reaction");
        assert_eq!(first.trace_id, ids.trace_id().to_string());
        assert_eq!(first.span_id, ids.span_id().to_string());
        assert_eq!((last.trace_id.as_str(), last.span_id.as_str()), ("", ""));
    }
}
