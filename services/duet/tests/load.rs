//! `duet load` makes traffic at a fixed rate, whatever happens to the pair, and tells whether all of it arrived.

#![allow(clippy::unwrap_used)]

mod rows;

use duet_testkit::{Mode, Pair, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A `duet load` under way.
struct Load(Child);

impl Load {
    fn start(pair: &Pair, args: &str) -> Self {
        Self::at(&pair.reaction.public(), &pair.notification.public(), args)
    }

    fn at(reaction: &str, notification: &str, args: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_duet"))
            .args(["load", "--json", "--reaction", reaction])
            .args(["--notification", notification])
            .args(args.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// As Ctrl-C does: what was accepted is still waited for.
    fn stop(self) -> Self {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT).unwrap();
        self
    }

    async fn ends(self, code: i32) -> Output {
        let ended = tokio::task::spawn_blocking(|| self.0.wait_with_output());
        let output = ended.await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        output
    }

    async fn reports(self, code: i32) -> Value {
        let output = self.ends(code).await;
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error} in {output:?}"))
    }
}

/// A way to a service that can break: what it carries then ends without an answer, and the next connection is carried again.
struct Way {
    url: String,
    breaks: watch::Sender<()>,
    carrying: JoinHandle<()>,
}

impl Way {
    async fn to(service: &str) -> Self {
        let to = service.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (breaks, broken) = watch::channel(());
        let carrying = tokio::spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                let (to, mut broken) = (to.clone(), broken.clone());
                broken.mark_unchanged();
                carried.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(to).await {
                        tokio::select! {
                            _ = copy_bidirectional(&mut here, &mut there) => {}
                            _ = broken.changed() => {}
                        }
                    }
                });
            }
        });
        Self {
            url,
            breaks,
            carrying,
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// Waits until so many more reactions stand at Reaction.
async fn more(pair: &Pair, reactions: usize) {
    let goal = rows::at_reaction(pair).len() + reactions;
    until(PATIENCE, || async {
        let sent = rows::at_reaction(pair).len();
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
    let load = Load::start(&pair, "--rate 100");
    more(&pair, 50).await;
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    more(&pair, 50).await;
    let report = load.stop().reports(0).await;

    all_arrived(&report, &pair);
    let [sent, delivered, accepted] =
        ["sent", "delivered", "accepted"].map(|it| report[it].as_u64().unwrap());
    assert!(
        delivered >= 50 && accepted > 0 && delivered + accepted == sent,
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
    // What the killed one held comes again soon.
    let mut pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Async)
        .channel("ackWait: 30s", "ackWait: 1s")
        .start()
        .await;
    let load = Load::start(&pair, "--rate 100");
    more(&pair, 50).await;
    pair.notification.kill();
    more(&pair, 50).await;
    pair.notification.restart().await;
    let report = load.stop().reports(0).await;

    all_arrived(&report, &pair);
    assert_eq!(report["accepted"], report["sent"], "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_while_reaction_is_away_are_counted_and_the_rest_goes_on() {
    let mut pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    let load = Load::start(&pair, "--rate 100");
    more(&pair, 50).await;
    pair.reaction.kill();
    pair.reaction.restart().await;
    pair.ready().await;
    more(&pair, 50).await;
    let report = load.stop().reports(1).await;

    all_arrived(&report, &pair);
    let [sent, delivered] = ["sent", "delivered"].map(|it| report[it].as_u64().unwrap());
    let failed = failures(&report);
    assert!(failed > 0 && delivered == sent - failed, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_after_its_caller_has_lost_the_connection_is_not_missing() {
    let pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Sync).await;
    let way = Way::to(&pair.reaction.public()).await;
    let load = Load::at(&way.url, &pair.notification.public(), "--rate 100");
    more(&pair, 50).await;
    pair.notification.pause();
    more(&pair, 20).await;
    way.breaks.send_replace(());
    // Their rows still stand, and the comparison begins.
    let load = load.stop();
    let standing = rows::at_reaction(&pair).len();
    until(PATIENCE, || async {
        let now = rows::at_reaction(&pair).len();
        (now < standing)
            .then_some(())
            .ok_or(format!("{now} of {standing} stand"))
    })
    .await;
    pair.notification.resume();
    let report = load.reports(1).await;

    all_arrived(&report, &pair);
    assert!(
        report["failed"]["unanswered"].as_u64() > Some(0),
        "{report:#}"
    );
    assert!(report["notCompared"].is_null(), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_does_not_arrive_is_told() {
    let mut pair = Pair::start(env!("CARGO_BIN_EXE_duet"), Mode::Async).await;
    pair.nats.kill();
    let load = Load::start(&pair, "--rate 50 --for 1s --wait 500ms");
    let report = load.reports(8).await;

    // Each was sent when it was due, and no other.
    assert_eq!(report["sent"], 50, "{report:#}");
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
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = Load::at(&url, &url, "").ends(3).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("refused"), "{errors}");
}
