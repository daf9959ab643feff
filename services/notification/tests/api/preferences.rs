//! What a user does not want to be notified of.

use serde_json::{Value, json};

use crate::app::TestApp;

const PREFERENCES: &str = "/v1/users/bob/preferences";

#[tokio::test]
async fn what_is_muted_is_answered_so_and_not_shown() {
    let app = TestApp::start().await;
    for post in ["p1", "p2"] {
        app.put_post(post, "bob").await;
    }
    let nothing = json!({"mute": {"posts": [], "kinds": [], "users": []}});
    assert_eq!(app.get(PREFERENCES).await.ok(200), nothing);
    let mute = json!({"mute": {"posts": ["p2", "p2"], "kinds": ["angry"], "users": ["eve"]}});
    let kept = json!({"mute": {"posts": ["p2"], "kinds": ["angry"], "users": ["eve"]}});
    assert_eq!(app.put(PREFERENCES, mute).await.ok(200), kept);
    assert_eq!(app.get(PREFERENCES).await.ok(200), kept);

    let outcome =
        async |post, user, kind| app.react(post, user, kind).await["delivery"]["outcome"].take();
    for (post, user, kind, says) in [
        ("p1", "ana", "like", "notified"),
        ("p2", "ana", "like", "muted"),
        ("p1", "cy", "angry", "muted"),
        ("p1", "eve", "like", "muted"),
        ("p1", "bob", "like", "own"),
    ] {
        assert_eq!(
            outcome(post, user, kind).await,
            says,
            "{post} {user} {kind}"
        );
    }
    assert_eq!(app.texts("bob").await, ["ana reacted to About p1"]);
    let undone = app.undo("p1", "cy").await;
    assert_eq!(undone["delivery"]["outcome"], "muted");

    assert_eq!(app.put(PREFERENCES, nothing.clone()).await.ok(200), nothing);
    assert_eq!(app.texts("bob").await, ["ana reacted to About p1"]);
    assert_eq!(outcome("p1", "eve", "love").await, "notified");
    assert_eq!(app.texts("bob").await, ["eve and ana reacted to About p1"]);
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_preference_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let mute = |change: Value| {
        let mut mute = json!({"posts": [], "kinds": [], "users": []});
        for (name, value) in change.as_object().unwrap() {
            mute[name] = value.clone();
        }
        json!({"mute": mute})
    };
    let many = |n| (0..n).map(|n| format!("u{n}")).collect::<Vec<_>>();
    for (body, says) in [
        (mute(json!({"kinds": ["shrug"]})), "unknown variant `shrug`"),
        (mute(json!({"posts": [".."]})), "dots alone"),
        (mute(json!({"users": many(1_001)})), "at most 1000"),
        (mute(json!({"users": "eve"})), "/mute/users"),
        (mute(json!({"users": null})), "/mute/users"),
        (mute(json!({"titles": []})), "unknown field `titles`"),
        (json!({}), "missing field `mute`"),
        (json!({"mute": {"posts": []}}), "missing field `kinds`"),
        (json!({"later": 1}), "unknown field `later`"),
    ] {
        let refused = app.put(PREFERENCES, body).await;
        let problem = refused.problem(400, "invalid-body");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail} does not say {says}");
    }
    let most = app.put(PREFERENCES, mute(json!({"users": many(1_000)})));
    most.await.ok(200);
    let others = app.get("/v1/users/eve/preferences").await.ok(200);
    assert_eq!(others["mute"]["users"], json!([]));
    app.stop().await;
}
