use crate::{DUET, in_async, rows};
use duet_testkit::{Mode, Pair, Reply, eventually};
use futures::StreamExt;
use std::time::Duration;
use tokio::time::Instant;

/// Beyond a deadline: what an answer may take on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

#[track_caller]
fn is_problem(reply: &Reply, status: u16, kind: &str, applied: &[&str]) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.body["type"], format!("/problems/{kind}"), "{reply:?}");
    let said = reply.body["applied"].as_str().unwrap_or_default();
    assert!(applied.contains(&said), "{reply:?}");
    assert_eq!(
        reply.body["trace_id"].as_str().map(str::len),
        Some(32),
        "{reply:?}"
    );
}

#[tokio::test]
async fn in_sync_a_hanging_notification_costs_the_deadline_and_the_reaction_is_taken_back() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let pair = Pair::builder(DUET, Mode::Sync)
        .channel("deadline: 2s", "deadline: 500ms")
        .start()
        .await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react("ana", "walk").await.status, 200);

    pair.notification.pause();
    let asked = Instant::now();
    let reply = pair.react("dan", "walk").await;
    let took = asked.elapsed();
    is_problem(&reply, 504, "deadline-passed", &["no", "unknown"]);
    assert!(took >= DEADLINE && took < DEADLINE + SLACK, "{took:?}");
    // Taken back before the answer, while Notification still hangs.
    assert_eq!(pair.reaction_of("walk", "dan").await, None);
    // A change and an undoing are taken back to what was there before.
    let kind = serde_json::json!({ "kind": "love" });
    let path = "/v1/posts/walk/reactions/ana";
    is_problem(
        &pair.put(path, &kind).await.unwrap(),
        504,
        "deadline-passed",
        &["no", "unknown"],
    );
    is_problem(
        &pair.undo("ana", "walk").await,
        504,
        "deadline-passed",
        &["no", "unknown"],
    );
    assert_eq!(
        pair.reaction_of("walk", "ana").await.as_deref(),
        Some("like")
    );

    pair.notification.resume();
    pair.drained().await;
    assert_eq!(rows::equal(&pair), 1);
    let inbox = pair.inbox("bob").await;
    assert_eq!(
        inbox[0]["kinds"],
        serde_json::json!({ "like": 1 }),
        "{inbox:?}"
    );
    assert_eq!(inbox[0]["actors"], serde_json::json!(["ana"]));
}

#[tokio::test]
async fn in_sync_without_notification_nothing_is_applied_and_the_caller_is_told_so_at_once() {
    let mut pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    pair.notification.kill();

    let asked = Instant::now();
    let reply = pair.react("ana", "walk").await;
    is_problem(&reply, 503, "not-delivered", &["no"]);
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
    assert_eq!(pair.reaction_of("walk", "ana").await, None);

    pair.notification.restart().await;
    pair.drained().await;
    assert_eq!(rows::equal(&pair), 0);
    assert!(pair.inbox("bob").await.is_empty());
    // Asking again is safe, and now it is taken.
    assert_eq!(pair.react("ana", "walk").await.status, 200);
    assert_eq!(pair.inbox("bob").await[0]["count"], 1);
}

