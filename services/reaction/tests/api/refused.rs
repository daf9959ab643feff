//! What is refused, and how the caller is told.

use duet_testkit::answer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

#[track_caller]
fn says(problem: &Value, place: &str, at: &str) {
    assert_eq!(problem["errors"][0][place], at, "{problem}");
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    for (path, body, kind, pointer) in [
        ("/v1/posts/p2", r#"{"owner": "bob""#, "malformed-json", None),
        ("/v1/posts/p2", "", "malformed-json", None),
        ("/v1/posts/p2", "\u{feff}{}", "malformed-json", None),
        ("/v1/posts/p2", r#"["bob", "T"]"#, "invalid-body", None),
        (
            "/v1/posts/p2",
            r#"{"owner": 7, "title": "T"}"#,
            "invalid-body",
            Some("#/owner"),
        ),
        (
            "/v1/posts/p2",
            r#"{"owner": "bob", "title": null}"#,
            "invalid-body",
            Some("#/title"),
        ),
        (
            "/v1/posts/p2",
            r#"{"owner": "bob", "title": "T", "x": 1}"#,
            "invalid-body",
            Some("#/x"),
        ),
        (
            "/v1/posts/p2",
            r#"{"owner": "bob", "title": ""}"#,
            "invalid-body",
            Some("#/title"),
        ),
        (
            "/v1/posts/p2",
            r#"{"owner": "..", "title": "T"}"#,
            "invalid-body",
            Some("#/owner"),
        ),
        (
            "/v1/posts/p2",
            r#"{"owner": "a b", "title": "T"}"#,
            "invalid-body",
            Some("#/owner"),
        ),
        (
            "/v1/posts/p1/reactions/ana",
            r#"{"kind": "meh"}"#,
            "invalid-body",
            Some("#/kind"),
        ),
        (
            "/v1/posts/p1/reactions/ana",
            r#"{"kind": ["like"]}"#,
            "invalid-body",
            Some("#/kind"),
        ),
        (
            "/v1/posts/p1/reactions/ana",
            r#"{"kind": "like", "user": "eve"}"#,
            "invalid-body",
            Some("#/user"),
        ),
        ("/v1/posts/p1/reactions/ana", r#"{}"#, "invalid-body", None),
    ] {
        let problem = app.put_text(path, body).await.problem(400, kind);
        if let Some(pointer) = pointer {
            says(&problem, "pointer", pointer);
        }
    }
    let long = json!({"owner": "bob", "title": "é".repeat(201)});
    let problem = app
        .put("/v1/posts/p2", long)
        .await
        .problem(400, "invalid-body");
    says(&problem, "pointer", "#/title");
    let longest = json!({"owner": "b".repeat(128), "title": "é".repeat(200)});
    app.put("/v1/posts/p2", longest).await.ok(201);
    app.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_long_or_of_another_kind() {
    let app = TestApp::start().await;
    let long = format!(
        r#"{{"owner": "bob", "title": "{}"}}"#,
        "x".repeat(64 * 1024)
    );
    app.put_text("/v1/posts/p1", long)
        .await
        .problem(413, "body-too-large");
    let chunks = (0..70).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let chunks = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    app.put_text("/v1/posts/p1", chunks)
        .await
        .problem(413, "body-too-large");

    let form = app
        .request(Method::PUT, "/v1/posts/p1")
        .header("content-type", "application/x-www-form-urlencoded");
    answer(form.body("owner=bob"))
        .await
        .problem(415, "unsupported-media-type");
    let bare = app.request(Method::PUT, "/v1/posts/p1").body("{}");
    answer(bare).await.problem(415, "unsupported-media-type");
    app.stop().await;
}

#[tokio::test]
async fn ids_that_are_out_of_range_or_of_dots_alone_also_percent_encoded() {
    let app = TestApp::start().await;
    let (post, reaction) = (r#"{"owner": "bob", "title": "T"}"#, r#"{"kind": "like"}"#);
    for id in [
        ".",
        "..",
        "%2e%2e",
        "%2E.",
        "a%2fb",
        "a%20b",
        "%C3%A9",
        "%00",
        "a%25b",
        "a+b",
        "%ff",
        "a%",
        &"x".repeat(129),
    ] {
        let problem = app
            .raw("PUT", &format!("/v1/posts/{id}"), post)
            .await
            .problem(400, "invalid-parameter");
        says(&problem, "parameter", "post");
        let path = format!("/v1/posts/p1/reactions/{id}");
        let problem = app
            .raw("PUT", &path, reaction)
            .await
            .problem(400, "invalid-parameter");
        says(&problem, "parameter", "user");
        app.raw("GET", &format!("/v1/posts/{id}/reactions"), "")
            .await
            .problem(400, "invalid-parameter");
    }
    // The same id, plain and encoded.
    app.raw("PUT", "/v1/posts/%70%31", post).await.ok(201);
    app.get("/v1/posts/p1").await.ok(200);
    app.stop().await;
}

#[tokio::test]
async fn a_reaction_to_a_post_that_is_not_there() {
    let app = TestApp::start().await;
    app.react("p1", "ana", "like")
        .await
        .problem(404, "post-not-found");
    app.delete("/v1/posts/p1/reactions/ana")
        .await
        .problem(404, "post-not-found");
    app.get("/v1/posts/p1/reactions/ana")
        .await
        .problem(404, "post-not-found");
    app.stop().await;
}

#[tokio::test]
async fn cursors_and_limits_that_are_garbage() {
    let app = TestApp::start().await;
    app.put_post("p1").await;
    for cursor in ["garbage", "", "%00", "eyJhIjoxfQ", &"A".repeat(2_000)] {
        let path = format!("/v1/posts/p1/reactions?cursor={cursor}");
        let problem = app.get(&path).await.problem(400, "invalid-cursor");
        says(&problem, "parameter", "cursor");
    }
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("page=2", "page"),
    ] {
        let path = format!("/v1/posts/p1/reactions?{query}");
        let problem = app.get(&path).await.problem(400, "invalid-parameter");
        says(&problem, "parameter", parameter);
    }
    app.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let app = TestApp::start().await;
    app.get("/v1/nothing").await.problem(404, "not-found");
    app.get("/").await.problem(404, "not-found");
    app.get("/problems/made-up").await.problem(404, "not-found");
    let response = app
        .request(Method::POST, "/v1/posts/p1")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["allow"], "GET, HEAD, PUT");
    answer(app.request(Method::POST, "/v1/posts/p1"))
        .await
        .problem(405, "method-not-allowed");
    app.stop().await;
}

#[tokio::test]
async fn a_problems_type_leads_to_what_it_means() {
    let app = TestApp::start().await;
    let problem = app.get("/v1/posts/p1").await.problem(404, "post-not-found");
    let meaning = app.get(problem["type"].as_str().unwrap()).await.ok(200);
    assert_eq!(
        (&meaning["type"], &meaning["meaning"]),
        (&problem["type"], &json!("The post isn't there."))
    );
    app.stop().await;
}
