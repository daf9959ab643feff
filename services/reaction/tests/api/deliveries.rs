//! An event's position: where an answer names it, and how it stands.

use std::time::{Duration, Instant};

use duet_testkit::{Answer, answer};
use reqwest::Method;
use serde_json::json;

use crate::app::TestApp;

async fn react_and_wait(app: &TestApp, user: &str, prefer: &str) -> Answer {
    let path = format!("/v1/posts/p1/reactions/{user}");
    let request = app.request(Method::PUT, &path).header("prefer", prefer);
    answer(request.json(&json!({"kind": "like"}))).await
}

#[tokio::test]
async fn an_accepted_change_says_where_to_ask_how_it_stands_also_after_a_restart() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let accepted = app.react("p1", "ana", "love").await;
    let position = accepted.header("duet-position").unwrap().to_owned();
    let location = format!("/v1/deliveries/{position}");
    assert_eq!(accepted.header("location"), Some(&*location));
    accepted.ok(202);
    let expected = json!({
        "position": position, "status": "accepted",
        "receivers": [{"name": "notification", "received": false}],
    });
    assert_eq!(app.get(&location).await.ok(200), expected);

    // The same again is about the same event.
    let again = app.react("p1", "ana", "love").await;
    assert_eq!(again.header("duet-position"), Some(&*position));

    let data_dir = app.stop_and_keep().await;
    let channel = data_dir.path().join("channel.yaml");
    let app = TestApp::start_with(data_dir, channel).await;
    assert_eq!(app.get(&location).await.ok(200), expected);
    app.stop().await;
}

#[tokio::test]
async fn undoing_nothing_has_no_position() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let nothing = app.delete("/v1/posts/p1/reactions/ana").await;
    assert_eq!(
        (nothing.header("duet-position"), nothing.header("location")),
        (None, None)
    );
    nothing.ok(200);
    app.stop().await;
}

#[tokio::test]
async fn what_was_never_accepted_is_not_found_and_what_is_no_position_is_refused() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let accepted = app.react("p1", "ana", "love").await;
    let position = accepted.header("duet-position").unwrap();
    let (source, sequence) = position.rsplit_once('.').unwrap();
    let sequence = u64::from_str_radix(sequence, 16).unwrap();
    let beyond = format!("{source}.{:016x}", sequence + 1);
    for position in [
        &*beyond,
        "000000000000feed.0001.0000.000000000000002a.0000000000000007",
    ] {
        let path = format!("/v1/deliveries/{position}");
        app.get(&path).await.problem(404, "delivery-not-found");
    }
    let long = "1.".repeat(2_000);
    for position in ["x", "..", "1.1.0.1.1", &format!("{position}.1"), &long] {
        let path = format!("/v1/deliveries/{position}");
        let refused = app.raw("GET", &path, "").await;
        refused.problem(400, "invalid-parameter");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_caller_who_prefers_to_wait_is_answered_when_that_is_over_at_the_latest() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let began = Instant::now();
    let accepted = react_and_wait(&app, "ana", "respond-async, wait=0.2").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(accepted.header("preference-applied"), Some("wait=0.2"));
    let body = accepted.ok(202);
    assert!(
        body["delivery"]["took_ms"].as_f64().unwrap() >= 200.0,
        "{body}"
    );
    for nonsense in [
        "wait=-1",
        "wait=soon",
        "wait",
        "return=minimal",
        "\"",
        &",".repeat(5_000),
    ] {
        let accepted = react_and_wait(&app, "bob", nonsense).await;
        assert_eq!(accepted.header("preference-applied"), None, "{nonsense}");
        accepted.ok(202);
    }
    app.stop().await;
}

#[tokio::test]
async fn who_waits_holds_up_no_stop() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let request = app.request(Method::PUT, "/v1/posts/p1/reactions/ana");
    let request = request
        .header("prefer", "wait=30")
        .json(&json!({"kind": "like"}));
    let waits = tokio::spawn(answer(request));
    while app.get("/v1/posts/p1").await.ok(200)["counts"]["like"] != 1 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    app.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10));
    waits.await.unwrap().ok(202);
}
