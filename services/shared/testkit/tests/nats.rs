//! The server is real, and so are its faults.

use duet_testkit::{NatsServer, eventually};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(20);

async fn stored(nats: &NatsServer) -> Option<u64> {
    let jetstream = async_nats::jetstream::new(nats.client().await);
    let stream = jetstream.get_stream("S").await.ok()?;
    Some(stream.cached_info().state.messages)
}

async fn server_with_one_message() -> NatsServer {
    let nats = NatsServer::start().await;
    let jetstream = async_nats::jetstream::new(nats.client().await);
    let config = async_nats::jetstream::stream::Config {
        name: "S".into(),
        ..Default::default()
    };
    jetstream
        .create_stream(config)
        .await
        .expect("JetStream is on");
    let ack = jetstream
        .publish("S", "one".into())
        .await
        .expect("the server takes a message");
    ack.await.expect("the stream stores it");
    nats
}

#[tokio::test]
async fn a_killed_server_comes_back_at_its_address_with_what_it_stored() {
    let mut nats = server_with_one_message().await;
    let url = nats.url();
    let client = nats.client().await;
    nats.kill();
    nats.restart().await;
    assert_eq!(nats.url(), url);
    assert_eq!(stored(&nats).await, Some(1));
    eventually(BOUND, || async { client.flush().await.is_ok() }).await;
}

#[tokio::test]
async fn a_wiped_server_remembers_no_stream() {
    let mut nats = server_with_one_message().await;
    nats.kill();
    nats.wipe();
    nats.restart().await;
    assert_eq!(stored(&nats).await, None);
}

#[tokio::test]
#[should_panic(expected = "killed before")]
async fn a_running_server_cant_be_wiped() {
    NatsServer::start().await.wipe();
}
