//! The intake, as a sender of another make would use it.

use duet_testkit::{Answer, answer};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::app::TestApp;

const SOURCE: &str = "/duet/00000000000000aa/1/0/0000000000000001";

pub(crate) fn event(sequence: u64, kind: &str, data: Value) -> Value {
    let subject = format!(
        "{}/{}",
        data["post"].as_str().unwrap(),
        data["user"].as_str().unwrap()
    );
    json!({
        "specversion": "1.0", "id": sequence.to_string(), "source": SOURCE, "type": kind,
        "subject": subject, "time": "2026-11-24T09:00:00Z", "datacontenttype": "application/json",
        "duetsequence": sequence.to_string(), "duetgeneration": "1", "data": data,
    })
}

fn reaction(sequence: u64, user: &str) -> Value {
    let data = json!({
        "post": "p1", "user": user, "owner": "bob", "title": "About p1", "kind": "like", "at": "2026-11-24T09:00:00Z",
    });
    event(sequence, "dev.duet.reaction.set", data)
}

pub(crate) async fn deliver(app: &TestApp, media: &str, body: impl ToString) -> Answer {
    let url = format!("http://{}/v1/events", app.notification.internal_listen);
    answer(
        app.client
            .post(url)
            .header(CONTENT_TYPE, media)
            .body(body.to_string()),
    )
    .await
}

pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

#[tokio::test]
async fn a_batch_is_answered_event_by_event_and_a_second_copy_changes_nothing() {
    let app = TestApp::start().await;
    let batch = json!([
        reaction(2, "ana"),
        event(
            3,
            "dev.duet.reaction.shared",
            json!({"post": "p1", "user": "cy"})
        )
    ]);
    for _ in 0..2 {
        let body = deliver(&app, BATCH, &batch).await.ok(200);
        let outcomes: Vec<_> = body["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|told| told["outcome"].clone())
            .collect();
        assert_eq!(outcomes, ["applied", "parked"], "{body}");
        assert_eq!(body["outcomes"][0]["decision"], "notified");
        assert_eq!(app.texts("bob").await, ["ana reacted to About p1"]);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_second_copy_is_answered_with_what_was_decided_of_the_first() {
    let app = TestApp::start().await;
    let mute = json!({"mute": {"posts": [], "kinds": [], "users": ["ana"]}});
    app.put("/v1/users/bob/preferences", mute).await.ok(200);
    let batch = json!([reaction(2, "ana"), reaction(3, "bob"), reaction(4, "cy")]);
    for _ in 0..2 {
        let body = deliver(&app, BATCH, &batch).await.ok(200);
        let told = |n: usize| body["outcomes"][n]["decision"].clone();
        assert_eq!([told(0), told(1), told(2)], ["muted", "own", "notified"]);
    }
    assert_eq!(app.texts("bob").await, ["cy reacted to About p1"]);
    app.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_whole() {
    let app = TestApp::start().await;
    deliver(&app, "application/json", "[]")
        .await
        .problem(415, "unsupported-media-type");
    deliver(&app, BATCH, "[").await.problem(400, "invalid-body");
    deliver(&app, BATCH, json!([{"specversion": "1.0"}]))
        .await
        .problem(400, "invalid-body");
    deliver(&app, BATCH, " ".repeat(1024 * 1024 + 1))
        .await
        .problem(413, "body-too-large");
    assert_eq!(app.texts("bob").await, [""; 0]);
    app.stop().await;
}
