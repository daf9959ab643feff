use serde_json::json;

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