/// In `Async`, with the broker killed: each of three callers is answered 202, and nothing else waits.
async fn three_react_without_a_broker() -> Pair {
    let mut pair = in_async().await;
    pair.post("walk", "bob", "A walk").await;
    // The store's first event of all, which opens it, is received.
    pair.drained().await;
    pair.nats.kill();
    for user in ["ana", "dan", "eve"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    pair
}

#[tokio::test]
async fn in_async_callers_do_not_notice_that_notification_is_gone() {
    let mut pair = in_async().await;
    pair.post("walk", "bob", "A walk").await;
    // The store's first event of all, which opens it, is received.
    pair.drained().await;
    pair.notification.kill();
    for user in ["ana", "dan", "eve"] {
        let reply = pair.react(user, "walk").await;
        assert_eq!(reply.status, 202, "{reply:?}");
        assert_eq!(reply.body["delivery"]["status"], "accepted");
    }
    assert_eq!(pair.undo("eve", "walk").await.status, 202);
    assert_eq!(pair.unacknowledged().await, 4);

    pair.notification.restart().await;
    pair.drained().await;
    assert_eq!(rows::equal(&pair), 2);
    assert_eq!(pair.inbox("bob").await[0]["count"], 2);
}

#[tokio::test]
async fn in_async_callers_do_not_notice_that_the_broker_is_gone() {
    let mut pair = three_react_without_a_broker().await;
    assert_eq!(pair.unacknowledged().await, 3);
    let told = pair.reaction.channel().await.unwrap();
    let age = told["oldestAge"]
        .as_str()
        .and_then(|age| age.strip_suffix('s'));
    assert!(age.is_some_and(|age| age.parse::<u64>().is_ok()), "{told}");

    pair.nats.restart().await;
    pair.drained().await;
    let told = pair.reaction.channel().await.unwrap();
    assert_eq!(told["oldestAge"], serde_json::Value::Null, "{told}");
    assert_eq!(rows::equal(&pair), 3);
    assert_eq!(pair.inbox("bob").await[0]["count"], 3);
}

#[tokio::test]
async fn what_waits_for_a_broker_that_is_gone_goes_by_http_once_the_mode_is_sync() {
    let pair = three_react_without_a_broker().await;
    pair.switch(Mode::Sync);
    pair.drained().await;
    assert_eq!(rows::equal(&pair), 3);
    assert_eq!(pair.react("fay", "walk").await.status, 200);
    assert_eq!(pair.inbox("bob").await[0]["count"], 4);
}

#[tokio::test]
async fn in_async_a_message_that_is_not_given_back_holds_up_no_other_and_is_counted_alone() {
    let mut pair = Pair::start(DUET, Mode::Async).await;
    pair.post("walk", "bob", "A walk").await;
    pair.drained().await;
    // Somebody takes a message as Notification would, and dies.
    pair.notification.terminate().await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    let thief = pair.nats.client().await;
    let inbox = thief.new_inbox();
    let mut taken = thief.subscribe(inbox.clone()).await.unwrap();
    let asked = "$JS.API.CONSUMER.MSG.NEXT.REACTIONS.notification";
    let one = r#"{"batch": 1}"#.into();
    thief.publish_with_reply(asked, inbox, one).await.unwrap();
    assert!(!taken.next().await.unwrap().payload.is_empty());
    pair.notification.restart().await;

    let users: Vec<_> = (0..20).map(|user| format!("user-{user}")).collect();
    for user in &users {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    // Far sooner than the broker gives out the other one again.
    let soon = Duration::from_secs(10);
    eventually(soon, || async {
        let inbox = pair.inbox("bob").await;
        inbox.first().is_some_and(|it| it["count"] == users.len())
    })
    .await;
    eventually(soon, || async { pair.unacknowledged().await == 1 }).await;
}

#[tokio::test]
async fn a_wall_clock_that_jumps_between_two_starts_changes_times_and_nothing_else() {
    const DAY: &str = "86400";
    let mut pair = in_async().await;
    pair.post("walk", "bob", "A walk").await;
    for user in ["ana", "dan"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    pair.drained().await;
    // Each end's clock goes its own way, and later back again.
    for (reaction, notification) in [(DAY, "-86400"), ("-86400", DAY)] {
        pair.reaction.set_env("DUET_CLOCK_OFF", reaction);
        pair.notification.set_env("DUET_CLOCK_OFF", notification);
        pair.reaction.restart().await;
        pair.notification.restart().await;
        pair.ready().await;
        // What is newest is so by its number, not by its time.
        for user in ["dan", "ana"] {
            assert_eq!(pair.undo(user, "walk").await.status, 202);
            assert_eq!(pair.react(user, "walk").await.status, 202);
        }
        pair.drained().await;
        assert_eq!(rows::equal(&pair), 2);
    }
    let reactions = pair.reactions("walk").await;
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(23);
    let at: jiff::Timestamp = reactions[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(at < yesterday, "{reactions:?}");
    let inbox = pair.inbox("bob").await;
    let actors = serde_json::json!(["ana", "dan"]);
    assert_eq!(inbox[0]["actors"], actors, "{inbox:?}");
}
