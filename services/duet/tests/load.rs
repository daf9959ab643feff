//! `duet load` makes traffic at a fixed rate, whatever happens to the pair, and tells whether all of it arrived.

#![allow(clippy::unwrap_used)]

mod common;
mod rows;

use common::Said;
use duet_testkit::{Mode, Pair, until};
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

/// A `duet load` under way.
struct Load(JoinHandle<Said>);

impl Load {
    fn start(pair: &Pair, args: &str) -> Self {
        let (reaction, notification) = (pair.reaction.public(), pair.notification.public());
        let args =
            format!("load --json --reaction {reaction} --notification {notification} {args}");
        Self(tokio::task::spawn_blocking(move || {
            common::duet(&args.split(' ').collect::<Vec<_>>())
        }))
    }

    async fn ends(self, code: i32) -> Value {
        let said = self.0.await.unwrap();
        assert_eq!(said.code, Some(code), "{said:?}");
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error} in {said:?}"))
    }
}

/// Waits until so many more reactions stand at Reaction.
async fn more(pair: &Pair, reactions: usize) {
    let goal = rows::sent(pair) + reactions;
    until(PATIENCE, || async {
        let sent = rows::sent(pair);
        (sent >= goal)
            .then_some(())
            .ok_or(format!("{sent} of {goal}"))
    })
    .await;
}

fn failures(report: &Value) -> u64 {
    let failed = report["failed"].as_object().unwrap();
    failed.values().map(|times| times.as_u64().unwrap()).sum()
}

fn all_arrived(report: &Value, pair: &Pair) {
    assert_eq!(
        (&report["missing"], &report["doubled"]),
        (&0.into(), &0.into()),
        "{report:#}"
    );
    assert!(rows::equal(pair) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_under_way_is_seen_in_the_answers_and_loses_nothing() {
    let pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    let load = Load::start(&pair, "--rate 100 --for 3s");
    more(&pair, 50).await;
    pair.switch(Mode::Async);
    let report = load.ends(0).await;

    all_arrived(&report, &pair);
    // Each was sent when it was due, and answered in the mode of then.
    assert_eq!(
        (&report["sent"], &report["unsent"]),
        (&300.into(), &0.into()),
        "{report:#}"
    );
    let [delivered, accepted] = ["delivered", "accepted"].map(|it| report[it].as_u64().unwrap());
    assert!(
        delivered >= 50 && accepted > 0 && delivered + accepted == 300,
        "{report:#}"
    );
    let modes: Vec<_> = report["modes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["mode"])
        .collect();
    assert_eq!(modes, ["sync", "async"], "{report:#}");
    assert_eq!(
        report["latencies"]["sync"]["answers"], delivered,
        "{report:#}"
    );
    assert!(
        report["posts"].as_u64() > report["owners"].as_u64(),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_async_nobody_notices_that_notification_was_killed_and_nothing_is_missing() {
    let mut pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Async).await;
    let load = Load::start(&pair, "--rate 100 --for 3s");
    more(&pair, 50).await;
    pair.notification.kill();
    more(&pair, 50).await;
    pair.notification.restart().await;
    let report = load.ends(0).await;

    all_arrived(&report, &pair);
    assert_eq!(report["accepted"], 300, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_while_reaction_is_away_are_counted_and_the_rest_goes_on() {
    let mut pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    let load = Load::start(&pair, "--rate 100 --for 4s");
    more(&pair, 50).await;
    pair.reaction.kill();
    pair.reaction.restart().await;
    pair.ready().await;
    more(&pair, 50).await;
    let report = load.ends(1).await;

    assert_eq!(report["sent"], 400, "{report:#}");
    let failed = failures(&report);
    assert!(
        failed > 0 && report["delivered"] == 400 - failed,
        "{report:#}"
    );
    assert_eq!(
        (&report["missing"], &report["doubled"]),
        (&0.into(), &0.into()),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_does_not_arrive_is_told() {
    let mut pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Async).await;
    pair.nats.kill();
    let report = Load::start(&pair, "--rate 50 --for 1s --wait 500ms")
        .ends(8)
        .await;

    assert_eq!(
        (&report["accepted"], &report["doubled"]),
        (&50.into(), &0.into()),
        "{report:#}"
    );
    let missing = report["missing"].as_u64().unwrap();
    assert!((1..=50).contains(&missing), "{report:#}");
}

#[tokio::test]
async fn where_nobody_listens_it_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let args = ["load", "--reaction", &url, "--notification", &url].map(str::to_owned);
    let said =
        tokio::task::spawn_blocking(move || common::duet(&args.each_ref().map(String::as_str)));
    let said = said.await.unwrap();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("refused"), "{said:?}");
}
