//! What the broker takes by itself: messages of one event's size, each stored and acknowledged.

use crate::failure::{Doing, Failure};
use async_nats::jetstream::{self, stream};
use futures::StreamExt;
use std::time::{Duration, Instant};

/// Messages whose acknowledgement is awaited at a time.
const UNDER_WAY: usize = 256;
const STREAM: &str = "DUET-BENCH";
const SUBJECT: &str = "duet.bench";
/// About what one event's message has.
const PAYLOAD: &[u8] = &[b'd'; 512];

/// Messages a second, into a stream of its own in a file.
pub(super) async fn rate(server: &str, lasts: Duration) -> Result<f64, Failure> {
    let doing = || format!("publish to {server}");
    let client = async_nats::connect(server).await.doing(doing)?;
    let jetstream = jetstream::new(client);
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        max_bytes: 256 << 20,
        discard: stream::DiscardPolicy::Old,
        ..stream::Config::default()
    };
    jetstream.create_stream(config).await.doing(doing)?;
    let started = Instant::now();
    let publish = async |_| jetstream.publish(SUBJECT, PAYLOAD.into()).await?.await;
    let published = futures::stream::iter(0u64..)
        .take_while(|_| std::future::ready(started.elapsed() < lasts))
        .map(publish)
        .buffer_unordered(UNDER_WAY);
    tokio::pin!(published);
    let mut stored = 0u64;
    while let Some(answer) = published.next().await {
        answer.doing(doing)?;
        stored += 1;
    }
    let rate = stored as f64 / started.elapsed().as_secs_f64();
    jetstream.delete_stream(STREAM).await.doing(doing)?;
    Ok(rate)
}
