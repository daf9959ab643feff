//! What both services tell of the channel, through a switch.

use std::time::Duration;

use duet_testkit::until;
use serde_json::{Value, json};

use crate::app::TestApp;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_switch_is_told_with_its_time_its_slowest_caller_and_whether_it_is_drained() {
    // Without a broker nothing is received.
    let app = TestApp::start_in("Async", None).await;
    app.put_post("p1", "bob").await;
    app.try_to_react("p1", "ana", "like").await.ok(202);
    let before = app.told(app.reaction).await;
    assert_eq!(before["channel"], json!({"name": "reactions"}));
    assert_eq!(
        (&before["mode"], &before["observedGeneration"]),
        (&json!("Async"), &json!(1))
    );
    assert_eq!(
        (&before["unacknowledged"], &before["drained"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(before["retransmissions"], 0);
    let slowest = before["slowestCaller"].as_str().unwrap();
    assert!(slowest.ends_with("ms"), "{slowest}");

    app.edit("mode: Async", "mode: Sync");
    let follows = |told: &Value| told["observedGeneration"] == 2;
    for service in [app.reaction, app.notification] {
        let told = until(PATIENCE, || async {
            let told = app.told(service).await;
            follows(&told)
                .then_some(told)
                .ok_or("it does not follow yet")
        })
        .await;
        assert_eq!(told["mode"], "Sync");
        let since = told["inForceSince"].as_str().unwrap();
        assert!(since > before["inForceSince"].as_str().unwrap(), "{since}");
    }
    // What was accepted before is delivered the new way.
    let drained = until(PATIENCE, || async {
        let told = app.told(app.reaction).await;
        (told["drained"] == true)
            .then_some(told)
            .ok_or("it is not drained yet")
    })
    .await;
    assert_eq!(
        drained["slowestCaller"],
        Value::Null,
        "nobody has called since: {drained}"
    );
    app.react("p1", "eva", "like").await;
    assert!(app.told(app.reaction).await["slowestCaller"].is_string());
    let received = app.told(app.notification).await;
    for not_its_own in [
        "drained",
        "retransmissions",
        "slowestCaller",
        "unacknowledged",
    ] {
        assert_eq!(received[not_its_own], Value::Null, "{not_its_own}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_channel_to_where_the_sender_has_no_address_is_told() {
    let app = TestApp::start().await;
    app.edit("{name: notification}", "{name: inbox}");
    let degraded = until(PATIENCE, || async {
        let degraded = app.told(app.reaction).await["conditions"][1].take();
        (degraded["status"] == "True")
            .then_some(degraded)
            .ok_or("all is well")
    })
    .await;
    assert_eq!(degraded["reason"], "NoWay");
    let message = degraded["message"].as_str().unwrap();
    assert!(message.contains("--receiver inbox=URL"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn what_was_accepted_before_a_switch_and_is_not_received_is_not_drained() {
    let app = TestApp::start_in("Async", None).await;
    app.put_post("p1", "bob").await;
    app.try_to_react("p1", "ana", "like").await.ok(202);
    // Another document, and still no broker.
    app.edit("linger: 5ms", "linger: 6ms");
    let told = until(PATIENCE, || async {
        let told = app.told(app.reaction).await;
        (told["observedGeneration"] == 2)
            .then_some(told)
            .ok_or("it does not follow yet")
    })
    .await;
    assert_eq!(
        (&told["unacknowledged"], &told["drained"]),
        (&json!(1), &json!(false))
    );
    app.stop().await;
}
