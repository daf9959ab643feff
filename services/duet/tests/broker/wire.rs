use async_nats::jetstream::Context;
use duet_testkit::{Acks, Pair, eventually};

use crate::{
    PATIENCE, SOME, STREAM, all_came_once, anybody, builder, is_degraded, is_sound, load,
    says_repaired,
};

async fn over_a_wire() -> (Pair, Context) {
    let pair = builder().over_a_wire().start().await;
    pair.drained().await;
    let jetstream = anybody(&pair).await;
    (pair, jetstream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_never_answered_are_repeated_and_stored_once() {
    let (pair, _) = over_a_wire().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.wire().acks(Acks::GetLost);
    println!("{}", is_degraded(&pair.reaction, "NoAnswer", &[]).await);
    load.accepts(SOME).await;
    pair.wire().acks(Acks::Come);
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    assert!(pair.wire().struck() > 0);
    is_sound(&pair.reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_answered_twice_count_once() {
    let (pair, _) = over_a_wire().await;
    let load = load(&pair);
    pair.wire().acks(Acks::ComeTwice);
    load.accepts(3 * SOME).await;
    all_came_once(&pair, load).await;
    assert!(pair.wire().struck() > 0);
    is_sound(&pair.reaction).await;
}

/// The broker stores a message and its word gets lost; then it loses the message, and takes the repetition for a copy of what it has.
/// Its window is two minutes: only a retransmission under a name of its own gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retransmission_is_never_swallowed_by_the_duplicate_window() {
    let (mut pair, jetstream) = over_a_wire().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    pair.notification.kill();
    pair.wire().acks(Acks::GetLost);
    load.accepts(SOME).await;
    eventually(PATIENCE, || async {
        let stream = jetstream.get_stream(STREAM).await.unwrap();
        stream.cached_info().state.messages > 5
    })
    .await;
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    stream.purge().await.unwrap();
    pair.wire().acks(Acks::Come);
    pair.notification.restart().await;
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    assert!(says_repaired(&pair).await > 0);
    is_sound(&pair.reaction).await;
}
