//! A caller who names the position of what they wrote reads what they wrote.

use std::time::{Duration, Instant};

use duet_testkit::{Answer, NatsServer, answer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::intake::{BATCH, deliver, event};

async fn react(app: &TestApp, user: &str, prefer: &str) -> Answer {
    let url = format!(
        "http://{}/v1/posts/p1/reactions/{user}",
        app.reaction.listen
    );
    let request = app
        .client
        .request(Method::PUT, url)
        .header("prefer", prefer);
    answer(request.json(&json!({"kind": "like"}))).await
}

async fn read(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = app
        .client
        .get(format!("http://{}{path}", app.notification.listen));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

const LIST: &str = "/v1/users/bob/notifications";
const UNREAD: &str = "/v1/users/bob/notifications/unread";

#[tokio::test]
async fn in_async_mode_a_read_waits_for_what_its_caller_wrote() {
    let nats = NatsServer::start().await;
    let app = TestApp::start_in("Async", Some(nats.url())).await;
    app.put_post("p1", "bob").await;
    for n in 1..=20_u64 {
        let accepted = react(&app, &format!("user-{n}"), "").await;
        let position = accepted.header("duet-position").unwrap().to_owned();
        accepted.ok(202);
        let unread = read(&app, UNREAD, &[("duet-position", &position)]).await;
        assert_eq!(unread.ok(200)["unread"], 1);
        let list = read(&app, LIST, &[("duet-position", &position)]).await;
        assert_eq!(list.ok(200)["items"][0]["count"], n);
    }
    app.stop().await;
}

#[tokio::test]
async fn in_async_mode_a_caller_who_prefers_to_wait_hears_that_it_is_delivered() {
    let nats = NatsServer::start().await;
    let app = TestApp::start_in("Async", Some(nats.url())).await;
    app.put_post("p1", "bob").await;
    let delivered = react(&app, "ana", "wait=20").await;
    assert_eq!(delivered.header("preference-applied"), Some("wait=20"));
    assert_eq!(delivered.header("location"), None);
    let position = delivered.header("duet-position").unwrap().to_owned();
    let body = delivered.ok(200);
    let delivery = &body["delivery"];
    let told = ["mode", "status", "outcome", "attempts"].map(|name| delivery[name].clone());
    assert_eq!(
        told,
        [json!("async"), json!("delivered"), Value::Null, json!(1)]
    );
    let url = format!("http://{}/v1/deliveries/{position}", app.reaction.listen);
    let expected = json!({
        "position": position, "status": "delivered",
        "receivers": [{"name": "notification", "received": true}],
    });
    assert_eq!(answer(app.client.get(url)).await.ok(200), expected);
    assert_eq!(app.texts("bob").await, ["ana reacted to About p1"]);
    app.stop().await;
}

#[tokio::test]
async fn what_does_not_come_in_time_is_told_and_what_is_no_position_is_refused() {
    let app = TestApp::start().await;
    app.put_post("p1", "bob").await;
    let stranger = "000000000000feed.0001.0000.000000000000002a.0000000000000007";
    for path in [LIST, UNREAD] {
        let began = Instant::now();
        let headers = [("duet-position", stranger), ("prefer", "wait=0.1")];
        let late = read(&app, path, &headers).await;
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(100) && took < Duration::from_secs(4),
            "{took:?}"
        );
        assert_eq!(late.header("retry-after"), Some("1"));
        late.problem(504, "position-not-reached");
        for garbage in ["", "x", "1.1.0.1.1", &"1.".repeat(10_000)] {
            let refused = read(&app, path, &[("duet-position", garbage)]).await;
            let problem = refused.problem(400, "invalid-header");
            assert_eq!(problem["errors"][0]["header"], "Duet-Position");
        }
        let twice = [("duet-position", stranger), ("duet-position", stranger)];
        read(&app, path, &twice)
            .await
            .problem(400, "invalid-header");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_parked_has_not_come() {
    let app = TestApp::start().await;
    let later = event(
        3,
        "dev.duet.reaction.shared",
        json!({"post": "p1", "user": "cy"}),
    );
    let parked = deliver(&app, BATCH, json!([later])).await;
    assert_eq!(parked.ok(200)["outcomes"][0]["outcome"], "parked");
    let position = "00000000000000aa.0001.0000.0000000000000001.0000000000000003";
    let headers = [("duet-position", position), ("prefer", "wait=0")];
    read(&app, LIST, &headers)
        .await
        .problem(504, "position-not-reached");
    app.stop().await;
}
