use std::time::Duration;

use super::*;
use crate::otlp::{Headers, Otlp, Protocol, Signal};

fn told(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_variables("reaction", "1.2.3", &|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn attribute_of(config: &Config, key: &'static str) -> Option<String> {
    config
        .resource()
        .get(&key.into())
        .map(|value| value.to_string())
}

#[test]
fn without_variables_nothing_is_exported_and_the_service_has_its_own_name() {
    let config = told(&[]).unwrap();
    assert_eq!(
        (&config.traces, &config.metrics, &config.logs),
        (&None, &None, &None)
    );
    assert!(config.prometheus);
    assert_eq!(config.sampling, Sampling::default());
    assert_eq!(attribute_of(&config, "service.name").unwrap(), "reaction");
    assert_eq!(attribute_of(&config, "service.version").unwrap(), "1.2.3");
    assert_eq!(
        attribute_of(&config, "service.instance.id").unwrap().len(),
        16
    );
}

#[test]
fn two_processes_have_different_instances() {
    assert_ne!(told(&[]).unwrap().instance, told(&[]).unwrap().instance);
}

#[test]
fn resource_attributes_are_decoded_and_win_over_our_own() {
    let list = "service.instance.id=pod-7, k8s.node.name=a%2Cb ,team=caf%C3%A9,";
    let config = told(&[("OTEL_RESOURCE_ATTRIBUTES", list)]).unwrap();
    assert_eq!(
        attribute_of(&config, "service.instance.id").unwrap(),
        "pod-7"
    );
    assert_eq!(attribute_of(&config, "k8s.node.name").unwrap(), "a,b");
    assert_eq!(attribute_of(&config, "team").unwrap(), "café");
    assert_eq!(attribute_of(&config, "service.name").unwrap(), "reaction");
}

#[test]
fn the_service_name_variable_wins_over_the_list() {
    let config = told(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed"),
        ("OTEL_SERVICE_NAME", "named"),
    ]);
    assert_eq!(
        attribute_of(&config.unwrap(), "service.name").unwrap(),
        "named"
    );
}

const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318");

fn endpoint(otlp: Option<Otlp>) -> Option<String> {
    otlp.map(|otlp| otlp.endpoint)
}

#[test]
fn a_signals_own_variables_win_over_those_of_all() {
    let config = told(&[
        COLLECTOR,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "team=a,key=all%20of"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9/in"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "key=logs"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "300"),
    ])
    .unwrap();
    let headers = |pairs: &[(&str, &str)]| Headers::new(pairs.iter().copied()).unwrap();
    let expected = |endpoint: &str, protocol, headers, timeout| {
        let mut otlp = Otlp::to("", protocol, Signal::Traces);
        otlp.endpoint = endpoint.into();
        otlp.headers = headers;
        otlp.timeout = Duration::from_millis(timeout);
        Some(otlp)
    };
    let all = headers(&[("team", "a"), ("key", "all of")]);
    let http = Protocol::HttpProtobuf;
    let traces = expected("http://all:4318/v1/traces", http, all.clone(), 700);
    assert_eq!(config.traces, traces);
    // Taken as it is: no path is added.
    assert_eq!(
        config.metrics,
        expected("http://metrics:9/in", http, all, 700)
    );
    let own = headers(&[("key", "logs")]);
    assert_eq!(
        config.logs,
        expected("http://all:4318", Protocol::Grpc, own, 300)
    );
}

#[test]
fn an_empty_variable_counts_as_none() {
    let config = told(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_METRICS_EXPORTER", " "),
    ]);
    let config = config.unwrap();
    assert_eq!(config.traces, None);
    assert!(config.prometheus);
}

#[test]
fn what_is_exported_and_where_to() {
    for (variables, prometheus, [traces, metrics, logs]) in [
        (&[COLLECTOR][..], true, [true, false, false]),
        (
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            true,
            [true, false, false],
        ),
        (
            &[COLLECTOR, ("OTEL_TRACES_EXPORTER", "none")],
            true,
            [false; 3],
        ),
        (
            &[("OTEL_METRICS_EXPORTER", "otlp")],
            false,
            [false, true, false],
        ),
        (
            &[("OTEL_METRICS_EXPORTER", "Prometheus, otlp")],
            true,
            [false, true, false],
        ),
        (&[("OTEL_METRICS_EXPORTER", "none")], false, [false; 3]),
        (
            &[COLLECTOR, ("OTEL_LOGS_EXPORTER", "otlp")],
            true,
            [true, false, true],
        ),
        (
            &[COLLECTOR, ("OTEL_SDK_DISABLED", "True")],
            false,
            [false; 3],
        ),
    ] {
        let config = told(variables).unwrap();
        let exported = [&config.traces, &config.metrics, &config.logs].map(Option::is_some);
        assert_eq!(
            (config.prometheus, exported),
            (prometheus, [traces, metrics, logs]),
            "{variables:?}"
        );
    }
    // Asked for without an endpoint: as the specification says.
    let config = told(&[("OTEL_METRICS_EXPORTER", "otlp")]).unwrap();
    assert_eq!(endpoint(config.metrics).unwrap(), "http://localhost:4317");
}

#[test]
fn what_cant_be_is_refused_by_name_and_with_what_may_be() {
    for (variable, value) in [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_RESOURCE_ATTRIBUTES", "no-value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "half=%4"),
        ("OTEL_RESOURCE_ATTRIBUTES", "not-hex=%é"),
        ("OTEL_RESOURCE_ATTRIBUTES", "signed=%+f"),
        ("OTEL_RESOURCE_ATTRIBUTES", "not-utf8=%ff"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_METRICS_EXPORTER", "otlp,none"),
        ("OTEL_METRICS_EXPORTER", "otlp,,prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp,otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5s"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "neither",
        ),
    ] {
        let error = told(&[COLLECTOR, (variable, value)]).unwrap_err();
        assert_eq!(error.variable, variable);
        assert!(error.to_string().contains(value), "{error}");
    }
}

#[test]
fn what_may_be_a_secret_is_not_told() {
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer hush"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=hush%0a"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://ana:hush@collector",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://collector/?key=hush",
        ),
    ] {
        let error = told(&[COLLECTOR, (variable, value)]).unwrap_err();
        assert_eq!(error.variable, variable);
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn a_way_that_isnt_taken_is_not_judged() {
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    assert!(told(&[protocol]).is_ok());
    assert!(told(&[protocol, COLLECTOR, ("OTEL_SDK_DISABLED", "true")]).is_ok());
}
