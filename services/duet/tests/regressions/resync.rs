use crate::common::{PATIENCE, duet_command_on, duet_on};
use crate::stores::{Backup, RECEIVERS, SENDERS, content, lose};
use crate::told::{is_degraded, is_sound, preview};
use crate::{CALLERS, DUET, PER_SECOND, SOME, rows};
use duet_testkit::{Exit, Mode, Pair, Process, until};
use nix::sys::signal::Signal;

/// A pair whose Reaction was restored, with some reactions from before.
async fn restored(mode: Mode) -> Pair {
    let mut pair = Pair::builder(DUET, mode)
        .channel("ackWait: 30s", "ackWait: 1s")
        .start()
        .await;
    let before = pair.load("bob", CALLERS, PER_SECOND);
    before.accepts(SOME).await;
    let backup = Backup::of(&pair.reaction);
    before.accepts(SOME / 4).await;
    before.stop().await.came_true(&pair).await;
    pair.reaction.kill();
    backup.put_back(&pair.reaction);
    pair.reaction.restart().await;
    pair.ready().await;
    is_degraded(&pair, "SenderRegressed").await;
    pair
}

/// A `duet resync --yes` that follows.
fn begin(pair: &Pair) -> Process {
    let log = pair.channel().with_file_name("resync.log");
    let command = duet_command_on(pair, "resync", &["--yes", "--sweep-most"]);
    Process::spawn("duet resync", command, &log)
}

async fn says(process: &Process, what: &str) {
    until(PATIENCE, || async {
        let output = process.output();
        output.contains(what).then_some(()).ok_or(output)
    })
    .await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Reaction,
    Notification,
    All,
}

/// It is killed while a resync waits for Notification; the command that follows sees the end.
async fn survives(mode: Mode, victim: Victim) {
    let mut pair = restored(mode).await;
    let load = pair.load("eve", CALLERS, PER_SECOND);
    load.accepts(SOME / 4).await;
    pair.notification.pause();
    let mut following = begin_while_paused(&pair).await;
    match victim {
        Victim::Reaction => pair.reaction.kill(),
        Victim::Notification => pair.notification.kill(),
        Victim::All => pair.kill(),
    }
    pair.notification.resume();
    if victim != Victim::Notification {
        pair.reaction.restart().await;
    }
    if victim != Victim::Reaction {
        pair.notification.restart().await;
    }
    if victim == Victim::All {
        pair.nats.restart().await;
    }
    pair.ready().await;
    assert_eq!(
        following.ended(PATIENCE).await,
        Exit::Code(0),
        "{}",
        following.output()
    );
    load.accepts(SOME / 4).await;
    load.stop().await.came_true(&pair).await;
    assert!(rows::equal(&pair) > 0);
    is_sound(&pair).await;
}

/// What is asked of Notification by the preview it can't answer: so --sweep-most is given.
async fn begin_while_paused(pair: &Pair) -> Process {
    let following = begin(pair);
    is_degraded(pair, "Resyncing").await;
    says(&following, "waiting for notification").await;
    following
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sync_a_resync_goes_on_though_reaction_is_killed() {
    survives(Mode::Sync, Victim::Reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_async_a_resync_goes_on_though_notification_is_killed() {
    survives(Mode::Async, Victim::Notification).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_async_a_resync_goes_on_though_all_are_killed() {
    survives(Mode::Async, Victim::All).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_under_way_is_followed_and_not_begun_anew() {
    let pair = restored(Mode::Async).await;
    pair.notification.pause();
    let flags = ["--yes", "--sweep-most", "--wait", "1"];
    let first = duet_on(&pair, "resync", &flags);
    assert_eq!(first.code, Some(6), "{first:?}");
    assert!(first.stdout.contains("It is begun"), "{first:?}");
    let begun = preview(&pair)["underWay"]["begun"].clone();
    assert!(begun.is_string());
    // None is lost by it, so nothing more is asked for.
    let second = duet_on(&pair, "resync", &["--yes", "--wait", "1"]);
    assert_eq!(second.code, Some(6), "{second:?}");
    assert!(second.stdout.contains("under way already"), "{second:?}");
    assert_eq!(preview(&pair)["underWay"]["begun"], begun);
    pair.notification.resume();
    let third = duet_on(&pair, "resync", &["--yes"]);
    assert_eq!(third.code, Some(0), "{third:?}");
    assert!(rows::equal(&pair) > 0);
    is_sound(&pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_only_stops_following() {
    let pair = restored(Mode::Async).await;
    pair.notification.pause();
    let mut following = begin_while_paused(&pair).await;
    following.signal(Signal::SIGINT);
    assert_eq!(following.ended(PATIENCE).await, Exit::Code(6));
    says(
        &following,
        "the resync goes on, and is not followed any more",
    )
    .await;
    pair.notification.resume();
    is_sound(&pair).await;
    pair.drained().await;
    assert!(rows::equal(&pair) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_changes_nothing() {
    let pair = restored(Mode::Sync).await;
    let first = preview(&pair);
    let stores = || {
        [
            content(&pair.reaction, &SENDERS),
            content(&pair.notification, &RECEIVERS),
        ]
    };
    let before = stores();
    let said = duet_on(&pair, "resync", &["--preview"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("Nothing is changed yet"), "{said:?}");
    assert_eq!(preview(&pair), first);
    assert_eq!(stores(), before);
    is_degraded(&pair, "SenderRegressed").await;
}

/// What an empty store would do to everybody's inbox is told in plain words, and takes two flags.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_reaction_sweeps_nobody_empty_by_mistake() {
    let mut pair = Pair::builder(DUET, Mode::Sync).start().await;
    pair.post("walk", "bob", "A walk").await;
    for user in ["ana", "dan", "eve"] {
        assert_eq!(pair.react(user, "walk").await.status, 200);
    }
    pair.drained().await;
    pair.reaction.kill();
    lose(&pair.reaction);
    pair.reaction.restart().await;
    pair.ready().await;
    is_degraded(&pair, "SenderRegressed").await;
    let said = duet_on(&pair, "resync", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for told in [
        "Reaction's store holds 0 rows",
        "It holds 3 rows, of which at least 3 would be swept",
        "EMPTY: a resync would sweep notification empty",
        "`duet resync --yes --sweep-most` begins it",
    ] {
        assert!(said.stdout.contains(told), "{told}: {said:?}");
    }
    let said = duet_on(&pair, "resync", &["--yes"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("nothing was begun"), "{said:?}");
    assert_eq!(pair.inbox("bob").await[0]["count"], 3);
    let said = duet_on(&pair, "resync", &["--yes", "--sweep-most", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let end: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (&end["outcome"], &end["began"]),
        (&"done".into(), &true.into())
    );
    assert_eq!(end["receivers"][0]["rows"], 0);
    assert!(pair.inbox("bob").await.is_empty());
    is_sound(&pair).await;
}
