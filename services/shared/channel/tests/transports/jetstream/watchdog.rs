//! Consumers that don't work, as a real broker has them.

use std::time::Duration;

use async_nats::jetstream;
use duet_channel::transport::conformance::Events;
use duet_channel::transport::jetstream::{JetStreamConsume, ensure};
use duet_channel::transport::{Consume, ConsumeError, Incoming, Publish, Trouble};
use serde_json::json;

use super::broker::{Broker, batch};
use super::conformance::settings;

const PATIENCE: Duration = Duration::from_secs(30);
/// How often they are looked at.
const EVERY: Duration = Duration::from_millis(200);
const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.REACTIONS.notification";

async fn publish_one(broker: &Broker, events: &mut Events) {
    let event = events.one();
    let id = events.message(std::slice::from_ref(&event));
    broker.publish().publish(id, &batch(&event)).await.unwrap();
}

/// What is found of a consumer, and not what it gives.
async fn trouble(consume: &mut JetStreamConsume) -> Trouble {
    let found = async {
        loop {
            match consume.next().await {
                Err(ConsumeError::Trouble(trouble)) => return trouble,
                Ok(Incoming::Messages(taken)) => consume.settle(&taken.position).await.unwrap(),
                // Not connected yet.
                Err(ConsumeError::Failed(_)) => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("it is found")
}

#[tokio::test]
async fn a_consumer_that_gives_nothing_while_messages_wait_is_found_deaf() {
    let broker = Broker::start(settings()).await;
    let context = jetstream::new(broker.client().await);
    let pause = "CONSUMER.PAUSE.REACTIONS.notification".to_owned();
    let until = json!({ "pause_until": "2099-01-01T00:00:00Z" });
    let paused: serde_json::Value = context.request(pause, &until).await.unwrap();
    assert_eq!(paused["paused"], true, "{paused}");
    let mut events = Events::of(1);
    publish_one(&broker, &mut events).await;
    let mut consume = broker.consume_watched(EVERY).await;
    assert_eq!(trouble(&mut consume).await, Trouble::Deaf);

    let steps = ensure(&broker.provision("reactions")).await.unwrap().steps;
    assert_eq!(steps.0, ["consumer notification: paused, resumed"]);
    consume.start(None).await.unwrap();
    let next = tokio::time::timeout(PATIENCE, consume.next()).await;
    assert!(matches!(next, Ok(Ok(Incoming::Messages(_)))), "{next:?}");
}

#[tokio::test]
async fn a_consumer_all_of_whose_messages_another_takes_and_keeps_is_found_deaf() {
    let broker = Broker::start(settings()).await;
    let thief = broker.client().await;
    let inbox = thief.new_inbox();
    let _taken = thief.subscribe(inbox.clone()).await.unwrap();
    // Each is served before ours, one for each time that the message is given out again.
    for _ in 0..100 {
        let asked = json!({ "batch": 1, "expires": 600_000_000_000_u64 }).to_string();
        let asking = thief.publish_with_reply(NEXT, inbox.clone(), asked.into());
        asking.await.unwrap();
    }
    thief.flush().await.unwrap();
    let mut consume = broker.consume_watched(EVERY).await;
    publish_one(&broker, &mut Events::of(1)).await;
    assert_eq!(trouble(&mut consume).await, Trouble::Deaf);
}

#[tokio::test]
async fn a_stream_that_is_made_anew_or_whose_ack_floor_goes_back_is_noticed() {
    let mut broker = Broker::start(settings()).await;
    let mut events = Events::of(1);
    let mut consume = broker.consume_watched(EVERY).await;
    publish_one(&broker, &mut events).await;
    let older = broker.stopped_storage().await;
    for _ in 0..3 {
        publish_one(&broker, &mut events).await;
    }
    // The consumer looks at least once at what is settled by then.
    let looks = tokio::time::timeout(5 * EVERY, trouble(&mut consume)).await;
    assert!(looks.is_err(), "{looks:?}");
    broker.put_back(&older).await;
    assert_eq!(trouble(&mut consume).await, Trouble::Stream);
}
