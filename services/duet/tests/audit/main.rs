//! `duet audit`: a pair that ran, was killed and switched balances; a row that somebody changed by hand is named, in whichever store.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

/// What is not like the rest: a canary, letters, a receiver that joined, a store from before there were digests.
mod apart;
/// A ledger that does not balance, as everybody sees it: metric, condition, status.
mod told;

#[path = "../common/mod.rs"]
mod common;

use common::{Said, duet_on};
use duet_testkit::{Mode, Pair, until};
use rusqlite::Connection;
use serde_json::Value;
use std::time::Duration;

const DUET: &str = env!("CARGO_BIN_EXE_duet");
const PATIENCE: Duration = Duration::from_secs(60);
const BALANCED: Option<i32> = Some(0);
const DIFFERS: Option<i32> = Some(8);

fn audit(pair: &Pair) -> Said {
    duet_on(pair, "audit", &[])
}

fn report(pair: &Pair) -> Value {
    let said = duet_on(pair, "audit", &["--json"]);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// The store of a service, to be tampered with.
fn store(pair: &Pair, service: &str) -> Connection {
    let dir = pair.channel().parent().unwrap();
    let store = Connection::open(dir.join(service).join(format!("{service}.sqlite"))).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    store
}

/// Changes a store by hand, checks that the audit names what was done, and takes it back.
fn tampers(pair: &Pair, service: &str, what: &str, named: &[&str]) {
    let store = store(pair, service);
    store.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let path = store.path().unwrap().to_owned();
    let copy = format!("{path}.copy");
    let _ = std::fs::remove_file(&copy);
    store.execute("VACUUM INTO ?1", [&copy]).unwrap();
    store.execute_batch(what).unwrap();
    drop(store);
    let said = audit(pair);
    assert_eq!(said.code, DIFFERS, "{what}: {said:?}");
    for words in named {
        assert!(
            said.stdout.contains(words),
            "{what}: no {words:?} in {said:?}"
        );
    }
    assert!(
        said.stdout.contains(&format!("{service}: ")),
        "{what}: {said:?}"
    );
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{path}{end}"));
    }
    std::fs::rename(&copy, &path).unwrap();
    let said = audit(pair);
    assert_eq!(said.code, BALANCED, "{what}, taken back: {said:?}");
}

