//! Traces, metrics and logs, over HTTP.

use super::*;

#[tokio::test]
async fn all_three_signals_go_over_http_and_what_was_told_last_is_not_lost() {
    let collector = OtlpReceiver::start().await;
    let mut pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Sync)
        .traces(&collector.endpoint())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_METRICS_EXPORTER", "prometheus,otlp")
        .env("OTEL_LOGS_EXPORTER", "otlp")
        // Nothing goes of itself.
        .env("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "3600000")
        .start()
        .await;
    pair.post("post-1", "bob", "A walk").await;
    let reply = pair.react("ana", "post-1").await;
    assert_eq!(reply.status, 200);
    shaped(&collector, &reply.trace_id(), &[SYNC]).await;

    pair.reaction.terminate().await;
    pair.notification.terminate().await;
    let points = collector.points();
    let served = points.iter().filter(|point| {
        point.metric == "http.server.request.duration"
            && point.resource["service.name"] == "reaction"
    });
    let route = "/v1/posts/{post}/reactions/{user}";
    let mut reactions = served.filter(|point| point.attributes["http.route"] == route);
    assert_eq!(
        reactions.next().and_then(|point| point.count),
        Some(1),
        "{points:#?}"
    );
    let applied = points.iter().find(|point| point.metric == "duet.events");
    assert_eq!(
        applied.map(|point| point.resource["service.name"].clone()),
        Some(json!("notification"))
    );
    for service in ["reaction", "notification"] {
        let lines = collector.log_lines();
        let listens = lines.iter().any(|line| {
            line.resource["service.name"] == service
                && line.body == json!(format!("{service} listens"))
        });
        assert!(listens, "{lines:#?}");
    }
    let paths = collector.exports().into_iter().map(|export| export.path);
    let paths: std::collections::BTreeSet<_> = paths.collect();
    assert_eq!(
        Vec::from_iter(paths),
        ["/v1/logs", "/v1/metrics", "/v1/traces"]
    );
}
