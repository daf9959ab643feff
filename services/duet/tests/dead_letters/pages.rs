use super::stage::Stage;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_are_listed_page_by_page_each_once() {
    const MANY: u32 = 2_000;
    let stage = Stage::open(&[]).await;
    stage.dead(MANY).await;
    let mut ids = BTreeSet::new();
    let mut path = "/v1/dead-letters?limit=500".to_owned();
    let mut pages = 0;
    loop {
        let page = stage.get("notification", &path).await.ok(200);
        pages += 1;
        for letter in page["items"].as_array().unwrap() {
            let id = letter["id"].as_str().unwrap().to_owned();
            assert!(letter["data"].is_null() && ids.insert(id), "{letter}");
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/dead-letters?limit=500&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((ids.len(), pages), (2_000, 4));

    let said = stage.letters("list", &["--all"]);
    assert_eq!(said.stdout.lines().count(), 2_000);
    let said = stage.letters("list", &["--all", "--json", "--key", "walk/user-19"]);
    let lines = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let keys: Vec<Value> = lines
        .map(|line: Value| line["letter"]["key"].clone())
        .collect();
    // user-19, user-190 to user-199, user-1900 to user-1999.
    assert_eq!(keys.len(), 111, "{keys:?}");

    stage.mend();
    let said = stage.letters("redrive", &[]);
    let all = "notification: 2000 applied, 0 superseded, 0 failed of 2000\n";
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), all),
        "{said:?}"
    );
    assert_eq!(stage.notified("walk").await, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_asked_is_refused_with_its_place() {
    const OF_NOBODY: &str = "000000000000feed.0001.0000.000000000000002a.0000000000000007";
    let stage = Stage::open(&[]).await;
    stage.dead(2).await;
    let long = "x".repeat(600);
    let many = format!("id={OF_NOBODY}&").repeat(501);
    for (query, kind) in [
        ("state=alive", "invalid-parameter"),
        ("cause=7", "invalid-parameter"),
        ("before=soon", "invalid-parameter"),
        ("keyPrefix=", "invalid-parameter"),
        (&format!("keyPrefix={long}"), "invalid-parameter"),
        (&format!("kind={long}"), "invalid-parameter"),
        (many.trim_end_matches('&'), "invalid-parameter"),
        ("limit=0", "invalid-parameter"),
        ("limit=501", "invalid-parameter"),
        ("colour=red", "invalid-parameter"),
        ("cursor=garbage", "invalid-cursor"),
        // A cursor of the inboxes' list.
        (
            "cursor=WyJub3RpZmljYXRpb25zIixbImJvYiIsMSwiaGVsbG8iXV0",
            "invalid-cursor",
        ),
    ] {
        let path = format!("/v1/dead-letters?{query}");
        stage.get("notification", &path).await.problem(400, kind);
    }
    stage
        .get("notification", "/v1/dead-letters/causes?colour=red")
        .await
        .problem(400, "invalid-parameter");
    stage
        .get("notification", "/v1/dead-letters/7")
        .await
        .problem(400, "invalid-parameter");
    let path = format!("/v1/dead-letters/{OF_NOBODY}");
    stage
        .get("notification", &path)
        .await
        .problem(404, "dead-letter-not-found");
    stage
        .get("notification", "/v1/dead-letters/discard")
        .await
        .problem(405, "method-not-allowed");
    stage
        .get("reaction", "/v1/dead-letters")
        .await
        .problem(404, "not-found");

    let many: Vec<_> = std::iter::repeat_n(OF_NOBODY, 501).collect();
    for (body, pointer) in [
        (json!({}), "#"),
        (json!({"filter": {}, "rate": 0}), "#/rate"),
        (json!({"filter": {}, "rate": -1}), "#/rate"),
        (json!({"filter": {"state": "alive"}}), "#/filter/state"),
        (json!({"filter": {"ids": many}}), "#/filter/ids"),
        (json!({"filter": {"ids": ["7"]}}), "#/filter/ids/0"),
        (json!({"filter": {"colour": "red"}}), "#/filter/colour"),
        (json!({"filter": {}, "force": true}), "#/force"),
    ] {
        let refused = stage.ask("/v1/dead-letters/redrive", &body).await;
        let refused = refused.problem(400, "invalid-body");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    stage
        .ask("/v1/dead-letters/discard", &json!({}))
        .await
        .problem(400, "invalid-body");
    let huge = json!({"filter": {"kind": "x".repeat(70_000)}});
    stage
        .ask("/v1/dead-letters/redrive", &huge)
        .await
        .problem(413, "body-too-large");

    // Ids of another store fit nothing, and nothing is done.
    let nobodys = json!({"filter": {"ids": [OF_NOBODY]}});
    let discarded = stage
        .ask("/v1/dead-letters/discard", &nobodys)
        .await
        .ok(200);
    assert_eq!(discarded["discarded"], 0);
    let said = stage.letters("show", &[OF_NOBODY]);
    assert_eq!(said.code, Some(7), "{said:?}");
    assert_eq!(stage.letters("redrive", &["--id", OF_NOBODY]).code, Some(0));
    for (args, code) in [
        (&["list", "--state", "alive"] as &[_], 2),
        (&["list", "--cause", "7"], 2),
        (&["list", "--post", "a", "--key", "b"], 2),
        (&["list", "--receiver", "nobody"], 7),
        (&["redrive", "--rate", "0"], 2),
        (&["discard", "--all", "--state", "dead", "--yes"], 2),
    ] {
        let said = stage.letters(args[0], &args[1..]);
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
    }
    stage.until_dead("notification", 2).await;
}
