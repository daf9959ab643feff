use duet_testkit::eventually;

use crate::{
    PATIENCE, SOME, STREAM, all_came_once, anybody, builder, is_degraded, is_sound, load, pair,
    says, says_repaired,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_for_longer_than_all_its_windows_costs_nothing() {
    // Each is over several times while it is away.
    let pair = builder()
        .channel("maxAge: 72h", "maxAge: 10s")
        .channel("duplicateWindow: 2m", "duplicateWindow: 1s")
        .start();
    let mut pair = pair.await;
    pair.drained().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.nats.kill();
    load.accepts(SOME).await;
    println!(
        "{}",
        is_degraded(&pair.notification, "NotProvisioned", &["does not answer"]).await
    );
    says(&pair.reaction, "what has waited for so long", |told| {
        let age = told["oldestAge"]
            .as_str()
            .and_then(|age| age.strip_suffix('s'));
        age.is_some_and(|age| age.parse::<u64>().is_ok_and(|age| age > 11))
    })
    .await;
    load.accepts(SOME).await;
    pair.nats.restart().await;
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    is_sound(&pair.notification).await;
    is_sound(&pair.reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_drops_for_its_age_is_sent_again() {
    let pair = builder()
        .channel("maxAge: 72h", "maxAge: 10s")
        .channel("duplicateWindow: 2m", "duplicateWindow: 1s")
        .start();
    let mut pair = pair.await;
    pair.drained().await;
    let jetstream = anybody(&pair).await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.notification.kill();
    load.accepts(SOME).await;
    // Nobody took them, and they are gone.
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let first = stream.cached_info().state.last_sequence;
    eventually(PATIENCE, || async {
        let stream = jetstream.get_stream(STREAM).await.unwrap();
        stream.cached_info().state.first_sequence > first
    })
    .await;
    says(&pair.reaction, "loss", |told| {
        told["retransmissions"].as_u64().is_some_and(|it| it > 0)
    })
    .await;
    pair.notification.restart().await;
    all_came_once(&pair, load).await;
    assert!(says_repaired(&pair).await > 0);
    is_sound(&pair.reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_with_an_older_storage_loses_nothing() {
    let mut pair = pair().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.nats.kill();
    let older = pair.nats.storage();
    pair.nats.restart().await;
    load.accepts(3 * SOME).await;
    pair.notification.kill();
    // These only the broker and the outbox have.
    load.accepts(SOME).await;
    pair.nats.kill();
    pair.nats.put_back(&older);
    pair.nats.restart().await;
    pair.notification.restart().await;
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    println!("{} events were repaired", says_repaired(&pair).await);
    is_sound(&pair.notification).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_goes_back_under_a_running_receiver_is_noticed_by_the_watchdog() {
    let mut pair = pair().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.nats.kill();
    let older = pair.nats.storage();
    pair.nats.restart().await;
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    pair.nats.kill();
    pair.nats.put_back(&older);
    pair.nats.restart().await;
    let told = says(&pair.notification, "rebuilt", |told| {
        told["rebuilt"]["times"].is_u64()
    })
    .await;
    assert!(
        told["rebuilt"]["why"]
            .as_str()
            .unwrap()
            .contains("lost its end"),
        "{told}"
    );
    pair.post("after", "eve", "Afterwards").await;
    assert_eq!(pair.react("ana", "after").await.status, 202);
    pair.drained().await;
    assert_eq!(pair.inbox("eve").await[0]["count"], 1);
}
