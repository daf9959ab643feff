use crate::{DUET, in_async};
use duet_testkit::{Mode, Pair, Service, until};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// The condition `Accepted` that a service tells.
async fn accepted(service: &Service) -> Result<Value, String> {
    let told = service.channel().await?;
    let conditions = told["conditions"].as_array().cloned().unwrap_or_default();
    let condition = conditions.into_iter().find(|it| it["type"] == "Accepted");
    condition.ok_or_else(|| format!("no condition Accepted in {told}"))
}

/// Waits until both say that the newest document is not in force because of `why`, in their state and in their logs.
async fn both_refuse(pair: &Pair, why: &str) {
    for service in [&pair.reaction, &pair.notification] {
        until(PATIENCE, || async {
            let condition = accepted(service).await?;
            let message = condition["message"].as_str().unwrap_or_default();
            let told = condition["status"] == "False" && message.contains(why);
            let logged = service.output().lines().any(|line| line.contains(why));
            (told && logged).then_some(()).ok_or_else(|| {
                format!(
                    "{}: {why:?} is not in {condition}, or not in its log",
                    service.name()
                )
            })
        })
        .await;
    }
}

async fn both_accept(pair: &Pair) {
    for service in [&pair.reaction, &pair.notification] {
        until(PATIENCE, || async {
            let condition = accepted(service).await?;
            (condition["status"] == "True")
                .then_some(())
                .ok_or_else(|| condition.to_string())
        })
        .await;
    }
}

#[tokio::test]
async fn a_channel_file_that_cannot_be_right_leaves_the_last_good_settings_in_force() {
    let pair = Pair::start(DUET, Mode::Sync).await;
    pair.post("walk", "bob", "A walk").await;
    let file = pair.channel();
    let good = std::fs::read_to_string(file).unwrap();
    // What is cut where a document could end as well can't be told from one that does.
    let up_to = |piece: &str| good[..good.find(piece).unwrap() + piece.len()].to_owned();
    let mut users = 0..;
    let bad: [(&str, Option<String>, &str); 8] = [
        ("not YAML", Some("spec: [".to_owned()), "is no good"),
        (
            "a field that is not in force",
            Some(good.replace("  mode: Sync", "  retry: {maxAttempts: 8}\n  mode: Sync")),
            "retry",
        ),
        (
            "a mode that does not exist",
            Some(good.replace("mode: Sync", "mode: Telepathy")),
            "Telepathy",
        ),
        (
            "a deadline out of range",
            Some(good.replace("deadline: 2s", "deadline: 1h")),
            "deadline",
        ),
        (
            "replaced half-way, in the middle of a word",
            Some(up_to("to: [{name: notifi")),
            "is no good",
        ),
        (
            "replaced half-way, at the end of a line",
            Some(up_to("subject: duet.reactions")),
            "maxBytes",
        ),
        ("empty", Some(String::new()), "is no good"),
        ("missing", None, "does not exist"),
    ];
    for (what, content, why) in bad {
        match content {
            // In place, as an editor may: not renamed.
            Some(content) => std::fs::write(file, content).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        println!("{what}");
        both_refuse(&pair, why).await;
        let reply = pair
            .react(&format!("user-{}", users.next().unwrap()), "walk")
            .await;
        assert_eq!(reply.status, 200, "{what}: {reply:?}");
        for service in [&pair.reaction, &pair.notification] {
            assert_eq!(service.channel().await.unwrap()["mode"], "Sync", "{what}");
            service.ready().await;
        }
        // The same good one again, so that the next bad one is told anew.
        std::fs::write(file, &good).unwrap();
        both_accept(&pair).await;
    }
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
}

#[tokio::test]
async fn a_service_starts_with_the_last_good_settings_when_its_channel_file_is_gone() {
    let mut pair = in_async().await;
    pair.post("walk", "bob", "A walk").await;
    let good = std::fs::read_to_string(pair.channel()).unwrap();
    std::fs::remove_file(pair.channel()).unwrap();
    pair.reaction.restart().await;
    pair.notification.restart().await;
    pair.ready().await;
    both_refuse(&pair, "does not exist").await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    pair.drained().await;
    // It comes back, with another mode.
    std::fs::write(pair.channel(), good).unwrap();
    pair.switch(Mode::Sync);
    pair.follows(Mode::Sync).await;
    both_accept(&pair).await;
    assert_eq!(pair.react("dan", "walk").await.status, 200);
    assert_eq!(pair.inbox("bob").await[0]["count"], 2);
}

/// Waits until a service's condition `Degraded` is `status`, for `reason`, in a sentence with `words`.
async fn degraded(service: &Service, status: &str, reason: &str, words: &str) {
    until(PATIENCE, || async {
        let told = service.channel().await?;
        let conditions = told["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|it| it["type"] == "Degraded");
        let condition = condition.ok_or_else(|| format!("no condition Degraded in {told}"))?;
        let message = condition["message"].as_str().unwrap_or_default();
        let is_it = condition["status"] == status && condition["reason"] == reason;
        (is_it && message.contains(words))
            .then_some(())
            .ok_or_else(|| condition.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_the_server_cannot_hold_is_told_of_by_both_until_it_can() {
    let pair = Pair::builder(DUET, Mode::Sync)
        .channel("maxBytes: 1Gi", "maxBytes: 1Pi")
        .start()
        .await;
    pair.post("walk", "bob", "A walk").await;
    degraded(&pair.notification, "True", "NotProvisioned", "refused").await;
    pair.switch(Mode::Async);
    pair.follows(Mode::Async).await;
    assert_eq!(pair.react("ana", "walk").await.status, 202);
    degraded(
        &pair.reaction,
        "True",
        "NotStored",
        "for what notification receives",
    )
    .await;

    let document = std::fs::read_to_string(pair.channel()).unwrap();
    let fits = document.replace("maxBytes: 1Pi", "maxBytes: 64Mi");
    std::fs::write(pair.channel(), fits).unwrap();
    pair.drained().await;
    for service in [&pair.reaction, &pair.notification] {
        degraded(service, "False", "Sound", "").await;
    }
}
