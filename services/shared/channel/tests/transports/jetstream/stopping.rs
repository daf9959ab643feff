//! A consumer that stops gives back what it has, and what is on its way to it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duet_channel::transport::conformance::Events;
use duet_channel::transport::{Consume, Publish};

use super::broker::{Broker, batch, consumed};
use super::conformance::settings;

/// Consumers that stop while messages come.
const STOPS: usize = 30;
/// What is not given back comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_to_a_consumer_that_stops_comes_to_the_next_at_once() {
    let mut slow = settings();
    slow.consumer.ack_wait = ACK_WAIT;
    let broker = Broker::start(slow).await;
    let stop = AtomicBool::new(false);
    let publishing = async {
        let publish = broker.publish();
        let mut events = Events::of(1);
        let mut published = BTreeSet::new();
        while !stop.load(Ordering::Relaxed) {
            let event = events.one();
            let id = events.message(std::slice::from_ref(&event));
            publish.publish(id, &batch(&event)).await.unwrap();
            published.insert(event.sequence);
        }
        published
    };
    let received = RefCell::new(BTreeSet::new());
    let take = async |consume: &mut _| {
        let taken = consumed(consume).await;
        received
            .borrow_mut()
            .extend(taken.events.iter().map(|event| event.sequence));
        taken.position
    };
    let stopping = async {
        for _ in 0..STOPS {
            let mut consume = broker.consume().await;
            for _ in 0..3 {
                let position = take(&mut consume).await;
                consume.settle(&position).await.unwrap();
            }
            consume.release().await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (published, ()) = tokio::join!(publishing, stopping);

    let mut consume = broker.consume().await;
    let long_before = tokio::time::Instant::now() + ACK_WAIT / 20;
    let missing = || {
        published
            .difference(&received.borrow())
            .copied()
            .collect::<Vec<_>>()
    };
    while !missing().is_empty() {
        let taken = tokio::time::timeout_at(long_before, take(&mut consume)).await;
        let Ok(position) = taken else {
            panic!("{:?} of {} are missing", missing(), published.len());
        };
        consume.settle(&position).await.unwrap();
    }
}
