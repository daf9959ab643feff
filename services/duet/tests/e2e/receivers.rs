//! Several receivers: one that is added to a release that runs, one that joins and leaves under load, one that does not exist.

use std::time::Duration;

use duet_testkit::until;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::callers::Callers;
use crate::cli::Helm;
use crate::load::Load;
use crate::release::{Release, Status, WITHOUT_VOLUMES};

/// The patch that makes the Channel be to these parts of the release.
fn to(release: &Release, parts: &[&str]) -> Value {
    let named = parts.iter().map(|part| json!({"name": release.part(part)}));
    json!({"spec": {"to": named.collect::<Vec<_>>()}})
}

/// Waits until all that take part follow, and that many do.
async fn follow(release: &Release, pods: u64) -> Value {
    release
        .status(PATIENCE, |status| {
            status.is_current()
                && status.is_whole()
                && status.condition("Ready") == "True"
                && status.0["status"]["participants"]["total"] == pods
        })
        .await
}

/// How often the post was reacted to in the last hour, as Trending has it.
async fn trends(release: &Release, post: &str) -> u64 {
    let trending = release.forward("trending", 8080).await;
    let answer = reqwest::get(format!("{}/v1/trending?limit=500", trending.url)).await;
    let list: Value = answer.unwrap().json().await.unwrap();
    let items = list["items"].as_array().into_iter().flatten();
    let found = items.clone().find(|it| it["post"] == post);
    found.and_then(|it| it["count"].as_u64()).unwrap_or(0)
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn a_receiver_joins_and_leaves_under_load_and_nothing_is_lost_at_the_other() {
    let release = Release::install(Helm::Four, "duet", "receivers", &WITHOUT_VOLUMES).await;
    let callers = Callers::of(&release).await;
    callers.post("before").await;
    assert_eq!(callers.react("before", "ana").await.status, 200);
    // The pod of Trending, its user at the broker. The Channel stays as it is; Trending is ready though none is to it, and says so.
    release.upgrade(&["trending.enabled=true"]);
    follow(&release, 2).await;
    // Reaction's pod was made anew, and without a volume its store with it: that is told, and healed.
    let regressed = |status: &Status<'_>| status.condition("Degraded") == "True";
    release.status(PATIENCE, regressed).await;
    release
        .duet("resync", &["--yes", "--sweep-most"])
        .or_panic();
    let sound = |status: &Status<'_>| status.condition("Degraded") == "False";
    release.status(PATIENCE, sound).await;
    let trending = release.forward("trending", 8081).await;
    let told = reqwest::get(format!("{}/v1/channel", trending.url)).await;
    let told: Value = told.unwrap().json().await.unwrap();
    assert!(told.to_string().contains("NotAReceiver"), "{told:#}");
    drop(trending);

    let callers = Callers::of(&release).await;
    callers.post("joined").await;
    assert_eq!(callers.react("joined", "cy").await.status, 200);
    let said = release.duet("audit", &[]).or_panic();
    assert!(said.contains("balanced"), "{said}");
    let said = release.duet("why", &["joined", "cy"]).or_panic();
    assert!(said.contains("applied"), "{said}");
    let said = release.duet("dead-letters list", &[]).or_panic();
    assert!(said.contains(&release.pod("notification")), "{said}");
    for mode in ["Sync", "Async"] {
        release.patch_mode(mode);
        release.follows(mode, PATIENCE).await;
        let load = Load::start(&release, 50, Duration::from_secs(30)).await;
        release.patch(&to(&release, &["notification", "trending"]));
        follow(&release, 3).await;
        let answer = callers.react("joined", mode).await;
        assert!(answer.status < 300, "{answer:?}");
        until(PATIENCE, || async {
            let count = trends(&release, "joined").await;
            (count > 0).then_some(()).ok_or(count)
        })
        .await;
        let said = release.duet("status", &[]).or_panic();
        assert!(said.contains(&release.pod("trending")), "{said}");
        release.patch(&to(&release, &["notification"]));
        follow(&release, 2).await;
        let said = release.duet("status", &[]).or_panic();
        assert!(!said.contains(&release.pod("trending")), "{said}");
        load.sound().await;
    }
    // What came while it was no member it does not have.
    assert_eq!(trends(&release, "before").await, 0);
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn a_receiver_that_does_not_exist_is_told_by_its_name_and_harms_no_other() {
    let values = [&WITHOUT_VOLUMES[..], &["channel.spec.mode=Async"]].concat();
    let release = Release::install(Helm::Three, "duet", "nobody", &values).await;
    let callers = Callers::of(&release).await;
    callers.post("hello").await;
    release.patch(&to(&release, &["notification", "nobody"]));
    let channel = release
        .status(PATIENCE, |status| {
            status.is_current() && status.condition("Ready") == "False"
        })
        .await;
    let conditions = channel["status"]["conditions"].to_string();
    assert!(
        conditions.contains("the Service duet-nobody"),
        "{conditions}"
    );
    assert_eq!(callers.react("hello", "ana").await.status, 202);
    callers.told("hello", &["ana"]).await;
    // It is given up: what waited for it alone is forgotten.
    release.patch(&to(&release, &["notification"]));
    follow(&release, 2).await;
    // Numbers are written every five seconds at most.
    let forgotten = |status: &Status<'_>| status.0["status"]["unacknowledged"] == 0;
    release.status(PATIENCE, forgotten).await;
}
