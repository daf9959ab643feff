//! `duet compare` on a release: what it really does there, and that everything is put back.

use serde_json::{Value, json};

use crate::cli::Helm;
use crate::release::Release;

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn compared_in_both_modes_a_release_is_as_it_was_before() {
    // A cluster may have few volumes: Reaction, which is not replaced, does without.
    let values = ["faults.allowed=true", "reaction.persistence.enabled=false"];
    let release = Release::install(Helm::Four, "duet", "compare", &values).await;
    let before = release.channel();
    let mut args = vec!["--tiny", "--json"];
    for name in [
        "baseline",
        "slow",
        "hung",
        "absent",
        "broker-down",
        "broker-wiped",
    ] {
        args.extend(["--only", name]);
    }
    let said = release.duet("compare", &args).or_panic();
    let run: Value = serde_json::from_str(&said).unwrap();
    let scenarios = &run["measured"]["scenarios"];
    let failed = |name: &str, mode: &str| {
        let traffic = &scenarios[name][mode]["traffic"];
        assert_eq!(
            (&traffic["lost"], &traffic["surplus"]),
            (&json!(0), &json!(0)),
            "{name} {mode}: {traffic:#}"
        );
        // What the way from this machine lost is no answer of the pair's.
        let failed = ["503", "504"].map(|status| traffic["failed"][status].as_u64());
        failed.into_iter().flatten().sum::<u64>()
    };
    for name in ["baseline", "brokerDown"] {
        assert_eq!(
            (failed(name, "sync"), failed(name, "async")),
            (0, 0),
            "{name}"
        );
    }
    for name in ["hung", "absent"] {
        assert!(failed(name, "sync") > 0, "{name}");
        assert_eq!(failed(name, "async"), 0, "{name}");
    }
    // NATS has a volume here, which a run doesn't touch.
    let why = scenarios["brokerWiped"]["async"]["missing"].as_str();
    assert!(why.is_some_and(|it| it.contains("volume")), "{why:?}");

    let after = release.channel();
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    let replicas = release.kubectl(&[
        "get",
        "deployments,statefulsets",
        "-o",
        "jsonpath={.items[*].spec.replicas}",
    ]);
    assert!(
        !replicas.split_whitespace().any(|it| it == "0"),
        "{replicas}"
    );
    release.ready().await;
}
