//! A broker without room, or that takes only small messages.

use std::num::NonZeroU64;
use std::time::Duration;

use duet_channel::transport::conformance::Events;
use duet_channel::transport::{Publish, PublishError};
use duet_testkit::{NatsServer, until};

use super::broker::{Broker, batch};
use super::conformance::settings;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_server_whose_room_another_stream_took_pushes_back_until_there_is_some_again() {
    let server = NatsServer::start_with("jetstream { max_file_store: 4MB }").await;
    let mut small = settings();
    small.stream.max_bytes = NonZeroU64::new(1 << 20).unwrap();
    let broker = Broker::on(server, small).await;
    let jetstream = async_nats::jetstream::new(broker.client().await);
    let other = async_nats::jetstream::stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["other".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(other).await.unwrap();
    let large = vec![b'x'; 512 * 1024];
    let mut stored = 0;
    while let Ok(ack) = jetstream.publish("other", large.clone().into()).await
        && ack.await.is_ok()
    {
        stored += 1;
        assert!(stored < 20, "20 times 512 KiB don't fit");
    }

    let publish = broker.publish();
    let mut events = Events::of(1);
    let event = events.one();
    let id = events.message(std::slice::from_ref(&event));
    let batch = batch(&event);
    let refused = publish.publish(id, &batch).await;
    assert!(
        matches!(refused, Err(PublishError::BrokerFull(_))),
        "{refused:?}"
    );
    jetstream.delete_stream("OTHER").await.unwrap();
    until(PATIENCE, || publish.publish(id, &batch)).await;
}

#[tokio::test]
async fn an_event_that_is_more_than_the_server_takes_is_told_with_what_to_do() {
    const TAKES: usize = 32 * 1024;
    let server = NatsServer::start_with(&format!("max_payload: {TAKES}")).await;
    let broker = Broker::on(server, settings()).await;
    let publish = broker.publish();
    assert!(publish.limits().bytes < TAKES, "{:?}", publish.limits());
    let mut events = Events::of(1);
    let event = events.sized(2 * TAKES);
    let id = events.message(std::slice::from_ref(&event));
    match publish.publish(id, &batch(&event)).await {
        Err(PublishError::TooLarge(why)) => assert!(why.contains("raise max_payload"), "{why}"),
        other => panic!("{other:?}"),
    }
    let small = events.one();
    let id = events.message(std::slice::from_ref(&small));
    publish.publish(id, &batch(&small)).await.unwrap();
}
