//! The OpenAPI document.

use duet_testkit::{answer, document};
use reqwest::Method;
use serde_json::Value;

use crate::app::TestApp;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let made = duet_reaction::openapi().to_pretty_json().unwrap();
    document::committed(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"), &made);
}

#[test]
fn every_object_is_closed_and_says_which_of_its_fields_are_there() {
    document::closed(&serde_json::to_value(duet_reaction::openapi()).unwrap());
}

#[tokio::test]
async fn the_page_to_try_it_is_served_whole_and_loads_from_nowhere_else() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.ok(200);
    let page = page.as_str().unwrap();
    assert!(!page.contains("http"), "{page}");
    for attribute in page
        .split(['"', '\''])
        .filter(|text| text.starts_with("./"))
    {
        app.get(&format!("/docs/{attribute}")).await.ok(200);
    }
    let initializer = app.get("/docs/swagger-initializer.js").await.ok(200);
    assert!(initializer.as_str().unwrap().contains("/openapi.json"));
    app.get("/docs/../openapi.json").await.ok(200);
    app.get("/docs/nothing.js").await.problem(404, "not-found");
    app.get("/docs").await.ok(200);
    app.stop().await;
}

#[tokio::test]
async fn it_is_served_and_what_it_lists_is_there() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await.ok(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{post}", "p1").replace("{user}", "ana");
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = answer(app.request(method, &path)).await;
            let kind = answer
                .body
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            assert!(
                !["/problems/not-found", "/problems/method-not-allowed"].contains(&kind.as_str()),
                "{path}"
            );
        }
    }
    app.stop().await;
}
