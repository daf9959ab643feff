use super::common::{PATIENCE, duet, duet_on};
use duet_testkit::{Mode, Pair, answer, until};
use serde_json::Value;
use std::ops::Range;

/// As many as Notification keeps.
const ROOM: u64 = 5;
const SOUND: &str =
    "  # faults: {delay: 200ms, jitter: 50ms, errorPercent: 5, hangPercent: 1, maxPerSecond: 500}";
const FAULTS: &str = "  faults: {errorPercent: 100}\n  delivery: {maxAttempts: 1}";

/// A pair whose Notification can apply nothing, and has room for five events that it can't.
async fn broken() -> Pair {
    let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Async)
        .channel(SOUND, FAULTS)
        .channel("ackWait: 30s", "ackWait: 1s")
        .env("DUET_ALLOW_FAULTS", "true")
        .env("DUET_PARKED_MAX", ROOM.to_string());
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    pair
}

/// Each is answered 202: callers see nothing of it.
async fn react(pair: &Pair, users: Range<u32>) {
    for user in users {
        let reply = pair.react(&format!("user-{user}"), "walk").await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
}

async fn notification(pair: &Pair, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(PATIENCE, || async {
        let told = pair.notification.channel().await?;
        let full = format!("{what}: {told}");
        is_so(&told).then_some(()).ok_or(full)
    })
    .await;
}

fn says_full(told: &Value) -> bool {
    let conditions = told["conditions"].as_array().unwrap();
    let is_it = |it: &Value| it["reason"] == "ParkedFull" && it["status"] == "True";
    conditions.iter().any(is_it)
}

/// The table is full, the sender keeps so many more, and `duet status` says what to do.
async fn is_full(pair: &Pair, more: u64) {
    notification(pair, "the table is full", |told| {
        told["deadLetters"] == ROOM && says_full(told)
    })
    .await;
    until(PATIENCE, || async {
        let waiting = pair.unacknowledged().await;
        (waiting == more).then_some(()).ok_or(waiting)
    })
    .await;
    let said = duet_on(pair, "status", &[]);
    for told in ["ParkedFull", "stay with their sender", "duet dead-letters"] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }
}

fn letters(pair: &Pair, verb: &str, more: &[&str]) {
    let data = pair.channel().parent().unwrap().to_str().unwrap();
    let said = duet(&[&["dead-letters", verb, "--data-dir", data], more].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// The ids of Notification's letters.
async fn ids(pair: &Pair) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/dead-letters", pair.notification.internal());
    let list = answer(http.get(url)).await.ok(200);
    let ids = list["items"].as_array().unwrap().iter();
    ids.map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Bob was notified of all but so many, and of nobody twice.
async fn all_but(pair: &Pair, all: u32, discarded: u32) {
    pair.drained().await;
    let rows = pair.groups("bob").await;
    let group = rows.first().unwrap();
    assert_eq!(group.count, u64::from(all - discarded), "{group:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_async_what_is_over_the_room_stays_with_the_sender_until_some_is_discarded_or_redriven()
{
    let pair = broken().await;
    react(&pair, 0..9).await;
    is_full(&pair, 4).await;
    // Room for two: two more of the four come, and it is full again.
    let dead = ids(&pair).await;
    letters(
        &pair,
        "discard",
        &["--yes", "--id", &dead[0], "--id", &dead[1]],
    );
    is_full(&pair, 2).await;
    // Mended, all that waits is taken, though nothing was redriven yet: it has no need of room.
    pair.edit(FAULTS, SOUND).await;
    pair.drained().await;
    letters(&pair, "redrive", &[]);
    notification(&pair, "none is left", |told| told["deadLetters"] == 0).await;
    all_but(&pair, 9, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sync_a_full_table_refuses_what_waits_and_no_call_that_can_be_applied() {
    let pair = broken().await;
    react(&pair, 0..9).await;
    is_full(&pair, 4).await;
    pair.switch(Mode::Sync);
    pair.follows(Mode::Sync).await;
    // A call is never parked: it fails, is taken back, and takes no room.
    let reply = pair.react("eve", "walk").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.body["applied"], "no", "{reply:?}");
    pair.edit(FAULTS, SOUND).await;
    let reply = pair.react("ana", "walk").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    letters(&pair, "redrive", &[]);
    all_but(&pair, 10, 0).await;
    assert_eq!(pair.reaction_of("walk", "eve").await, None);
}
