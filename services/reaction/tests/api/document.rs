//! The OpenAPI document.

use duet_testkit::answer;
use reqwest::Method;
use serde_json::Value;

use crate::app::TestApp;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let made = duet_reaction::openapi().to_pretty_json().unwrap() + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(file).unwrap() == made,
        "openapi.json is out of date: UPDATE=1 cargo test -p duet-reaction"
    );
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
