use super::{common::PATIENCE, stage::Stage};
use duet_testkit::{Exit, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// Waits until a redrive has applied more than this, and not all.
async fn under_way(stage: &Stage, more_than: u64) -> Value {
    until(PATIENCE, || async {
        let progress = stage.progress().await;
        let applied = progress["applied"].as_u64().unwrap_or_default();
        let is_it = progress["state"] == "running" && applied > more_than;
        is_it.then_some(progress.clone()).ok_or(progress)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_cancelled_keeps_what_it_applied_and_another_waits_for_its_end() {
    let stage = Stage::open(&[]).await;
    stage.dead(200).await;
    stage.mend();
    let mut following = stage.beside("redrive", &["--rate", "20"]);
    under_way(&stage, 20).await;

    // Two at once can't be: the second is told of the first.
    let said = stage.letters("redrive", &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for told in ["under way", "--follow", "--cancel"] {
        assert!(said.stderr.contains(told), "{told}: {said:?}");
    }
    let ask = json!({"filter": {}, "rate": 5});
    stage
        .ask("/v1/dead-letters/redrive", &ask)
        .await
        .problem(409, "redrive-under-way");

    let said = stage.letters("redrive", &["--cancel"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let exit = following.ended(PATIENCE).await;
    let output = following.output();
    assert!(output.contains(", cancelled"), "{exit:?}: {output}");
    let applied = stage.progress().await["applied"].as_u64().unwrap();
    assert!((20..200).contains(&applied), "{applied}");
    assert_eq!(stage.notified("walk").await, applied);
    stage.until_dead("notification", 200 - applied).await;
    assert_eq!(stage.letters("redrive", &["--cancel"]).code, Some(7));

    // What is left goes with the next.
    let said = stage.letters("redrive", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.notified("walk").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_following_and_not_the_redrive() {
    let stage = Stage::open(&[]).await;
    stage.dead(60).await;
    stage.mend();
    let mut following = stage.beside("redrive", &["--rate", "20"]);
    under_way(&stage, 0).await;
    following.terminate();
    assert_eq!(following.ended(PATIENCE).await, Exit::Code(6));
    assert!(
        following.output().contains("the redrive goes on"),
        "{}",
        following.output()
    );
    let said = stage.letters("redrive", &["--follow"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (
            Some(0),
            "notification: 60 applied, 0 superseded, 0 failed of 60\n"
        ),
        "{said:?}"
    );
    assert_eq!(stage.notified("walk").await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_fail_again_have_their_attempts_anew_and_are_passed_over_in_the_end() {
    let stage = Stage::open(&[]).await;
    stage.dead(10).await;
    let said = stage.letters("redrive", &["--dry-run"]);
    assert!(
        said.stdout
            .contains("would apply 0, superseded 0, would fail again 10"),
        "{said:?}"
    );
    let mut redrives = 0;
    let passed_over = loop {
        let said = stage.letters("redrive", &[]);
        assert_eq!(said.code, Some(1), "{said:?}");
        if said.stdout.contains("passed over") {
            break said;
        }
        assert!(
            said.stdout
                .contains("0 applied, 0 superseded, 10 failed of 10"),
            "{said:?}"
        );
        redrives += 1;
        assert!(redrives < 10, "the loop guard never acts");
        stage.until_dead("notification", 10).await;
        let letters = stage.get("notification", "/v1/dead-letters").await.ok(200);
        for letter in letters["items"].as_array().unwrap() {
            assert_eq!(
                (&letter["attempts"], &letter["redrives"]),
                (&2.into(), &redrives.into()),
                "{letter}"
            );
        }
    };
    assert!(
        passed_over.stdout.contains("10 passed over of 10"),
        "{passed_over:?}"
    );
    stage.mend();
    // One that is named is tried all the same.
    let letters = stage.get("notification", "/v1/dead-letters").await.ok(200);
    let ids = letters["items"].as_array().unwrap().iter();
    let mut args = Vec::new();
    for id in ids.map(|it| it["id"].as_str().unwrap()) {
        args.extend(["--id", id]);
    }
    let said = stage.letters("redrive", &args);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stage.notified("walk").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_killed_in_the_middle_of_one_applies_nothing_twice() {
    let stage = Stage::open(&[]).await;
    stage.dead(200).await;
    stage.mend();
    let mut following = stage.beside("redrive", &["--rate", "50"]);
    under_way(&stage, 20).await;
    let child = stage.up.child("notification").unwrap();
    kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGKILL).unwrap();
    // It goes on where it was, and so does whoever follows it: each is counted once, as it was applied.
    assert_eq!(
        following.ended(PATIENCE).await,
        Exit::Code(0),
        "{}",
        following.output()
    );
    let all = "notification: 200 applied, 0 superseded, 0 failed of 200\n";
    assert!(following.output().contains(all), "{}", following.output());
    assert_ne!(stage.up.child("notification"), Some(child));
    assert_eq!(stage.notified("walk").await, 200);
    stage.until_dead("notification", 0).await;
    stage.up.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_can_not_be_written_for_a_while_makes_one_wait_and_refuses_what_else_is_asked()
{
    let stage = Stage::open(&[]).await;
    stage.dead(60).await;
    stage.mend();
    let mut following = stage.beside("redrive", &["--rate", "20"]);
    under_way(&stage, 0).await;
    let file = stage.data().join("notification/notification.sqlite");
    let other = rusqlite::Connection::open(file).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let none = json!({"filter": {"kind": "nothing"}});
    let refused = stage.ask("/v1/dead-letters/discard", &none).await;
    let refused = refused.problem(503, "store-unavailable");
    assert_eq!(refused["applied"], "unknown", "{refused}");
    // What only reads is answered all the same.
    assert_eq!(stage.progress().await["state"], "running");
    other.execute_batch("ROLLBACK").unwrap();

    let exit = following.ended(PATIENCE).await;
    let all = "notification: 60 applied, 0 superseded, 0 failed of 60\n";
    assert!(
        following.output().contains(all),
        "{exit:?}: {}",
        following.output()
    );
    assert_eq!(stage.notified("walk").await, 60);
}
