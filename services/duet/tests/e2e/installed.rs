//! What README promises of an installation, from `helm install` to what `helm uninstall` leaves.

use std::time::{Duration, Instant};

use duet_testkit::until;
use serde_json::{Value, json};

use crate::browser;
use crate::callers::Callers;
use crate::cli::{Helm, kubectl};
use crate::jaeger;
use crate::load::Load;
use crate::release::{Forward, Release, Status, WITHOUT_VOLUMES, chart};

/// Within this status must tell the truth after a change.
const TRUTH: Duration = Duration::from_secs(5);

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn installed_with_its_defaults_it_delivers_in_both_modes_and_every_hop_is_in_jaeger() {
    let begun = Instant::now();
    let release = Release::install(Helm::Four, "duet", "story", &[]).await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    let answer = callers.react("hello", "ana").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    callers.told("hello", &["ana"]).await;
    eprintln!(
        "from helm install to the first reaction delivered: {:?}",
        begun.elapsed()
    );

    let pages = release.forward("jaeger", 16686).await;
    jaeger::shows(&pages, &answer.trace, jaeger::SYNC).await;
    let ana = json!({"duet.post": "hello", "duet.user": "ana"});
    jaeger::finds(&pages, &ana, &answer.trace).await;

    release.patch_mode("Async");
    let patched = Instant::now();
    release.follows("Async", TRUTH).await;
    eprintln!(
        "from the patch to a status that says that all pods follow: {:?}",
        patched.elapsed()
    );
    let answer = callers.react("hello", "eva").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    callers.told("hello", &["eva", "ana"]).await;
    jaeger::shows(&pages, &answer.trace, jaeger::ASYNC).await;
    browser::shows(
        &pages,
        &answer.trace,
        &[
            "send duet.reactions",
            "process duet.reactions",
            "apply reaction",
        ],
    );

    // The same, by the command.
    let said = release.duet("status", &[]).or_panic();
    assert!(said.contains("Async"), "{said}");
    let said = release.duet("trace", &[&answer.trace]).or_panic();
    assert!(said.contains("apply reaction"), "{said}");
    release.duet("mode", &["sync"]).or_panic();
    release.follows("Sync", TRUTH).await;
    assert_eq!(callers.react("hello", "leo").await.status, 200);

    let events = release.kubectl(&[
        "get",
        "events",
        "--field-selector=involvedObject.kind=Channel",
        "-o",
        "wide",
    ]);
    assert!(
        events.contains("Async"),
        "a switch is told as an Event: {events}"
    );
    release
        .helm(&["test", release.name, "--timeout=2m"])
        .or_panic();

    // Uninstalled, a second one would take this one's Channel along.
    let second = release.helm(&["install", "second", chart().to_str().unwrap()]);
    assert!(
        second.stderr.contains("choose another namespace"),
        "{second:?}"
    );
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn the_mode_is_patched_under_load_and_nothing_fails_and_an_upgrade_leaves_it_alone() {
    let release = Release::install(Helm::Four, "duet", "switch", &WITHOUT_VOLUMES).await;
    let load = Load::start(&release, 500, Duration::from_secs(25)).await;
    let mut slowest = Duration::ZERO;
    for mode in ["Async", "Sync", "Async", "Sync", "Async"] {
        release.patch_mode(mode);
        let patched = Instant::now();
        release.follows(mode, TRUTH).await;
        slowest = slowest.max(patched.elapsed());
    }
    eprintln!("five switches at 500 reactions a second; status told the truth within {slowest:?}");
    let counted = load.sound().await;
    assert_eq!(counted["failed"], json!({}), "{counted:#}");
    eprintln!("{counted}");

    let before = release.channel();
    release.upgrade(&["reaction.resources.limits.memory=144Mi"]);
    release.ready().await;
    let after = release.channel();
    assert_eq!(
        after["spec"], before["spec"],
        "the upgrade changed the Channel"
    );
    assert_eq!(after["spec"]["mode"], "Async");
    release.follows("Async", crate::PATIENCE).await;

    // Where the values are to win, they do.
    release.upgrade(&["channel.enforce=true", "channel.spec.mode=Sync"]);
    release.follows("Sync", crate::PATIENCE).await;
    release.patch_mode("Async");
    release
        .status(crate::PATIENCE, |status| {
            status.0["spec"]["mode"] == "Sync" && status.mode() == "Sync" && status.is_current()
        })
        .await;
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn a_deleted_channel_takes_its_stream_along_where_it_says_so_and_the_pods_go_on_without_it() {
    let release = Release::install(Helm::Four, "duet", "deleted", &WITHOUT_VOLUMES).await;
    let callers = Callers::of(&release).await;
    let nats = Forward::to(&release, &format!("pod/{}", release.pod("nats")), 8222).await;
    let streams = || async {
        let answer = reqwest::get(format!("{}/jsz", nats.url)).await.unwrap();
        answer.json::<Value>().await.unwrap()["streams"].clone()
    };
    assert_eq!(streams().await, 1);

    // A receiver that was named by mistake leaves nothing behind that messages would wait for.
    let receiver = |name: &str| {
        release.patch(&json!({"spec": {"to": [{"name": name}]}}));
    };
    let consumer = |name: &'static str| {
        let url = format!("{}/jsz?consumers=true", nats.url);
        until(crate::PATIENCE, move || {
            let url = url.clone();
            async move {
                let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
                let told: Value = answer.json().await.map_err(|error| error.to_string())?;
                let stream = &told["account_details"][0]["stream_detail"][0];
                let consumers = stream["consumer_detail"].as_array().into_iter().flatten();
                let names: Vec<_> = consumers.map(|it| it["name"].clone()).collect();
                if names == [name] {
                    Ok(())
                } else {
                    Err(told.to_string())
                }
            }
        })
    };
    receiver("nowhere");
    consumer("nowhere").await;
    receiver("duet-notification");
    consumer("duet-notification").await;

    let policy = |policy: &str| {
        release.patch(&json!({"spec": {"deletionPolicy": policy}}));
    };
    policy("Delete");
    let held = |status: &Status<'_>| status.0["metadata"]["finalizers"].is_array();
    release.status(crate::PATIENCE, held).await;
    // It holds nobody up who has changed their mind.
    policy("Retain");
    release
        .status(crate::PATIENCE, |status| !held(status))
        .await;
    policy("Delete");
    release.status(crate::PATIENCE, held).await;
    release.kubectl(&["delete", "channel", "reactions", "--timeout=60s"]);
    assert_eq!(streams().await, 0);

    callers.post("hello").await;
    assert_eq!(callers.react("hello", "ana").await.status, 200);
    callers.told("hello", &["ana"]).await;
    let reaction = release.forward("reaction", 8081).await;
    let told = reqwest::get(format!("{}/v1/channel", reaction.url))
        .await
        .unwrap();
    let told: Value = told.json().await.unwrap();
    let problem = told["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(problem.contains("in force"), "{told:#}");
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn uninstalled_it_leaves_its_volumes_alone_and_installed_again_it_has_what_it_had() {
    let release =
        Release::install(Helm::Three, "duet", "again", &["channel.spec.mode=Async"]).await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    assert_eq!(callers.react("hello", "ana").await.status, 202);
    callers.told("hello", &["ana"]).await;
    release.patch_mode("Sync");
    release.follows("Sync", TRUTH).await;
    assert_eq!(callers.react("hello", "eva").await.status, 200);

    release.uninstall();
    let left = |kinds: &str| release.kubectl(&["get", kinds, "-o", "name", "--ignore-not-found"]);
    let left_over = left(
        "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,jobs,leases,networkpolicies,channels,poddisruptionbudgets",
    );
    let of_duet: Vec<&str> = left_over
        .lines()
        .filter(|it| !it.ends_with("/kube-root-ca.crt") && !it.ends_with("/default"))
        .collect();
    assert_eq!(of_duet, [""; 0], "left over");
    let cluster_wide = kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
    assert!(!cluster_wide.contains(&release.namespace), "{cluster_wide}");
    assert_eq!(
        left("persistentvolumeclaims").lines().count(),
        3,
        "its volumes stay"
    );

    release.reinstall(&["channel.spec.mode=Async"]).await;
    let callers = Callers::of(&release).await;
    callers.told("hello", &["eva", "ana"]).await;
    assert_eq!(
        callers.react("hello", "leo").await.status,
        202,
        "a new Channel is made from the values"
    );
    callers.told("hello", &["leo", "eva", "ana"]).await;
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn under_another_name_it_works_as_well() {
    let release = Release::install(
        Helm::Four,
        "shop",
        "named",
        &[&WITHOUT_VOLUMES[..], &["operator.replicas=2"]].concat(),
    )
    .await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    assert_eq!(callers.react("hello", "ana").await.status, 200);
    release.patch_mode("Async");
    release.follows("Async", TRUTH).await;
    assert_eq!(callers.react("hello", "eva").await.status, 202);
    callers.told("hello", &["eva", "ana"]).await;
}
