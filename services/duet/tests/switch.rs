//! The mode is switched again and again under load: no request fails because of it, nothing is lost.

mod rows;

use duet_testkit::{Mode, Pair, until};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(200);
/// How soon a switch is in force.
const WITHIN: Duration = Duration::from_secs(1);
const SWITCHES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_every_200_ms_under_load_fails_no_request_and_loses_nothing() {
    let pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    let load = pair.load("bob", 32, 300);
    load.accepts(50).await;

    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mode = Mode::Sync;
    for _ in 0..SWITCHES {
        due.tick().await;
        mode = other(mode);
        pair.switch(mode);
    }
    let switched = Instant::now();
    pair.follows(mode).await;
    let took = switched.elapsed();
    assert!(took < WITHIN, "the last switch was followed after {took:?}");
    let told = load.stop().await;

    assert_eq!((told.refused, told.unknown), (0, 0), "{told}");
    told.came_true(&pair).await;
    let pairs = rows::equal(&pair);
    println!("{SWITCHES} switches: {pairs} reactions stand at both ends; {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_follow_a_switch_within_a_second_and_callers_see_it() {
    let pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    let load = pair.load("carol", 16, 100);
    let mut mode = Mode::Sync;
    for user in ["ana", "dan", "eve", "fay"] {
        mode = other(mode);
        let switched = Instant::now();
        pair.switch(mode);
        pair.follows(mode).await;
        let took = switched.elapsed();
        assert!(took < WITHIN, "followed after {took:?}");
        let reply = pair.react(user, "walk").await;
        let (status, word) = match mode {
            Mode::Sync => (200, "sync"),
            Mode::Async => (202, "async"),
        };
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.body["delivery"]["mode"], word, "{reply:?}");
    }
    load.stop().await.came_true(&pair).await;
    // What was accepted in either mode is there.
    until(Duration::from_secs(10), || async {
        let inbox = pair.inbox("bob").await;
        (inbox[0]["count"] == 4)
            .then_some(())
            .ok_or(format!("{inbox:?}"))
    })
    .await;
}

fn other(mode: Mode) -> Mode {
    match mode {
        Mode::Sync => Mode::Async,
        Mode::Async => Mode::Sync,
    }
}
