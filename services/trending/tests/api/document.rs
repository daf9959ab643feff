//! The OpenAPI document.

use crate::app::TestApp;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let made = duet_trending::openapi().to_pretty_json().unwrap() + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(
        committed == made,
        "openapi.json is out of date: UPDATE=1 cargo test -p duet-trending"
    );
}

#[tokio::test]
async fn it_is_served_and_what_it_lists_is_there() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await.ok(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in document["paths"].as_object().unwrap().keys() {
        app.get(path).await.ok(200);
    }
    app.stop().await;
}
