//! What goes wrong on purpose, and a share that takes the other mode: set by hand, seen in what is told, and over.

use std::time::Instant;

use serde_json::json;

use crate::PATIENCE;
use crate::callers::Callers;
use crate::cli::Helm;
use crate::release::{Release, WITHOUT_VOLUMES};

/// Waits until the Channel's status says what the pods do, which is a moment after they do it.
async fn whole(release: &Release) {
    release
        .status(PATIENCE, |status| {
            status.is_current() && status.is_whole() && status.condition("Ready") == "True"
        })
        .await;
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn faults_are_set_for_a_while_and_a_canary_is_counted() {
    let values = [&WITHOUT_VOLUMES[..], &["faults.allowed=true"]].concat();
    let release = Release::install(Helm::Four, "duet", "faults", &values).await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;

    let said = release.duet("faults", &["delay=400ms", "errorPercent=0", "--for", "2s"]);
    let said = said.or_panic();
    for told in [
        "delay=400ms until ",
        "each batch waits 400ms",
        "over: taken out of channel/",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert_eq!(release.channel()["spec"].get("faults"), None);
    // What is not named any more is not left over from before.
    release
        .duet("faults", &["delay=300ms", "jitter=1ms"])
        .or_panic();
    release.duet("faults", &["delay=300ms"]).or_panic();
    assert_eq!(release.channel()["spec"]["faults"]["jitter"], "0s");
    let began = Instant::now();
    assert_eq!(callers.react("hello", "ana").await.status, 200);
    assert!(began.elapsed().as_millis() >= 300, "{:?}", began.elapsed());
    whole(&release).await;
    let said = release.duet("status", &[]).or_panic();
    assert!(said.contains("Faults=True Injected"), "{said}");
    release.duet("faults", &["off"]).or_panic();

    release.patch(&json!({"spec": {"canary": {"mode": "Async", "percent": 50}}}));
    whole(&release).await;
    for n in 0..40 {
        let answer = callers.react("hello", &format!("user-{n}")).await;
        assert!([200, 202].contains(&answer.status), "{answer:?}");
    }
    callers.counted("hello", 41).await;
    let channel = release
        .status(PATIENCE, |status| {
            let achieved = status.0["status"]["canary"]["achievedPercent"].as_i64();
            achieved.is_some_and(|achieved| (20..=80).contains(&achieved))
        })
        .await;
    assert_eq!(channel["status"]["canary"]["percent"], 50, "{channel:#}");
    let guarantee = channel["status"]["guarantee"].as_str().unwrap_or_default();
    assert!(guarantee.contains("For 50 of 100 pairs"), "{guarantee}");
    let said = release.duet("mode", &[]).or_panic();
    assert!(said.contains("50 of 100 pairs take Async"), "{said}");
    let said = release.duet("status", &[]).or_panic();
    assert!(said.contains("canary Async 50%"), "{said}");
}
