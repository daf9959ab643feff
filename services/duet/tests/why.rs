//! `duet why`: the life of a reaction in sentences, of a real pair: while it runs, with one of the two down, and with nothing running.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod common;

use common::{Said, duet, duet_on};
use duet_testkit::{Exit, Mode, Pair, PairBuilder, until};
use serde_json::{Value, json};
use std::time::Duration;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const PATIENCE: Duration = Duration::from_secs(60);
const NO_FAULTS: &str =
    "  # faults: {delay: 200ms, jitter: 50ms, errorPercent: 5, hangPercent: 1, maxPerSecond: 500}";
const NO_CANARY: &str = "  # canary: {mode: Async, percent: 10}";

fn builder(mode: Mode) -> PairBuilder {
    Pair::builder(DUET, mode)
}

/// What `duet why walk USER` says, which ends with this exit code.
fn why(pair: &Pair, user: &str, code: i32) -> String {
    let said = duet_on(pair, "why", &["walk", user]);
    assert_eq!(said.code, Some(code), "{said:?}");
    said.stdout
}

fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
}

/// Waits until it says all of that.
async fn comes_to_say(pair: &Pair, user: &str, parts: &[&str]) -> String {
    until(PATIENCE, || async {
        let told = why(pair, user, 0);
        match parts.iter().find(|part| !told.contains(**part)) {
            None => Ok(told),
            Some(part) => Err(format!("{part:?} is not in\n{told}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_either_mode_each_decision_is_told_with_the_setting_that_was_in_force_then() {
    let pair = builder(Mode::Sync).trending().start().await;
    pair.post("walk", "bob", "A walk").await;
    for user in ["ana", "bob"] {
        assert_eq!(pair.react(user, "walk").await.status, 200);
    }
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    let muted = format!("{}/v1/users/bob/preferences", pair.notification.public());
    let mute = reqwest::Client::new()
        .put(muted)
        .json(&json!({"mute": {"posts": [], "kinds": [], "users": ["eve"]}}));
    assert!(mute.send().await.unwrap().status().is_success());
    assert_eq!(pair.react("eve", "walk").await.status, 202);
    pair.drained().await;

    let ana = why(&pair, "ana", 0);
    says(
        &ana,
        &[
            "reaction: ana's reaction to walk is like.",
            "The mode was Sync under generation ",
            " until ",
            "(spec.mode = Sync).",
            "was not taken back",
            "(spec.sync.deadline = 2s, spec.sync.onFailure = Fail).",
            "Receipts say that it is held by notification and trending.",
            "notification: It received the event and applied it at ",
            "It decided: notified. bob has it",
            "trending: It received the event and applied it at ",
        ],
    );
    says(
        &why(&pair, "bob", 0),
        &["It decided: own. The post is bob's"],
    );
    says(
        &why(&pair, "eve", 0),
        &[
            "The mode was Async under generation ",
            ", and still is (spec.mode = Async).",
            "by the stream ",
            "It decided: muted. bob has muted the post, the kind or eve",
        ],
    );
    says(
        &why(&pair, "zoe", 0),
        &["pair: Nothing is known of a reaction of zoe to walk"],
    );

    let said = duet_on(&pair, "why", &["walk", "ana", "--json"]);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    let (event, at) = (
        &told["sender"]["row"]["event"],
        &told["receivers"][0]["row"]["event"],
    );
    assert!(event.is_string() && event == at, "{told}");
    let sentences = told["sentences"].as_array().unwrap();
    assert!(
        sentences
            .iter()
            .any(|it| it["settings"] == json!(["spec.mode = Sync"])),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_receiver_that_is_down_is_told_and_all_of_it_after_restarts_and_with_nothing_running()
 {
    let mut pair = builder(Mode::Async)
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .start()
        .await;
    pair.post("walk", "bob", "A walk").await;
    pair.notification.kill();
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    // It is not asked by HTTP, its file is: what came before it was killed is there.
    let told = why(&pair, "ana", 0);
    says(
        &told,
        &[
            "It is still in the outbox, for notification has not said that it holds it",
            "notification: It has not received the event.",
            "It was not sampled: there is no trace of it.",
        ],
    );
    pair.notification.restart().await;
    pair.drained().await;
    assert_eq!(pair.reaction.terminate().await, Exit::Code(0));
    assert_eq!(pair.notification.terminate().await, Exit::Code(0));
    let parts = [
        "Receipts say that it is held by notification.",
        "It received the event and applied it at ",
        "It decided: notified.",
        "under generation ",
    ];
    says(&why(&pair, "ana", 0), &parts);
    pair.reaction.restart().await;
    pair.notification.restart().await;
    says(&why(&pair, "ana", 0), &parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_can_not_be_applied_is_told_as_parked_then_as_dead_with_its_cause() {
    let faults = "  faults: {errorPercent: 100}";
    let pair = builder(Mode::Async).env("DUET_ALLOW_FAULTS", "true");
    let pair = pair.channel(NO_FAULTS, faults).start().await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    let parked = [
        "and could not apply it: ",
        "It is a parked event: tried ",
        " of 8 times",
        ", next at ",
        "(spec.delivery.backoff = 1s to 600s).",
    ];
    comes_to_say(&pair, "ana", &parked).await;
    let last = "  delivery: {maxAttempts: 1}\n  faults: {errorPercent: 100}";
    pair.edit(faults, last).await;
    let dead = [
        "It is a dead letter: tried ",
        "`duet dead-letters redrive --id ",
        "(spec.delivery.maxAttempts = 1).",
    ];
    comes_to_say(&pair, "ana", &dead).await;
    pair.edit(faults, NO_FAULTS).await;
    let dir = pair.channel().parent().unwrap().to_str().unwrap();
    let said = duet(&["dead-letters", "redrive", "--data-dir", dir]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = comes_to_say(&pair, "ana", &["It decided: notified."]).await;
    assert!(!told.contains("dead letter"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_failed_is_told_as_taken_back_by_its_deadline() {
    let pair = builder(Mode::Sync)
        .channel("deadline: 2s", "deadline: 300ms")
        .start()
        .await;
    pair.post("walk", "bob", "A walk").await;
    pair.notification.pause();
    assert_eq!(pair.react("ana", "walk").await.status, 504);
    let said: Said = duet_on(&pair, "why", &["walk", "ana"]);
    assert_eq!(said.code, Some(0), "its file is read: {said:?}");
    says(
        &said.stdout,
        &[
            "ana's reaction to walk is undone",
            "A call failed, and at ",
            "restores what was there before and notifies nobody anew (spec.sync.deadline = 300ms, spec.sync.onFailure = Fail).",
        ],
    );
    pair.notification.resume();
    pair.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canarys_side_is_told() {
    let canary = "  canary: {mode: Async, percent: 100}";
    let pair = builder(Mode::Sync).channel(NO_CANARY, canary).start().await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    says(
        &why(&pair, "ana", 0),
        &[
            "The mode was Async",
            "one of the canary's 100% (spec.mode = Sync, spec.canary = Async 100%).",
        ],
    );
}

/// What it says of one event of ana's.
fn why_event(pair: &Pair, event: &str, parts: &[&str]) {
    let said = duet_on(pair, "why", &["walk", "ana", "--event", event]);
    assert_eq!(said.code, Some(0), "{said:?}");
    says(&said.stdout, parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_later_one_superseded_is_told_by_its_name_and_what_a_resync_told_anew() {
    let faults = "  faults: {errorPercent: 100}";
    let pair = builder(Mode::Async).env("DUET_ALLOW_FAULTS", "true");
    let pair = pair.channel(NO_FAULTS, faults).start().await;
    pair.post("walk", "bob", "A walk").await;
    let reply = pair.react("ana", "walk").await;
    let first = reply.headers["duet-position"].to_str().unwrap().to_owned();
    comes_to_say(&pair, "ana", &["It is a parked event: tried "]).await;
    pair.edit(faults, NO_FAULTS).await;
    let love = json!({"kind": "love"});
    let reply = pair.put("/v1/posts/walk/reactions/ana", &love).await;
    assert_eq!(reply.unwrap().status, 202);
    let superseded = format!("It received event {}", &first[first.len() - 1..]);
    comes_to_say(
        &pair,
        "ana",
        &["ana's reaction to walk is love", "It decided: notified."],
    )
    .await;
    until(PATIENCE, || async {
        let said = duet_on(&pair, "why", &["walk", "ana", "--event", &first]).stdout;
        let is_so = said.contains(&superseded) && said.contains(" superseded: it was applied");
        is_so.then_some(()).ok_or(said)
    })
    .await;
    why_event(
        &pair,
        &first,
        &["reaction: A later event of the pair took the place of event "],
    );
    let unknown = format!("{}9", &first[..first.len() - 1]);
    why_event(
        &pair,
        &unknown,
        &["It knows nothing of event ", "It has not received event "],
    );
    assert_eq!(
        duet_on(&pair, "why", &["walk", "ana", "--event", "x"]).code,
        Some(2)
    );

    let said = duet_on(&pair, "resync", &["--yes", "--sweep-most"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let parts = [
        "reaction: It is older than the resync that began at ",
        "every receiver holds that, and what was not told anew is swept away there.",
        "notification: It has the row as the resync that began at ",
        "It decided: notified.",
    ];
    comes_to_say(&pair, "ana", &parts).await;
}

#[cfg(feature = "jaeger")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_its_trace_is_told_where_jaegers_pages_run() {
    let dir = tempfile::tempdir().unwrap();
    let up = common::Up::start(&dir.path().join("duet"), &[]).await;
    let at = up.told()["reaction"]["public"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, body) in [
        ("/v1/posts/walk", json!({"owner": "bob", "title": "A walk"})),
        ("/v1/posts/walk/reactions/ana", json!({"kind": "like"})),
    ] {
        let put = http.put(format!("{at}{path}")).json(&body);
        assert!(put.send().await.unwrap().status().is_success());
    }
    let said = up.duet("why", &["walk", "ana"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let (_, page) = said.stdout.split_once("Its trace is at ").unwrap();
    let page = page.lines().next().unwrap().trim_end_matches('.');
    // Jaeger's own query API has the trace at that id.
    let (jaeger, id) = page.split_once("/trace/").unwrap();
    until(PATIENCE, || async {
        let trace = http.get(format!("{jaeger}/api/traces/{id}")).send().await;
        let told: Value = trace
            .map_err(|error| error.to_string())?
            .json()
            .await
            .map_err(|error| error.to_string())?;
        let spans = told["data"][0]["spans"].as_array().map_or(0, Vec::len);
        (spans > 0).then_some(()).ok_or(told.to_string())
    })
    .await;
}