/// A pair that has delivered, and that is stopped.
async fn stopped() -> Pair {
    let mut pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    for user in ["ana", "cy", "dee"] {
        assert!(pair.react(user, "walk").await.status.is_success());
    }
    pair.undo("dee", "walk").await;
    pair.drained().await;
    pair.kill();
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_by_hand_in_a_store_that_is_stopped_is_named() {
    let pair = stopped().await;
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(said.stdout.contains("accepted 4 = applied 4"), "{said:?}");
    let cases: &[(&str, &str, &[&str])] = &[
        ("notification", "DELETE FROM notifications WHERE user = 'ana'", &["walk/ana", "lacks the row", "sequence 2"]),
        ("notification", "UPDATE notifications SET kind = 'wow' WHERE user = 'cy'", &["walk/cy", "\"wow\"", "\"like\""]),
        ("notification", "UPDATE notifications SET sequence = 2 WHERE user = 'cy'", &["walk/cy", "of another event"]),
        (
            "notification",
            "INSERT INTO notifications (post, user, owner, kind, at, newness, newness_before, store, partitions, partition,
               epoch, sequence, decision) SELECT post, 'eve', owner, kind, at, newness, newness_before, store, partitions, partition,
               epoch, sequence, decision FROM notifications WHERE user = 'ana'",
            &["walk/eve", "the sender has nothing"],
        ),
        ("notification", "UPDATE groups SET count = 7", &["walk", "counts 7 reactions", "2 are shown"]),
        ("notification", "UPDATE kinds SET count = 7", &["walk", "counts 7 reactions of kind like"]),
        ("notification", "UPDATE inbox_epochs SET watermark = watermark - 1", &["lacks what reaction has forgotten"]),
        ("notification", "UPDATE inbox_epochs SET hash = hash + 1", &["rolling hash"]),
        ("notification", "UPDATE inbox_epochs SET applied = applied - 1", &["1 of the events that it holds"]),
        ("notification", "UPDATE inbox_epochs SET superseded = 1", &["1 more events were applied"]),
        ("notification", "UPDATE inbox_epochs SET digest = digest + 1", &["digest differs"]),
        ("notification", "DELETE FROM inbox_epochs", &["lacks what reaction has forgotten"]),
        ("reaction", "DELETE FROM counts", &["walk", "counts 0 reactions of kind like, and 2 stand"]),
        ("reaction", "UPDATE epochs SET digest = digest + 1", &["digest differs"]),
        ("reaction", "UPDATE epochs SET last = last + 1", &["the outbox lacks an event", "sequence 6"]),
        ("reaction", "UPDATE epochs SET forgotten = forgotten - 1", &["the outbox lacks an event", "sequence 5"]),
        ("reaction", "UPDATE marks SET watermark = 99", &["believes that notification holds all up to 99"]),
        ("reaction", "UPDATE begins SET epoch = 7", &["begins with", "is no epoch of this store"]),
    ];
    for (service, what, named) in cases {
        tampers(&pair, service, what, named);
    }
    let reactions = "UPDATE reactions SET kind = 2 WHERE user = 'ana'";
    tampers(
        &pair,
        "reaction",
        reactions,
        &["walk/ana", "\"like\"", "\"love\"", "digest differs"],
    );
    let reactions = "DELETE FROM reactions WHERE user = 'ana'";
    tampers(
        &pair,
        "reaction",
        reactions,
        &["walk/ana", "the sender has nothing", "digest differs"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_the_outbox_or_is_parked_balances_and_is_named_if_it_is_changed() {
    let mut pair = Pair::start(DUET, Mode::Async).await;
    pair.post("walk", "bob", "A walk").await;
    assert!(pair.react("ana", "walk").await.status.is_success());
    pair.drained().await;
    pair.notification.kill();
    for user in ["cy", "dee"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    pair.kill();
    let said = audit(&pair);
    assert_eq!(said.code, BALANCED, "{said:?}");
    assert!(said.stdout.contains("in flight 2"), "{said:?}");
    assert!(
        said.stdout.contains("2 have an event in flight"),
        "{said:?}"
    );
    let cases: &[(&str, &[&str])] = &[
        ("DELETE FROM outbox WHERE key = 'walk/cy'", &["the outbox lacks an event", "sequence 3"]),
        ("UPDATE outbox SET data = CAST(replace(CAST(data AS TEXT), 'like', 'love') AS BLOB) WHERE key = 'walk/cy'", &["walk/cy", "hash differs", "sequence 3"]),
        ("UPDATE outbox SET hash = hash + 1 WHERE key = 'walk/dee'", &["walk/dee", "hash differs", "sequence 4"]),
        (
            "INSERT INTO outbox SELECT id + 1, hash, time, type, key, data, traceparent, tracestate, generation
             FROM outbox WHERE key = 'walk/dee'",
            &["never accepted", "sequence 5"],
        ),
    ];
    for (what, named) in cases {
        tampers(&pair, "reaction", what, named);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_with_two_receivers_balances_under_load_while_the_mode_is_switched_and_processes_are_killed()
 {
    let mut pair = Pair::builder(DUET, Mode::Async).trending().start().await;
    let load = pair.load("bob", 8, 200);
    for mode in [Mode::Sync, Mode::Async] {
        for way in [&[][..], &["--ask"]] {
            let said = duet_on(&pair, "audit", way);
            assert_eq!(said.code, BALANCED, "under load: {said:?}");
        }
        pair.notification.kill();
        pair.notification.restart().await;
        pair.reaction.kill();
        pair.reaction.restart().await;
        pair.switch(mode);
        pair.ready().await;
    }
    load.stop().await;
    pair.drained().await;
    until(PATIENCE, || async {
        let said = audit(&pair);
        (said.code == BALANCED)
            .then_some(())
            .ok_or(format!("{said:?}"))
    })
    .await;
    // The services that run tell the same as their files.
    let asked = duet_on(&pair, "audit", &["--ask"]);
    assert_eq!(asked.code, BALANCED, "{asked:?}");
    assert_eq!(asked.stdout, audit(&pair).stdout);
    let report = report(&pair);
    for account in report["accounts"].as_array().unwrap() {
        let number = |name: &str| account[name].as_u64().unwrap();
        assert_eq!(
            number("accepted"),
            number("applied") + number("superseded"),
            "{account}"
        );
    }
}
