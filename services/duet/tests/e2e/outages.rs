//! What is killed, cut off or away, and what status says meanwhile.

use std::time::Duration;

use duet_testkit::until;
use serde_json::json;

use crate::PATIENCE;
use crate::callers::Callers;
use crate::cli::Helm;
use crate::load::Load;
use crate::release::{Release, WITHOUT_VOLUMES};

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn operator_notification_and_broker_are_killed_under_load_and_nothing_is_lost_or_doubled() {
    let release = Release::install(Helm::Four, "duet", "kills", &["channel.spec.mode=Async"]).await;
    let load = Load::start(&release, 200, Duration::from_secs(45)).await;
    for component in ["operator", "notification", "nats"] {
        // Without a grace period: killed, not stopped. NATS' pod is rescheduled with its volume.
        let pod = release.pod(component);
        release.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]);
        let selector =
            format!("app.kubernetes.io/instance=duet,app.kubernetes.io/component={component}");
        release.kubectl(&[
            "wait",
            "pod",
            "-l",
            &selector,
            "--for=condition=Ready",
            "--timeout=60s",
        ]);
    }
    let counted = load.sound().await;
    assert_eq!(
        counted["failed"],
        json!({}),
        "in Async nobody notices: {counted:#}"
    );
    release
        .status(PATIENCE, |status| {
            status.condition("Ready") == "True"
                && status.condition("Drained") == "True"
                && status.is_whole()
        })
        .await;
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn without_its_broker_a_channel_says_unknown_then_false_and_true_again_once_it_is_back() {
    let release = Release::install(
        Helm::Four,
        "duet",
        "broker",
        &[&WITHOUT_VOLUMES[..], &["channel.spec.mode=Async"]].concat(),
    )
    .await;
    release
        .status(PATIENCE, |status| status.condition("BrokerReady") == "True")
        .await;
    let nats = release.part("nats");
    release.kubectl(&["scale", "statefulset", &nats, "--replicas=0"]);
    let mut seen = vec!["True".to_owned()];
    until(PATIENCE, || {
        let channel = release.channel();
        let now = crate::release::Status(&channel)
            .condition("BrokerReady")
            .to_owned();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        let story = seen.clone();
        async move {
            if story.last().is_some_and(|it| it == "False") {
                Ok(())
            } else {
                Err(format!("{story:?}"))
            }
        }
    })
    .await;
    assert_eq!(seen, ["True", "Unknown", "False"]);

    // Accepted meanwhile, delivered afterwards.
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    assert_eq!(callers.react("hello", "ana").await.status, 202);
    release
        .status(PATIENCE, |status| {
            status.0["status"]["unacknowledged"].as_u64() > Some(0)
        })
        .await;
    release.kubectl(&["scale", "statefulset", &nats, "--replicas=1"]);
    callers.told("hello", &["ana"]).await;
    release
        .status(PATIENCE, |status| {
            status.condition("BrokerReady") == "True" && status.condition("Ready") == "True"
        })
        .await;
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn a_pod_that_cannot_reach_the_api_server_serves_on_in_the_old_mode_and_is_named() {
    let release = Release::install(
        Helm::Four,
        "duet",
        "apart",
        &[
            "reaction.persistence.enabled=false",
            "nats.persistence.enabled=false",
        ],
    )
    .await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    // To this pod the API server is where nobody answers (TEST-NET-1): it starts from what was kept beside its store.
    let notification = release.part("notification");
    release.kubectl(&[
        "set",
        "env",
        &format!("deployment/{notification}"),
        "KUBERNETES_SERVICE_HOST=192.0.2.1",
    ]);
    release.kubectl(&[
        "rollout",
        "status",
        &format!("deployment/{notification}"),
        "--timeout=90s",
    ]);
    let pod = release.pod("notification");

    release.patch_mode("Async");
    let channel = release
        .status(PATIENCE, |status| {
            status.is_current() && status.diverging() == [pod.as_str()]
        })
        .await;
    assert_ne!(
        crate::release::Status(&channel).condition("Ready"),
        "True",
        "{channel:#}"
    );
    // Reaction has switched; the pod in the old mode goes on consuming and answering.
    assert_eq!(callers.react("hello", "ana").await.status, 202);
    let callers = Callers::of(&release).await;
    callers.told("hello", &["ana"]).await;

    release.kubectl(&[
        "set",
        "env",
        &format!("deployment/{notification}"),
        "KUBERNETES_SERVICE_HOST-",
    ]);
    release.follows("Async", PATIENCE).await;
}
