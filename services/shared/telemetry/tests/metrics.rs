//! What Prometheus gets.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use duet_telemetry::{
    Config, Telemetry,
    instruments::{Destination, Held, Letters, Outbox},
};

/// The samples of Prometheus' text format by name and labels; panics at a line that is none.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            assert!(matches!(kind, "HELP" | "TYPE"), "{line}");
            assert!(rest.contains(' '), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        assert!(!name.is_empty() && name.chars().all(allowed), "{line}");
        assert!(series == name || series.ends_with('}'), "{line}");
        let again = samples.insert(series.to_owned(), value.parse().unwrap());
        assert_eq!(again, None, "twice: {line}");
    }
    samples
}

#[tokio::test]
async fn every_instrument_is_in_the_text_under_its_conventional_name() {
    let telemetry = Telemetry::start(Config::new("reaction", "1.2.3")).unwrap();
    let instruments = telemetry.instruments();
    let took = Duration::from_millis(30);
    let receiver: Arc<str> = "notification".into();
    let host: Arc<str> = "127.0.0.1".into();
    let subject = Destination {
        system: "nats",
        name: "duet.reactions".into(),
    };
    instruments.http_served("PUT", Some("/v1/posts/{post}"), 200, took);
    instruments.http_served("GET", None, 404, took);
    instruments.http_called("POST", (&host, 8090), Ok(200), took);
    instruments.http_called("POST", (&host, 8090), Err("timeout"), took);
    instruments.sent(&subject, Ok(()), took);
    instruments.sent(&subject, Err("timeout"), took);
    instruments.consumed(&subject, 3);
    instruments.processed(&subject, took);
    instruments.receipt(&receiver, took);
    instruments.committed(64);
    instruments.received("applied", 2);
    instruments.letters(Letters::Parked, 5);
    instruments.letters(Letters::Redriven, 0);
    instruments.job_ran("applied", took);
    instruments.rule_struck("duplicate", 4);
    instruments.consumer_rebuilt("deaf");
    instruments.repaired("reset", 3);
    let accepted = SystemTime::UNIX_EPOCH;
    instruments.notified("async", accepted, accepted + took);
    instruments.notified("async", accepted + took, accepted);
    instruments.observe_outbox(move || {
        vec![Outbox {
            receiver: receiver.clone(),
            unacknowledged: 7,
            oldest_age: Duration::from_millis(1_500),
        }]
    });
    instruments.observe_held(|| Held { parked: 2, dead: 1 });
    instruments.observe_imbalance(|| vec![("trending".into(), 3)]);

    let samples = samples(&telemetry.metrics().render().unwrap());
    let put = r#"http_request_method="PUT",http_response_status_code="200",http_route="/v1/posts/{post}",url_scheme="http""#;
    let nats = r#"messaging_destination_name="duet.reactions",messaging_operation_name="send",messaging_system="nats""#;
    for (series, value) in [
        (format!("http_server_request_duration_seconds_count{{{put}}}"), 1.0),
        (format!("http_server_request_duration_seconds_sum{{{put}}}"), 0.03),
        (format!(r#"http_server_request_duration_seconds_bucket{{{put},le="0.025"}}"#), 0.0),
        (format!(r#"http_server_request_duration_seconds_bucket{{{put},le="0.05"}}"#), 1.0),
        (r#"http_client_request_duration_seconds_count{error_type="timeout",http_request_method="POST",server_address="127.0.0.1",server_port="8090"}"#.into(), 1.0),
        (format!("messaging_client_sent_messages_total{{{nats}}}"), 1.0),
        (format!(r#"messaging_client_sent_messages_total{{error_type="timeout",{nats}}}"#), 1.0),
        (format!("messaging_client_operation_duration_seconds_count{{{nats}}}"), 1.0),
        (r#"messaging_client_consumed_messages_total{messaging_destination_name="duet.reactions",messaging_operation_name="receive",messaging_system="nats"}"#.into(), 3.0),
        (r#"messaging_process_duration_seconds_count{messaging_destination_name="duet.reactions",messaging_operation_name="process",messaging_system="nats"}"#.into(), 1.0),
        (r#"duet_receipt_duration_seconds_sum{duet_receiver="notification"}"#.into(), 0.03),
        (r#"duet_notify_duration_seconds_count{duet_mode="async"}"#.into(), 2.0),
        (r#"duet_notify_duration_seconds_sum{duet_mode="async"}"#.into(), 0.03),
        ("duet_commit_size_sum".into(), 64.0),
        (r#"duet_events_total{duet_outcome="applied"}"#.into(), 2.0),
        (r#"duet_letters_total{duet_outcome="parked"}"#.into(), 5.0),
        (r#"duet_job_duration_seconds_sum{duet_outcome="applied"}"#.into(), 0.03),
        (r#"duet_rule_strikes_total{duet_rule="duplicate"}"#.into(), 4.0),
        (r#"duet_consumer_rebuilds_total{duet_reason="deaf"}"#.into(), 1.0),
        (r#"duet_repaired_events_total{duet_reason="reset"}"#.into(), 3.0),
        (r#"duet_outbox_unacknowledged{duet_receiver="notification"}"#.into(), 7.0),
        (r#"duet_outbox_oldest_age_seconds{duet_receiver="notification"}"#.into(), 1.5),
        (r#"duet_ledger_imbalance{duet_receiver="trending"}"#.into(), 3.0),
        ("duet_parked".into(), 2.0),
        ("duet_dead_letters".into(), 1.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series} in {samples:#?}");
    }
    let target = samples
        .keys()
        .find(|series| series.starts_with("target_info"))
        .unwrap();
    assert!(target.contains(r#"service_name="reaction""#), "{target}");
}

#[tokio::test]
async fn two_processes_worth_of_telemetry_in_one_do_not_mix() {
    let [one, other] = ["reaction", "notification"]
        .map(|service| Telemetry::start(Config::new(service, "0.0.0")).unwrap());
    one.instruments().committed(1);
    assert!(one.metrics().render().unwrap().contains("duet_commit_size"));
    assert!(
        !other
            .metrics()
            .render()
            .unwrap()
            .contains("duet_commit_size")
    );
}
