use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_post_is_made_read_and_retitled_by_its_owner_alone() {
    let app = TestApp::start().await;
    let counts = json!({"like": 0, "love": 0, "laugh": 0, "wow": 0, "sad": 0, "angry": 0});
    let post = |title| json!({"post": "p1", "owner": "bob", "title": title, "counts": counts});
    let wanted = |owner, title| json!({"owner": owner, "title": title});

    app.get("/v1/posts/p1").await.problem(404, "post-not-found");
    assert_eq!(
        app.put("/v1/posts/p1", wanted("bob", "one")).await.ok(201),
        post("one")
    );
    assert_eq!(
        app.put("/v1/posts/p1", wanted("bob", "one")).await.ok(200),
        post("one")
    );
    assert_eq!(
        app.put("/v1/posts/p1", wanted("bob", "two")).await.ok(200),
        post("two")
    );
    app.put("/v1/posts/p1", wanted("eve", "mine"))
        .await
        .problem(409, "another-owner");
    assert_eq!(app.get("/v1/posts/p1").await.ok(200), post("two"));
    app.stop().await;
}

#[tokio::test]
async fn a_post_counts_its_reactions_by_kind() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    for (user, kind) in [
        ("ana", "like"),
        ("cy", "like"),
        ("dee", "wow"),
        ("cy", "sad"),
    ] {
        app.react("p1", user, kind).await.ok(202);
    }
    app.delete("/v1/posts/p1/reactions/dee").await.ok(202);
    let counts = json!({"like": 1, "love": 0, "laugh": 0, "wow": 0, "sad": 1, "angry": 0});
    assert_eq!(app.get("/v1/posts/p1").await.ok(200)["counts"], counts);
    app.stop().await;
}

#[tokio::test]
async fn posts_are_listed_page_by_page_with_their_reactions_by_kind() {
    let app = TestApp::start().await;
    assert_eq!(
        app.get("/v1/posts").await.ok(200),
        json!({"items": [], "next": null})
    );
    for post in ["p3", "p1", "p2"] {
        app.put_post(post).await;
    }
    app.react("p1", "ana", "love").await.ok(202);
    let first = app.get("/v1/posts?limit=2").await.ok(200);
    assert_eq!(first["items"][0], app.get("/v1/posts/p1").await.ok(200));
    assert_eq!(first["items"][0]["counts"]["love"], 1);
    assert_eq!(first["items"][1]["post"], "p2");
    let next = first["next"].as_str().unwrap();
    let last = app.get(&format!("/v1/posts?cursor={next}")).await.ok(200);
    assert_eq!(last["items"][0]["post"], "p3");
    assert_eq!(
        (last["items"].as_array().unwrap().len(), &last["next"]),
        (1, &Value::Null)
    );

    // A cursor is its own list's.
    app.get(&format!("/v1/posts/p1/reactions?cursor={next}"))
        .await
        .problem(400, "invalid-cursor");
    app.stop().await;
}
