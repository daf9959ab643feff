//! What is marked as read.

use serde_json::{Value, json};

use crate::app::TestApp;

const READ: &str = "/v1/users/bob/notifications/read";

async fn unread_posts(app: &TestApp) -> Vec<Value> {
    let items = app.notifications("bob").await.into_iter();
    let unread = items.filter(|item| item["unread"] == true);
    unread.map(|item| item["post"].clone()).collect()
}

#[tokio::test]
async fn one_notification_is_read_or_all_up_to_a_cursor() {
    let app = TestApp::start().await;
    for post in ["p1", "p2", "p3", "p4"] {
        app.put_post(post, "bob").await;
        app.react(post, "ana", "like").await;
    }
    for _ in 0..2 {
        let read = app.post(READ, json!({"post": "p1"})).await;
        assert_eq!(read.ok(200), json!({"unread": 3}));
    }
    assert_eq!(unread_posts(&app).await, ["p4", "p3", "p2"]);
    // The next page's cursor, and an item's own.
    let page = app.get("/v1/users/bob/notifications?limit=3").await.ok(200);
    let next = &page["next"];
    assert_eq!(*next, page["items"][2]["cursor"]);
    let read = app.post(READ, json!({"up_to": next})).await;
    assert_eq!(read.ok(200), json!({"unread": 2}));
    assert_eq!(unread_posts(&app).await, ["p4", "p3"]);
    app.react("p3", "cy", "like").await;
    let newest = &page["items"][0]["cursor"];
    for _ in 0..2 {
        let read = app.post(READ, json!({"up_to": newest})).await;
        assert_eq!(read.ok(200), json!({"unread": 1}));
    }
    // What came since was not read.
    assert_eq!(unread_posts(&app).await, ["p3"]);
    assert_eq!(app.unread("bob").await, 1);
    let read = app.post(READ, json!({"post": "of-another"})).await;
    assert_eq!(read.ok(200), json!({"unread": 1}));
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_is_of_use_to_its_user_alone() {
    let app = TestApp::start().await;
    app.put_post("p1", "bob").await;
    app.react("p1", "ana", "like").await;
    let cursor = app.notifications("bob").await[0]["cursor"].take();
    let read = app.post("/v1/users/eve/notifications/read", json!({"up_to": cursor}));
    let problem = read.await.problem(400, "invalid-cursor");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("another user's"), "{detail}");
    assert_eq!(problem["errors"][0]["pointer"], "#/up_to");
    let path = format!(
        "/v1/users/eve/notifications?cursor={}",
        cursor.as_str().unwrap()
    );
    app.get(&path).await.problem(400, "invalid-cursor");
    assert_eq!(app.unread("bob").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn what_says_neither_or_both_or_more_is_refused() {
    let app = TestApp::start().await;
    for (body, kind) in [
        (json!({}), "invalid-body"),
        (json!({"post": "p1", "up_to": "x"}), "invalid-body"),
        (json!({"post": "p1", "later": 1}), "invalid-body"),
        (json!({"post": ".."}), "invalid-body"),
        (json!({"post": null}), "invalid-body"),
        (json!({"all": true}), "invalid-body"),
        (json!({"up_to": "garbage"}), "invalid-cursor"),
        (json!("post"), "invalid-body"),
    ] {
        app.post(READ, body).await.problem(400, kind);
    }
    app.stop().await;
}
