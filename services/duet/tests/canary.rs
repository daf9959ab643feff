//! A canary: a share of the pairs takes the other mode, exactly those that the hash says, and nothing is lost or doubled whatever changes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod rows;

use duet_protocol::event::Key;
use duet_protocol::settings::{Canary, Percent};
use duet_testkit::{Mode, Pair, until};
use serde_json::Value;
use std::time::Duration;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const NONE: &str = "  # canary: {mode: Async, percent: 10}";
const PATIENCE: Duration = Duration::from_secs(20);

fn canary(mode: &str, percent: u8) -> String {
    format!("  canary: {{mode: {mode}, percent: {percent}}}")
}

fn is_covered(percent: u8, post: &str, user: &str) -> bool {
    let mode = duet_protocol::settings::Mode::Async;
    let percent = Percent::new(percent).unwrap();
    let key = Key::new(format!("{post}/{user}")).unwrap();
    Canary { mode, percent }.covers(&key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_pairs_exactly_those_that_the_hash_says_are_answered_202() {
    let twenty = canary("Async", 20);
    let pair = Pair::builder(DUET, Mode::Sync).channel(NONE, &twenty);
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    let mut covered = 0;
    for user in (0..100).map(|n| format!("user-{n}")) {
        let reply = pair.react(&user, "walk").await;
        let (status, mode) = match is_covered(20, "walk", &user) {
            true => (202, "async"),
            false => (200, "sync"),
        };
        covered += u64::from(status == 202);
        assert_eq!(reply.status, status, "{user}: {reply:?}");
        assert_eq!(reply.body["delivery"]["mode"], mode, "{user}: {reply:?}");
    }
    pair.drained().await;
    assert_eq!(pair.inbox("bob").await[0]["count"], 100);
    assert!((5..40).contains(&covered), "{covered}");
    let told = pair.reaction.channel().await.unwrap();
    let achieved = Value::from(covered as f64);
    let expected = serde_json::json!({
        "mode": "Async", "percent": 20, "achievedPercent": achieved, "requests": 100,
    });
    assert_eq!(told["canary"], expected);
    assert_eq!(told["mode"], "Sync");
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_grows_and_changes_sides_under_load_fails_no_request_and_loses_nothing() {
    let pair = Pair::start(DUET, Mode::Sync).await;
    let load = pair.load("bob", 16, 300);
    load.accepts(30).await;
    let mut before = NONE.to_owned();
    let steps = [
        canary("Async", 5),
        canary("Async", 50),
        canary("Sync", 50),
        canary("Async", 95),
        NONE.to_owned(),
        canary("Async", 30),
    ];
    for step in steps {
        pair.edit(&before, &step).await;
        before = step;
    }
    // The last step of a canary: its mode is the channel's, and then it goes.
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    pair.edit(&before, &canary("Sync", 30)).await;
    let told = load.stop().await;
    assert_eq!((told.refused, told.unknown), (0, 0), "{told}");
    told.came_true(&pair).await;
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_delays_the_canarys_pairs_and_no_others() {
    let half = canary("Async", 50);
    let pair = Pair::builder(DUET, Mode::Sync).channel(NONE, &half);
    let mut pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    pair.nats.kill();
    let mut delivered = 0;
    for user in (0..40).map(|n| format!("user-{n}")) {
        let reply = pair.react(&user, "walk").await;
        assert!(reply.status.is_success(), "{reply:?}");
        delivered += u64::from(reply.status == 200);
    }
    assert_eq!(pair.inbox("bob").await[0]["count"], delivered);
    assert!((10..30).contains(&delivered), "{delivered}");
    // A caller is answered before the receipt is recorded.
    until(PATIENCE, || async {
        let waiting = pair.unacknowledged().await;
        (waiting == 40 - delivered).then_some(()).ok_or(waiting)
    })
    .await;

    // What waits for the broker goes by calls as soon as that is its way.
    pair.edit(&half, NONE).await;
    until(PATIENCE, || async {
        let inbox = pair.inbox("bob").await;
        (inbox[0]["count"] == 40)
            .then_some(())
            .ok_or(format!("{inbox:?}"))
    })
    .await;
    rows::equal(&pair);
}
