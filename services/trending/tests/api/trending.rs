use duet_testkit::NatsServer;
use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn what_was_answered_is_counted_by_kind_until_it_is_undone() {
    let app = TestApp::start().await;
    for post in ["p1", "p2"] {
        app.put_post(post).await;
    }
    for (post, user, kind) in [
        ("p1", "ana", "love"),
        ("p2", "ana", "like"),
        ("p2", "bob", "like"), // the owner's own counts as anybody's
        ("p2", "cy", "wow"),
    ] {
        app.react(post, user, kind).await.ok(200);
    }
    let (first, second) = (
        json!({"post": "p2", "title": "About p2", "count": 3, "kinds": {"like": 2, "wow": 1}}),
        json!({"post": "p1", "title": "About p1", "count": 1, "kinds": {"love": 1}}),
    );
    assert_eq!(app.trending().await, json!([first, second]));

    let page = app.get("/v1/trending?limit=1").await.ok(200);
    assert_eq!(page["items"], json!([first]));
    let next = page["next"].as_str().unwrap();
    let page = app
        .get(&format!("/v1/trending?limit=1&cursor={next}"))
        .await
        .ok(200);
    assert_eq!(
        (&page["items"], &page["next"]),
        (&json!([second]), &Value::Null)
    );

    app.undo("p1", "ana").await;
    assert_eq!(app.trending().await, json!([first]));
    app.stop().await;
}

#[tokio::test]
async fn in_async_mode_a_read_waits_for_what_was_written_to_come_by_the_broker() {
    let nats = NatsServer::start().await;
    let app = TestApp::start_in("Async", Some(nats.url())).await;
    app.put_post("p1").await;
    let position = app.react_at("p1", "ana", "love").await;
    let list = app.get_as_of("/v1/trending", &position).await.ok(200);
    assert_eq!(list["items"][0]["kinds"], json!({"love": 1}));
    app.get_as_of("/v1/trending", "garbage")
        .await
        .problem(400, "invalid-header");
    app.stop().await;
}

#[tokio::test]
async fn cursors_limits_paths_and_parameters_that_are_wrong_are_refused() {
    let app = TestApp::start().await;
    for (query, kind) in [
        ("cursor=garbage", "invalid-cursor"),
        ("limit=0", "invalid-parameter"),
        ("limit=501", "invalid-parameter"),
        ("hours=2", "invalid-parameter"),
    ] {
        app.get(&format!("/v1/trending?{query}"))
            .await
            .problem(400, kind);
    }
    app.get("/v1/trending/p1").await.problem(404, "not-found");
    app.stop().await;
}
