use super::{common::PATIENCE, stage::Stage};
use duet_testkit::{answer, until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_listed_by_cause_shown_previewed_and_each_is_applied_once() {
    let stage = Stage::open(&[]).await;
    stage.dead(30).await;
    assert_eq!(stage.notified("walk").await, 0);

    let listed = stage.json("list", &[]);
    let causes = listed[0]["causes"].as_array().unwrap();
    assert_eq!(
        (causes.len(), &causes[0]["dead"]),
        (1, &Value::from(30)),
        "{listed}"
    );
    let cause = causes[0]["fingerprint"].as_str().unwrap();
    assert!(
        causes[0]["cause"].as_str().unwrap().contains("spec.faults"),
        "{listed}"
    );
    assert!(causes[0]["firstFailure"].as_str() <= causes[0]["lastFailure"].as_str());
    let said = stage.letters("list", &["--cause", cause]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for told in ["notification  30 dead\n", cause, "spec.faults"] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }

    // Status tells them, with their cause and what to do.
    let said = stage.up.duet("status", &[]);
    assert_eq!(said.code, Some(9), "{said:?}");
    for told in [
        "dead letters 30",
        "Degraded=True DeadLetters",
        "spec.faults",
        "duet dead-letters",
    ] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }

    let example = causes[0]["example"].as_str().unwrap();
    let shown = &stage.json("show", &[example])[0]["letter"];
    assert_eq!(
        (&shown["state"], &shown["attempts"]),
        (&"dead".into(), &2.into()),
        "{shown}"
    );
    assert_eq!(shown["kind"], "dev.duet.reaction.set");
    assert_eq!(shown["data"]["post"], "walk", "{shown}");
    let said = stage.letters("show", &[example]);
    let key = shown["key"].as_str().unwrap();
    for told in [
        example,
        key,
        "sequence",
        "attempts     2, redrives 0",
        r#""post":"walk""#,
    ] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }
    #[cfg(feature = "jaeger")]
    assert!(said.stdout.contains("/trace/"), "{said:?}");

    stage.mend();
    // A newer event of a pair is applied, and supersedes what is dead.
    stage.react("walk", 7..8, "love").await;
    until(PATIENCE, || async {
        let notified = stage.notified("walk").await;
        (notified == 1).then_some(()).ok_or(notified)
    })
    .await;
    let said = stage.letters("redrive", &["--dry-run"]);
    let preview = "notification: would apply 29, superseded 1, would fail again 0\n";
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), preview));
    // All of it was rolled back.
    assert_eq!(stage.notified("walk").await, 1);
    stage.until_dead("notification", 30).await;

    let began = std::time::Instant::now();
    let said = stage.letters("redrive", &["--rate", "20"]);
    let all = "notification: 29 applied, 1 superseded, 0 failed of 30\n";
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), all),
        "{said:?}"
    );
    assert!(began.elapsed().as_millis() > 400, "{:?}", began.elapsed());
    assert_eq!(stage.notified("walk").await, 30);
    let said = stage.letters("redrive", &[]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "none fit: there is nothing to redrive\n")
    );
    stage.up.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_discarded_was_counted_first_and_is_never_applied() {
    let stage = Stage::open(&[]).await;
    stage.post("run").await;
    stage.dead(5).await;
    stage.react("run", 0..3, "wow").await;
    stage.until_dead("notification", 8).await;
    stage.mend();

    let said = stage.letters("discard", &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let said = stage.letters("discard", &["--post", "walk"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("5 dead; nothing was discarded") && said.stderr.contains("--yes"),
        "{said:?}"
    );
    stage.until_dead("notification", 8).await;
    let said = stage.letters("discard", &["--post", "walk", "--yes"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), "notification: 5 discarded\n")
    );
    assert_eq!(
        stage.json("discard", &["--post", "walk", "--yes"])["discarded"],
        0
    );

    let said = stage.letters("redrive", &[]);
    assert_eq!(
        said.stdout, "notification: 3 applied, 0 superseded, 0 failed of 3\n",
        "{said:?}"
    );
    assert_eq!(
        (stage.notified("walk").await, stage.notified("run").await),
        (0, 3)
    );
}

/// An event of another sender, as the intake takes it.
fn event(sequence: u64, kind: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "source": "/duet/00000000000000aa/1/0/0000000000000001",
        "id": sequence.to_string(), "duetsequence": sequence.to_string(), "duetgeneration": "1",
        "type": kind, "subject": format!("walk/other-{sequence}"), "time": "2026-11-24T09:00:00Z",
        "datacontenttype": "application/json", "data": data,
    })
}

