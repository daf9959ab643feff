//! The OpenAPI document.

use duet_testkit::document;

use crate::app::TestApp;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let made = duet_trending::openapi().to_pretty_json().unwrap();
    document::committed(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"), &made);
}

#[test]
fn every_object_is_closed_and_says_which_of_its_fields_are_there() {
    document::closed(&serde_json::to_value(duet_trending::openapi()).unwrap());
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
