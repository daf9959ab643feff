use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use duet_testkit::until;
use serde_json::json;

use crate::{
    CONSUMER, PATIENCE, SOME, STREAM, all_came_once, anybody, is_degraded, is_sound, load, pair,
    says,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_stream_is_told_with_what_to_do_and_all_goes_on_once_it_is_removed() {
    let pair = pair().await;
    let jetstream = anybody(&pair).await;
    let load = load(&pair);
    load.accepts(SOME).await;
    let mut stream = jetstream.get_stream(STREAM).await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.sealed = true;
    jetstream.update_stream(config).await.unwrap();
    let said = is_degraded(
        &pair.notification,
        "StreamRefused",
        &["is sealed", "nats stream rm REACTIONS"],
    )
    .await;
    println!("{said}");
    load.accepts(SOME).await;
    println!(
        "{}",
        is_degraded(&pair.reaction, "NotStored", &["sealed"]).await
    );

    jetstream.delete_stream(STREAM).await.unwrap();
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    is_sound(&pair.notification).await;
    is_sound(&pair.reaction).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_stream_in_place_of_duets_is_left_alone_and_told_until_it_is_removed() {
    let pair = pair().await;
    let jetstream = anybody(&pair).await;
    let load = load(&pair);
    load.accepts(SOME).await;
    // The two may be done between two looks of the provisioner's, or not.
    let theirs = Config {
        name: STREAM.to_owned(),
        subjects: vec!["duet.reactions.to.*".to_owned()],
        retention: RetentionPolicy::Limits,
        ..Config::default()
    };
    until(PATIENCE, || async {
        jetstream
            .delete_stream(STREAM)
            .await
            .map_err(|error| error.to_string())?;
        let made = jetstream.create_stream(theirs.clone()).await;
        let made = made.map_err(|error| error.to_string())?;
        let metadata = &made.cached_info().config.metadata;
        let is_theirs = !metadata.contains_key("duet.dev/channel");
        is_theirs
            .then_some(())
            .ok_or("the provisioner was quicker".to_owned())
    })
    .await;
    let words = ["was not made for a Channel"];
    println!(
        "{}",
        is_degraded(&pair.notification, "StreamRefused", &words).await
    );
    load.accepts(SOME).await;
    let left = jetstream.get_stream(STREAM).await.unwrap();
    assert_eq!(
        left.cached_info().config.retention,
        RetentionPolicy::Limits,
        "it is left alone"
    );

    jetstream.delete_stream(STREAM).await.unwrap();
    load.accepts(SOME).await;
    all_came_once(&pair, load).await;
    is_sound(&pair.notification).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_consumer_that_holds_messages_is_named_until_it_is_gone() {
    let pair = pair().await;
    let jetstream = anybody(&pair).await;
    let load = load(&pair);
    load.accepts(SOME).await;
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let config = pull::Config {
        durable_name: Some("stranger".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.unwrap();
    load.accepts(SOME).await;
    println!(
        "{}",
        is_degraded(&pair.notification, "ForeignConsumer", &["stranger holds"]).await
    );

    stream.delete_consumer("stranger").await.unwrap();
    is_sound(&pair.notification).await;
    all_came_once(&pair, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_takes_all_places_at_duets_consumer_loses_them_for_it_is_made_anew() {
    /// What a server lets wait at one consumer.
    const PLACES: usize = 512;
    let pair = pair().await;
    let load = load(&pair);
    load.accepts(SOME).await;
    let thief = pair.nats.client().await;
    let inbox = thief.new_inbox();
    let _taken = thief.subscribe(inbox.clone()).await.unwrap();
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}");
    let hour = 3_600_000_000_000_u64;
    let asked = json!({ "batch": 1_000, "expires": hour }).to_string();
    // Duet's own questions end after a second, and then there is a place more.
    let told = until(PATIENCE, || async {
        for _ in 0..PLACES {
            let asked = asked.clone().into();
            let asking = thief.publish_with_reply(subject.clone(), inbox.clone(), asked);
            asking.await.map_err(|error| error.to_string())?;
        }
        let told = pair.notification.channel().await?;
        match told["rebuilt"]["times"].as_u64() {
            Some(2..) => Ok(told),
            _ => Err(format!("not rebuilt twice: {told}")),
        }
    })
    .await;
    println!("{}", told["rebuilt"]);
    assert!(
        told["rebuilt"]["why"]
            .as_str()
            .unwrap()
            .contains("gave nothing"),
        "{told}"
    );
    load.accepts(SOME).await;
    says(&pair.notification, "a consumer made anew", |told| {
        let why = told["corrected"]["why"].as_str();
        why.is_some_and(|why| why.contains("consumer notification: made"))
    })
    .await;
    all_came_once(&pair, load).await;
    is_sound(&pair.notification).await;
}
