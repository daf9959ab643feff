//! The OpenAPI document.

use crate::app::TestApp;

/// Run with `UPDATE=1` to write the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let made = duet_notification::openapi().to_pretty_json().unwrap() + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(
        committed == made,
        "openapi.json is out of date: UPDATE=1 cargo test -p duet-notification"
    );
}

/// A client that is generated from it meets nothing that it does not list.
#[test]
fn every_object_is_closed_and_says_which_of_its_fields_are_there() {
    let document = serde_json::to_value(duet_notification::openapi()).unwrap();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{name}");
            assert!(schema["required"].is_array(), "{name}");
        }
    }
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
        let endless = &methods["get"]["responses"]["200"]["content"]["text/event-stream"];
        if methods["get"].is_object() && endless.is_null() {
            app.get(&path.replace("{user}", "bob")).await.ok(200);
        }
    }
    app.stop().await;
}
