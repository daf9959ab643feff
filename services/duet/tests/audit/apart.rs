use super::{BALANCED, DUET, PATIENCE, audit, report, store, tampers};
use crate::common::duet_on;
use duet_testkit::{Mode, Pair, until};
use serde_json::json;

const NO_CANARY: &str = "  # canary: {mode: Async, percent: 10}";
const NO_FAULTS: &str =
    "  # faults: {delay: 200ms, jitter: 50ms, errorPercent: 5, hangPercent: 1, maxPerSecond: 500}";
const ALL_FAIL: &str = "  faults: {errorPercent: 100}";
const DELIVERY: &str = "  # delivery: {maxAttempts: 8, backoff: {initial: 1s, max: 10m}}";
const TWICE: &str = "  delivery: {maxAttempts: 2, backoff: {initial: 50ms, max: 100ms}}";

async fn reacts(pair: &Pair, users: &[&str]) {
    for user in users {
        let reply = pair.react(user, "walk").await;
        assert!(reply.status.is_success(), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_canary_both_ways_are_one_ledger() {
    let half = "  canary: {mode: Async, percent: 50}";
    let pair = Pair::builder(DUET, Mode::Sync).channel(NO_CANARY, half);
    let mut pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    let mut answers = [0, 0];
    for user in 0..20 {
        let reply = pair.react(&format!("user-{user}"), "walk").await;
        answers[usize::from(reply.status == 202)] += 1;
    }
    assert!(answers.iter().all(|it| *it > 0), "{answers:?}");
    pair.drained().await;
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(
        said.stdout.contains("accepted 20 = applied 20 +"),
        "{said:?}"
    );
    pair.kill();
    let gone = "DELETE FROM notifications WHERE user = 'user-7'";
    tampers(
        &pair,
        "notification",
        gone,
        &["walk/user-7", "lacks the row"],
    );
}

/// A pair in Async with reactions that were applied, and one that is a dead letter.
async fn with_a_letter() -> Pair {
    let pair = Pair::builder(DUET, Mode::Async)
        .channel(DELIVERY, TWICE)
        .env("DUET_ALLOW_FAULTS", "true");
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    reacts(&pair, &["cy", "dee"]).await;
    pair.drained().await;
    pair.edit(NO_FAULTS, ALL_FAIL).await;
    reacts(&pair, &["ana"]).await;
    until(PATIENCE, || async {
        let told = pair.notification.channel().await?;
        let is_so = told["deadLetters"] == 1;
        is_so.then_some(()).ok_or(told.to_string())
    })
    .await;
    pair.edit(ALL_FAIL, NO_FAULTS).await;
    pair.drained().await;
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_balances_and_is_named_if_it_is_altered_or_missed_if_it_is_deleted() {
    let mut pair = with_a_letter().await;
    pair.kill();
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(
        said.stdout
            .contains("accepted 3 = applied 2 + superseded 0 + parked 0 + dead 1"),
        "{said:?}"
    );
    assert!(
        said.stdout
            .contains("1 has one that is parked, dead or discarded"),
        "{said:?}"
    );
    let cases: &[(&str, &[&str])] = &[
        (
            "DELETE FROM parked",
            &["1 of the events that it holds", "not parked or dead"],
        ),
        (
            "UPDATE parked SET data = CAST(replace(CAST(data AS TEXT), 'like', 'love') AS BLOB)",
            &["walk/ana", "its hash differs", "sequence 4"],
        ),
        (
            "UPDATE parked SET key = 'walk/eve'",
            &["walk/eve", "its hash differs", "sequence 4"],
        ),
        (
            "UPDATE parked SET sequence = 3",
            &["its hash differs", "sequence 3"],
        ),
        (
            "UPDATE parked SET sequence = 9",
            &["was not received", "sequence 9"],
        ),
    ];
    for (what, named) in cases {
        tampers(&pair, "notification", what, named);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_discard_only_what_was_discarded_is_not_compared() {
    let mut pair = with_a_letter().await;
    let dead = duet_on(&pair, "audit", &[]);
    assert_eq!(dead.code, BALANCED, "{dead:?}");
    let url = format!("{}/v1/dead-letters/discard", pair.notification.internal());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let discard = http.post(url).json(&json!({"filter": {}}));
    let answer = discard.send().await.unwrap();
    let status = answer.status();
    assert!(
        status.is_success(),
        "{status}: {}",
        answer.text().await.unwrap()
    );
    pair.kill();
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(said.stdout.contains("+ discarded 1 +"), "{said:?}");
    assert!(
        said.stdout.contains("2 rows are the same, 1 has one"),
        "{said:?}"
    );
    let cases: &[(&str, &[&str])] = &[
        (
            "DELETE FROM notifications WHERE user = 'cy'",
            &["walk/cy", "lacks the row", "digest differs"],
        ),
        (
            "UPDATE notifications SET kind = 'wow' WHERE user = 'dee'",
            &["walk/dee", "\"wow\"", "digest differs"],
        ),
        (
            "UPDATE inbox_epochs SET digest = digest + 1",
            &["digest differs"],
        ),
    ];
    for (what, named) in cases {
        tampers(&pair, "notification", what, named);
    }
    // What comes after it is compared again.
    for service in [&mut pair.reaction, &mut pair.notification] {
        service.restart().await;
    }
    pair.nats.restart().await;
    pair.ready().await;
    let changed = json!({"kind": "love"});
    let reply = pair
        .put("/v1/posts/walk/reactions/ana", &changed)
        .await
        .unwrap();
    assert!(reply.status.is_success(), "{reply:?}");
    pair.drained().await;
    pair.kill();
    let said = audit(&pair);
    assert!(said.stdout.contains("3 rows are the same\n"), "{said:?}");
    let gone = "DELETE FROM notifications WHERE user = 'ana'";
    tampers(&pair, "notification", gone, &["walk/ana", "lacks the row"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_joined_is_compared_with_what_it_was_sent() {
    const ONE: &str = "to: [{name: notification}]";
    const BOTH: &str = "to: [{name: notification}, {name: trending}]";
    let mut pair = Pair::builder(DUET, Mode::Async).trending().start().await;
    pair.edit(BOTH, ONE).await;
    pair.post("walk", "bob", "A walk").await;
    reacts(&pair, &["ana", "cy"]).await;
    pair.drained().await;
    pair.edit(ONE, BOTH).await;
    reacts(&pair, &["dee"]).await;
    pair.undo("cy", "walk").await;
    pair.drained().await;
    pair.kill();
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(
        said.stdout.contains("notification: accepted 4 = applied 4"),
        "{said:?}"
    );
    assert!(
        said.stdout.contains("trending: accepted 2 = applied 2"),
        "{said:?}"
    );
    assert!(
        said.stdout
            .contains("2 rows are the same, 1 is not kept there"),
        "{said:?}"
    );
    let altered = "UPDATE versions SET hash = hash + 1 WHERE key = 'walk/dee'";
    tampers(&pair, "trending", altered, &["walk/dee", "something else"]);
    let counted = "UPDATE inbox_epochs SET applied = applied - 1 WHERE applied > 0";
    tampers(
        &pair,
        "trending",
        counted,
        &["1 of the events that it holds"],
    );
}

/// What the ledger's two migrations made.
const UNDONE: &str = "
    ALTER TABLE epochs DROP COLUMN own; ALTER TABLE epochs DROP COLUMN digest;
    ALTER TABLE begins DROP COLUMN rows_since;
    ALTER TABLE inbox_lanes DROP COLUMN closed_since; ALTER TABLE inbox_lanes DROP COLUMN closed_hash;
    ALTER TABLE inbox_lanes DROP COLUMN state_since; ALTER TABLE inbox_lanes DROP COLUMN digest;
    ALTER TABLE inbox_lanes DROP COLUMN told; ALTER TABLE inbox_lanes DROP COLUMN discarded;
    ALTER TABLE inbox_epochs DROP COLUMN own; ALTER TABLE inbox_epochs DROP COLUMN applied;
    ALTER TABLE inbox_epochs DROP COLUMN superseded; ALTER TABLE inbox_epochs DROP COLUMN discarded;
    ALTER TABLE inbox_epochs DROP COLUMN digest;
    DROP TABLE inbox_closed;
    ALTER TABLE versions DROP COLUMN hash;
    ALTER TABLE parked DROP COLUMN hash;
    DROP TABLE discarded;
    PRAGMA user_version = 9;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_from_before_there_were_digests_is_given_them_and_is_compared_as_any() {
    let mut pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    reacts(&pair, &["ana", "cy", "dee"]).await;
    pair.drained().await;
    pair.reaction.kill();
    pair.reaction.restart().await;
    pair.ready().await;
    reacts(&pair, &["eve"]).await;
    pair.undo("dee", "walk").await;
    pair.drained().await;
    pair.kill();
    for service in ["reaction", "notification"] {
        store(&pair, service).execute_batch(UNDONE).unwrap();
    }
    pair.nats.restart().await;
    for service in [&mut pair.reaction, &mut pair.notification] {
        service.restart().await;
    }
    pair.ready().await;
    pair.undo("ana", "walk").await;
    pair.drained().await;
    until(PATIENCE, || async {
        let said = duet_on(&pair, "status", &[]);
        let is_sound = said.code == Some(0);
        is_sound.then_some(()).ok_or(format!("{said:?}"))
    })
    .await;
    pair.kill();
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(
        report(&pair)["rows"][0]["same"].as_u64() >= Some(2),
        "{said:?}"
    );
    let altered = "UPDATE epochs SET digest = digest + 1 WHERE digest <> 0";
    tampers(&pair, "reaction", altered, &["digest differs"]);
    let altered = "UPDATE notifications SET kind = 'wow' WHERE user = 'cy'";
    tampers(
        &pair,
        "notification",
        altered,
        &["walk/cy", "digest differs"],
    );
}
