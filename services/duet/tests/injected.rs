//! `spec.faults`: each fault does what it says in either mode, ends when it should, and nothing is lost or doubled by it.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod rows;

use duet_testkit::{Mode, Pair, PairBuilder, Service, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NONE: &str =
    "  # faults: {delay: 200ms, jitter: 50ms, errorPercent: 5, hangPercent: 1, maxPerSecond: 500}";
const PATIENCE: Duration = Duration::from_secs(30);

fn faults(text: &str) -> String {
    format!("  faults: {{{text}}}")
}

fn builder(mode: Mode) -> PairBuilder {
    Pair::builder(env!("CARGO_BIN_EXE_duet"), mode)
}

/// A pair that allows faults and has some from the start.
async fn pair(mode: Mode, text: &str) -> Pair {
    let pair = builder(mode).env("DUET_ALLOW_FAULTS", "true");
    let pair = pair.channel(NONE, &faults(text)).start().await;
    pair.post("walk", "bob", "A walk").await;
    pair
}

/// The condition `Faults` that a service tells; null if there is none.
async fn condition(service: &Service) -> Value {
    let told = service.channel().await.unwrap();
    let conditions = told["conditions"].as_array().unwrap().iter();
    let mut conditions = conditions.filter(|it| it["type"] == "Faults");
    conditions.next().cloned().unwrap_or_default()
}

async fn count(pair: &Pair, expected: u64) {
    until(PATIENCE, || async {
        let inbox = pair.inbox("bob").await;
        let count = inbox.first().map_or(&Value::Null, |group| &group["count"]);
        (*count == expected)
            .then_some(())
            .ok_or(format!("{inbox:?}"))
    })
    .await;
}

async fn nothing_is_parked(pair: &Pair) {
    until(PATIENCE, || async {
        let parked = rows::count(&pair.notification, "parked");
        (parked == 0).then_some(()).ok_or(parked)
    })
    .await;
}

async fn timed(
    reply: impl Future<Output = duet_testkit::Reply>,
) -> (duet_testkit::Reply, Duration) {
    let began = Instant::now();
    (reply.await, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_is_waited_for_in_sync_and_not_in_async() {
    let pair = pair(Mode::Sync, "delay: 400ms").await;
    let (reply, took) = timed(pair.react("ana", "walk")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(took >= Duration::from_millis(400), "{took:?}");
    let told = condition(&pair.notification).await;
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!("True"), &json!("Injected"))
    );
    assert_eq!(condition(&pair.reaction).await, Value::Null);

    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    let began = Instant::now();
    assert_eq!(pair.react("eva", "walk").await.status, 202);
    count(&pair, 2).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    pair.drained().await;
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_beyond_the_deadline_is_504_and_nothing_is_applied_afterwards() {
    let pair = builder(Mode::Sync)
        .env("DUET_ALLOW_FAULTS", "true")
        .channel("deadline: 2s", "deadline: 300ms")
        .channel(NONE, &faults("delay: 5s"));
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    let (reply, took) = timed(pair.react("ana", "walk")).await;
    assert_eq!(reply.status, 504, "{reply:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    // What is sent again in the background has ten seconds, so that the delay ends in time; and it was taken back first.
    pair.drained().await;
    assert_eq!(pair.inbox("bob").await, [] as [Value; 0]);
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_can_not_be_applied_fails_its_caller_in_sync_and_is_parked_in_async() {
    let mut all = pair(Mode::Sync, "errorPercent: 100").await;
    let reply = all.react("ana", "walk").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    all.drained().await;
    assert_eq!(all.inbox("bob").await, [] as [Value; 0]);

    all.switch(Mode::Async);
    all.follows(Mode::Async).await;
    assert_eq!(all.react("eva", "walk").await.status, 202);
    all.drained().await;
    // Drained: it is received, and parked. What is parked is tried again, which fails as long as the faults act.
    all.edit(&faults("errorPercent: 100"), NONE).await;
    // What took ana's back is parked as well, and may be tried after it.
    nothing_is_parked(&all).await;
    count(&all, 1).await;
    rows::equal(&all);
    all.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_hangs_is_answered_504_by_the_deadline_and_ends_with_the_faults() {
    let hangs = "hangPercent: 100";
    let pair = builder(Mode::Sync)
        .env("DUET_ALLOW_FAULTS", "true")
        .channel("deadline: 2s", "deadline: 500ms")
        .channel(NONE, &faults(hangs));
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    let (reply, took) = timed(pair.react("ana", "walk")).await;
    assert_eq!(reply.status, 504, "{reply:?}");
    assert!(took >= Duration::from_millis(500), "{took:?}");
    // What is under way in the background hangs for ten seconds: it goes on as soon as the faults are taken away.
    pair.edit(&faults(hangs), NONE).await;
    let began = Instant::now();
    pair.drained().await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(pair.react("eva", "walk").await.status, 200);
    count(&pair, 1).await;
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_hangs_is_given_out_again_by_the_broker_and_holds_no_other_up() {
    let hangs = "hangPercent: 50";
    let pair = builder(Mode::Async)
        .env("DUET_ALLOW_FAULTS", "true")
        .channel("ackWait: 30s", "ackWait: 1s")
        .channel("linger: 5ms", "linger: 0s")
        .channel(NONE, &faults(hangs));
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    for n in 0..20 {
        assert_eq!(pair.react(&format!("user-{n}"), "walk").await.status, 202);
    }
    count(&pair, 20).await;
    pair.drained().await;
    let told = pair.reaction.channel().await.unwrap();
    // The broker did it: Reaction sent nothing again.
    assert_eq!(told["retransmissions"], 0, "{told}");
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_a_second_are_taken_and_the_others_wait_their_turn() {
    let pair = pair(Mode::Async, "maxPerSecond: 50").await;
    let began = Instant::now();
    for n in 0..100 {
        assert_eq!(pair.react(&format!("user-{n}"), "walk").await.status, 202);
    }
    let accepted = began.elapsed();
    assert!(accepted < Duration::from_secs(2), "{accepted:?}");
    count(&pair, 100).await;
    // The next one's turn comes when a hundred have had theirs.
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    count(&pair, 101).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    pair.drained().await;
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_every_sort_at_once_under_load_lose_and_double_nothing() {
    let some = "delay: 5ms, jitter: 5ms, errorPercent: 10, hangPercent: 5";
    let pair = builder(Mode::Sync)
        .env("DUET_ALLOW_FAULTS", "true")
        .channel("deadline: 2s", "deadline: 500ms")
        .channel("ackWait: 30s", "ackWait: 1s")
        .channel(NONE, &faults(some));
    let pair = pair.start().await;
    let load = pair.load("bob", 16, 200);
    load.accepts(100).await;
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    load.accepts(100).await;
    let told = load.stop().await;
    pair.edit(&faults(some), NONE).await;
    pair.drained().await;
    // Received is not applied yet: what is parked is tried again.
    until(PATIENCE, || async {
        let told = pair.notification.channel().await?;
        (told["parked"] == 0).then_some(()).ok_or(told.to_string())
    })
    .await;
    told.came_true(&pair).await;
    rows::equal(&pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_end_by_themselves_and_whoever_does_not_allow_them_says_so() {
    let past = "delay: 5s, until: 2026-01-01T00:00:00Z";
    let pair = builder(Mode::Sync).env("DUET_ALLOW_FAULTS", "true");
    let pair = pair.channel(NONE, &faults(past)).start().await;
    pair.post("walk", "bob", "A walk").await;
    let (reply, took) = timed(pair.react("ana", "walk")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(condition(&pair.notification).await["reason"], "Over");
    drop(pair);

    let pair = builder(Mode::Sync).channel(NONE, &faults("errorPercent: 100"));
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 200);
    let told = condition(&pair.notification).await;
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!("False"), &json!("NotAllowed"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_stop_ends_every_injected_wait_at_once() {
    let mut pair = pair(Mode::Async, "delay: 60s").await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    // Until it is taken and waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (exit, took) = {
        let began = Instant::now();
        (pair.notification.terminate().await, began.elapsed())
    };
    assert!(took < Duration::from_secs(5), "{exit:?} after {took:?}");
    pair.edit_unfollowed(&faults("delay: 60s"), NONE);
    pair.notification.restart().await;
    pair.ready().await;
    count(&pair, 1).await;
    rows::equal(&pair);
}