/// What the intake answers to events that are waited for, or not.
async fn taken(stage: &Stage, batch: &Value, delivery: &str) -> Value {
    let url = stage.at("notification", "internal", "/v1/events");
    let request = stage.http.post(url).body(batch.to_string());
    let request = request.header("content-type", "application/cloudevents-batch+json");
    answer(request.header("duet-delivery", delivery))
        .await
        .ok(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_type_fails_a_call_that_waits_and_is_parked_where_none_does_never_to_be_dead() {
    let stage = Stage::open(&[]).await;
    let batch = json!([event(
        2,
        "dev.duet.reaction.shared",
        json!({"post": "walk"})
    )]);
    // Its caller is told, and takes it back: it is not kept, so that a later copy is as the first.
    let told = taken(&stage, &batch, "inline").await;
    assert_eq!(told["outcomes"][0]["outcome"], "failed", "{told}");
    let cause = told["outcomes"][0].to_string();
    assert!(cause.contains("reaction.shared"), "{told}");
    stage.until_left(0, 0).await;
    let told = taken(&stage, &batch, "background").await;
    assert_eq!(told["outcomes"][0]["outcome"], "parked", "{told}");
    // It has more attempts than spec.delivery gives others, and waits all the same.
    until(PATIENCE, || async {
        let letters = stage.get("notification", "/v1/dead-letters").await.ok(200);
        let letter = &letters["items"][0];
        let waits = letter["state"] == "parked" && letter["attempts"].as_u64() > Some(2);
        waits.then_some(()).ok_or(letters)
    })
    .await;
    stage.until_left(0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn causes_are_told_apart_and_what_is_of_an_unknown_type_waits_for_a_newer_receiver() {
    let stage = Stage::open(&[]).await;
    stage.dead(3).await;
    stage.mend();
    let set = "dev.duet.reaction.set";
    let batch = json!([
        event(2, set, json!({"post": "walk"})),
        event(3, set, json!({"post": "walk"})),
        event(4, set, json!({"post": 7})),
        event(5, "dev.duet.reaction.shared", json!({"post": "walk"})),
    ]);
    let answer = taken(&stage, &batch, "background").await;
    for told in answer["outcomes"].as_array().unwrap() {
        assert_eq!(told["outcome"], "parked", "{answer}");
    }
    stage.until_left(6, 1).await;

    let listed = stage.json("list", &[]);
    let causes = listed[0]["causes"].as_array().unwrap();
    let counts = causes
        .iter()
        .map(|it| (it["dead"].clone(), it["parked"].clone()));
    let counts: Vec<_> = counts
        .map(|(dead, parked)| format!("{dead} {parked}"))
        .collect();
    // Most first: spec.faults', a field too few twice, a field of the wrong type, and the type.
    assert_eq!(counts[..2], ["3 0", "2 0"], "{listed}");
    assert_eq!(counts.len(), 4, "{listed}");
    let parked = stage.json("list", &["--state", "parked"]);
    let parked = &parked[0]["causes"][0];
    assert_eq!((&parked["dead"], &parked["parked"]), (&0.into(), &1.into()));
    assert!(
        parked["cause"]
            .as_str()
            .unwrap()
            .contains("reaction.shared"),
        "{parked}"
    );
    let example = parked["example"].as_str().unwrap();
    let said = stage.letters("show", &[example]);
    assert!(
        said.stdout
            .contains("parked at notification, tried again at"),
        "{said:?}"
    );
    assert!(said.stdout.contains("trace        none"), "{said:?}");

    // Of each cause it is told what a redrive would come to, and one by its cause touches no other.
    let said = stage.letters("redrive", &["--dry-run", "--state", "dead"]);
    assert!(
        said.stdout
            .starts_with("notification: would apply 3, superseded 0, would fail again 3\n"),
        "{said:?}"
    );
    let faults = causes[0]["fingerprint"].as_str().unwrap();
    let said = stage.letters("redrive", &["--cause", faults]);
    assert_eq!(
        said.stdout, "notification: 3 applied, 0 superseded, 0 failed of 3\n",
        "{said:?}"
    );
    stage.until_left(3, 1).await;
    let none = stage.json("list", &["--older-than", "1h"]);
    assert_eq!(none[0]["causes"], json!([]), "{none}");
}
