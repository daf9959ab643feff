use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn in_async_mode_a_reaction_is_accepted_and_stands_at_once() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let mut answer = app.react("p1", "ana", "love").await.ok(202);
    let took = answer["delivery"]["took_ms"].take();
    assert!(took.as_f64().is_some_and(|took| took > 0.0), "{took}");
    let delivery = json!({"mode": "async", "status": "accepted", "outcome": null, "outcomes": null, "attempts": 0, "took_ms": null});
    assert_eq!(
        answer,
        json!({"post": "p1", "user": "ana", "kind": "love", "delivery": delivery})
    );

    let reaction = app.get("/v1/posts/p1/reactions/ana").await.ok(200);
    assert_eq!(
        (&reaction["user"], &reaction["kind"]),
        (&json!("ana"), &json!("love"))
    );
    let at: jiff::Timestamp = reaction["at"].as_str().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().duration_since(at)).as_secs() < 60);
    app.stop().await;
}

#[tokio::test]
async fn a_new_kind_replaces_the_old_one_and_the_same_again_changes_nothing() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    app.react("p1", "ana", "love").await.ok(202);
    app.react("p1", "ana", "wow").await.ok(202);
    let before = app.get("/v1/posts/p1/reactions/ana").await.ok(200);
    assert_eq!(before["kind"], "wow");
    app.react("p1", "ana", "wow").await.ok(202);
    assert_eq!(app.get("/v1/posts/p1/reactions/ana").await.ok(200), before);
    app.stop().await;
}

#[tokio::test]
async fn an_undone_reaction_is_gone_and_undoing_nothing_is_answered_alike() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    let nothing = app.delete("/v1/posts/p1/reactions/ana").await.ok(200);
    assert_eq!(
        (&nothing["kind"], &nothing["delivery"]["status"]),
        (&Value::Null, &json!("delivered"))
    );
    app.react("p1", "ana", "love").await.ok(202);
    let undone = app.delete("/v1/posts/p1/reactions/ana").await.ok(202);
    assert_eq!(undone["kind"], Value::Null);
    app.get("/v1/posts/p1/reactions/ana")
        .await
        .problem(404, "reaction-not-found");
    app.stop().await;
}

#[tokio::test]
async fn a_posts_reactions_are_listed_page_by_page() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    for user in ["eve", "ana", "dee", "cy", "bob"] {
        app.react("p1", user, "like").await.ok(202);
    }
    let mut users = Vec::new();
    let mut path = "/v1/posts/p1/reactions?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = app.get(&path).await.ok(200);
        pages += 1;
        let items = page["items"].as_array().unwrap();
        users.extend(
            items
                .iter()
                .map(|item| item["user"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/posts/p1/reactions?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(
        (pages, users),
        (
            3,
            ["ana", "bob", "cy", "dee", "eve"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    app.get("/v1/posts/p2/reactions")
        .await
        .problem(404, "post-not-found");
    app.stop().await;
}

#[tokio::test]
async fn in_sync_mode_what_cant_be_delivered_is_taken_back_before_the_answer() {
    let app = TestApp::start_in("Sync").await;
    app.put_post("p1").await;
    let problem = app.react("p1", "ana", "love").await;
    assert!([503, 504].contains(&problem.status.as_u16()), "{problem:?}");
    assert_eq!(problem.body["applied"], "no");
    app.get("/v1/posts/p1/reactions/ana")
        .await
        .problem(404, "reaction-not-found");
    let counts = &app.get("/v1/posts/p1").await.ok(200)["counts"];
    assert_eq!(counts["love"], 0);
    app.stop().await;
}
