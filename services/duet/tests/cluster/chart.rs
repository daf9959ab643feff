//! What the chart renders, and what it refuses.

use crate::cli::{Helm, kubectl, run, run_with};
use crate::release::{chart, unique};

/// Values that a user may well set, each a set of its own.
const MATRIX: &[&[&str]] = &[
    &[],
    &["operator.replicas=2", "operator.crd.manage=false"],
    &[
        "nats.enabled=false",
        "nats.url=nats://broker.example:4222",
        "jaeger.enabled=false",
    ],
    &[
        "jaeger.enabled=false",
        "otlp.endpoint=http://collector.example:4317",
    ],
    &crate::release::WITHOUT_VOLUMES,
    &["networkPolicy.enabled=false", "demo.enabled=true"],
    &["channel.enforce=true", "channel.spec.mode=Async"],
    &["fullnameOverride=other", "image.tag=9.9.9"],
];

/// What the chart can't do, and a word of why.
const REFUSED: &[(&str, &str)] = &[
    ("reaction.replicas=2", "replica"),
    ("notification.replicas=3", "replica"),
    ("no.such.value=1", "no"),
    ("channel.spec.mode=Sometimes", "mode"),
    ("channel.spec.from=other", "spec.from"),
    ("reaction.terminationGracePeriodSeconds=10", "terminationGracePeriodSeconds"),
];

fn both() -> [&'static str; 2] {
    [Helm::Four.program(), Helm::Three.program()]
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn every_sensible_set_of_values_is_taken_by_the_api_server() {
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let namespace = format!("e2e-chart-{}", unique());
    kubectl(&["create", "namespace", &namespace]);
    let mut wrong = Vec::new();
    for helm in both() {
        let lint = run(helm, ["lint", "--strict", chart]);
        if !lint.success {
            wrong.push(format!("{helm} lint: {}{}", lint.stdout, lint.stderr));
        }
        for values in MATRIX {
            let set = values.iter().flat_map(|value| ["--set", value]);
            let args = ["template", "duet", chart, "--namespace", &namespace]
                .into_iter()
                .chain(set);
            let rendered = run(helm, args);
            let taken = run_with(
                "kubectl",
                [
                    "apply",
                    "--dry-run=server",
                    "--namespace",
                    &namespace,
                    "-f",
                    "-",
                ],
                &rendered.stdout,
            );
            if !(rendered.success && taken.success) {
                wrong.push(format!(
                    "{helm} {values:?}: {}{}",
                    rendered.stderr, taken.stderr
                ));
            }
        }
    }
    kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "needs helm: make e2e"]
async fn what_the_chart_cannot_do_is_refused_with_the_reason() {
    let chart = chart();
    let chart = chart.to_str().unwrap();
    for helm in both() {
        for (value, why) in REFUSED {
            let said = run(helm, ["template", "duet", chart, "--set", value]);
            assert!(!said.success, "{helm}: {value} was taken");
            assert!(said.stderr.contains(why), "{helm} {value}: {}", said.stderr);
        }
    }
}
