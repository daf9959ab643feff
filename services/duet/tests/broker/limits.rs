use async_nats::jetstream::stream::Config;
use duet_testkit::until;

use crate::{PATIENCE, SOME, all_came_once, anybody, builder, is_degraded, is_sound, load};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_small_messages_gets_small_batches() {
    // After the headers' share, a dozen events a message.
    let mut pair = builder().nats("max_payload: 16384").start().await;
    pair.drained().await;
    let load = pair.load("bob", 32, 2_000);
    load.accepts(SOME).await;
    pair.notification.kill();
    load.accepts(10 * SOME).await;
    pair.notification.restart().await;
    all_came_once(&pair, load).await;
    is_sound(&pair.reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_too_large_for_the_server_is_told_holds_up_no_other_and_comes_once_it_is_taken() {
    let mut pair = builder().nats("max_payload: 1280").start().await;
    pair.drained().await;
    // What an event tells of its post is most of it: here over a thousand bytes.
    let (long, title) = ("p".repeat(128), "\u{1F30A}".repeat(200));
    pair.post(&long, "bob", &title).await;
    pair.post("walk", "bob", "A walk").await;
    assert_eq!(pair.react(&"u".repeat(128), &long).await.status, 202);
    let said = is_degraded(&pair.reaction, "NotStored", &["raise max_payload"]).await;
    println!("{said}");
    for user in ["ana", "eve"] {
        assert_eq!(pair.react(user, "walk").await.status, 202);
    }
    until(PATIENCE, || async {
        let waits = pair.unacknowledged().await;
        (waits == 1).then_some(()).ok_or(waits)
    })
    .await;

    pair.nats.kill();
    pair.nats.configure("");
    pair.nats.restart().await;
    pair.drained().await;
    is_sound(&pair.reaction).await;
    let groups = pair.groups("bob").await;
    assert_eq!(groups.len(), 2, "{groups:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_room_or_streams_is_told_and_all_comes_once_it_has_both() {
    let account = "
        accounts: { DUET: {
            jetstream: { max_file: 4194304, max_mem: 0, max_streams: 1 }
            users: [{ user: duet, password: duet }]
        } }
        no_auth_user: duet
    ";
    let pair = builder().nats(account).start().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    let room = "maxBytes: 1Gi";
    let said = is_degraded(&pair.notification, "NotProvisioned", &["storage"]).await;
    println!("{said}");
    let jetstream = anybody(&pair).await;
    let other = Config {
        name: "OTHER".to_owned(),
        subjects: vec!["other".to_owned()],
        max_bytes: 1024,
        ..Config::default()
    };
    jetstream.create_stream(other).await.unwrap();
    pair.edit(room, "maxBytes: 2Mi").await;
    let said = is_degraded(&pair.notification, "NotProvisioned", &["streams"]).await;
    println!("{said}");
    // Callers notice nothing.
    load.accepts(SOME).await;

    jetstream.delete_stream("OTHER").await.unwrap();
    all_came_once(&pair, load).await;
    is_sound(&pair.notification).await;
    is_sound(&pair.reaction).await;
}
