use std::time::Duration;

use duet_testkit::{NatsServer, eventually};
use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_reaction_that_was_answered_is_in_its_owners_inbox() {
    let app = TestApp::start().await;
    app.put_post("p1", "bob").await;
    let answer = app.react("p1", "ana", "love").await;
    assert_eq!(
        (&answer["delivery"]["mode"], &answer["delivery"]["status"]),
        (&json!("sync"), &json!("delivered"))
    );
    assert_eq!(answer["delivery"]["outcome"], "notified");
    assert_eq!(answer["delivery"]["outcomes"]["notification"], "notified");

    let mut notifications = app.notifications("bob").await;
    let at = notifications[0]["at"].take();
    let cursor = notifications[0]["cursor"].take();
    assert!(cursor.is_string());
    assert!(
        at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
        "{at}"
    );
    let expected = json!([{
        "post": "p1", "title": "About p1", "text": "ana reacted to About p1", "count": 1,
        "kinds": {"love": 1}, "actors": ["ana"], "unread": true, "at": null, "cursor": null,
    }]);
    assert_eq!(Value::from(notifications), expected);
    assert_eq!(app.unread("bob").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn in_async_mode_an_accepted_reaction_comes_by_the_broker() {
    let nats = NatsServer::start().await;
    let app = TestApp::start_in("Async", Some(nats.url())).await;
    app.put_post("p1", "bob").await;
    let answer = app.try_to_react("p1", "ana", "love").await.ok(202);
    assert_eq!(answer["delivery"]["status"], "accepted");
    let patience = Duration::from_secs(10);
    eventually(patience, async || {
        app.texts("bob").await == ["ana reacted to About p1"]
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn notifications_are_grouped_by_post_the_newest_first() {
    let app = TestApp::start().await;
    app.put_post("p1", "bob").await;
    app.put_post("p2", "bob").await;
    app.put_post("p3", "eve").await;
    for (post, user) in [
        ("p1", "ana"),
        ("p2", "ana"),
        ("p1", "cy"),
        ("p1", "dee"),
        ("p3", "bob"),
        ("p1", "eve"),
    ] {
        app.react(post, user, "like").await;
    }
    assert_eq!(
        app.texts("bob").await,
        [
            "eve and 3 others reacted to About p1",
            "ana reacted to About p2"
        ]
    );
    assert_eq!(app.texts("eve").await, ["bob reacted to About p3"]);
    assert_eq!(app.texts("ana").await, [""; 0]);
    assert_eq!(
        (app.unread("bob").await, app.unread("ana").await),
        (json!(2), json!(0))
    );
    app.stop().await;
}

#[tokio::test]
async fn an_own_reaction_and_an_undone_one_are_not_there() {
    let app = TestApp::start().await;
    app.put_post("p1", "bob").await;
    let own = app.react("p1", "bob", "like").await;
    assert_eq!(own["delivery"]["outcome"], "own");
    assert_eq!(app.texts("bob").await, [""; 0]);
    app.react("p1", "ana", "like").await;
    app.react("p1", "ana", "angry").await;
    assert_eq!(
        app.notifications("bob").await[0]["kinds"],
        json!({"angry": 1})
    );
    let undone = app.undo("p1", "ana").await;
    assert_eq!(
        (&undone["kind"], &undone["delivery"]["outcome"]),
        (&Value::Null, &json!("withdrawn"))
    );
    assert_eq!(app.texts("bob").await, [""; 0]);
    assert_eq!(app.unread("bob").await, 0);
    app.stop().await;
}

#[tokio::test]
async fn the_list_is_read_page_by_page() {
    let app = TestApp::start().await;
    for post in ["p1", "p2", "p3"] {
        app.put_post(post, "bob").await;
        app.react(post, "ana", "like").await;
    }
    let first = app.get("/v1/users/bob/notifications?limit=2").await.ok(200);
    let posts = |list: &Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["post"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(posts(&first), ["p3", "p2"]);
    let next = first["next"].as_str().unwrap();
    let second = app
        .get(&format!(
            "/v1/users/bob/notifications?limit=2&cursor={next}"
        ))
        .await
        .ok(200);
    assert_eq!(
        (posts(&second), &second["next"]),
        (vec![json!("p1")], &Value::Null)
    );
    app.stop().await;
}
