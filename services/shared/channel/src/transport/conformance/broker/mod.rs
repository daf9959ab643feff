//! What a transport with a broker promises.

mod faults;
mod messages;
mod settling;
mod telling;

pub use faults::*;
pub use messages::*;
pub use settling::*;
pub use telling::*;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use duet_protocol::event::Event;
use duet_protocol::sender::{Backlog, BrokerPlace};

use super::events::batch;
use super::{Events, PATIENCE};
use crate::transport::{
    BacklogKnown, Consume, Consumed, Feedback, Incoming, Position, Publish, PublishError,
    ReceiptsBy, Urgency,
};

/// A broker to be tested: the real one, in a process of its own, running and empty at first.
#[async_trait]
pub trait BrokerSubject: Send + Sync {
    /// Publishes.
    type Publish: Publish;
    /// Consumes.
    type Consume: Consume;

    /// How long a message may be out before it is given out again. A test waits for it.
    const ACK_WAIT: Duration;

    /// Makes what the broker needs; how much was to be done.
    async fn provision(&self) -> usize;
    /// The sending half.
    async fn publish(&self) -> Self::Publish;
    /// The receiving half, not started; always the same receiver's.
    async fn consume(&self) -> Self::Consume;
    /// SIGKILL.
    async fn kill(&mut self);
    /// Starts it over its storage as it is.
    async fn restart(&mut self);
    /// Empties its storage, while it is down.
    async fn wipe(&mut self);
}

/// Both halves over a provisioned broker.
struct Both<B: BrokerSubject> {
    broker: B,
    publish: B::Publish,
    consume: B::Consume,
}

async fn both<B: BrokerSubject>(broker: B) -> Both<B> {
    broker.provision().await;
    let (publish, mut consume) = (broker.publish().await, broker.consume().await);
    eventually(|| stored_somewhere(&publish)).await;
    started(&mut consume, None).await;
    drain(&mut consume).await;
    Both {
        broker,
        publish,
        consume,
    }
}

/// Whether a message is stored: the connection is there.
async fn stored_somewhere(publish: &impl Publish) -> bool {
    let mut probe = Events::of(0xdead);
    let events = [probe.opened()];
    publish
        .publish(probe.message(&events), &batch(&events, Urgency::Background))
        .await
        .is_ok()
}

async fn eventually<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let all = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("the condition stays false");
}

async fn started(consume: &mut impl Consume, position: Option<Position>) {
    let all = async {
        while consume.start(position.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("the consumer starts");
}

/// Settles what is there.
async fn drain(consume: &mut impl Consume) {
    let consumed = messages(consume).await;
    consume.settle(&consumed.position).await.unwrap();
}

async fn sent(publish: &impl Publish, events: &mut Events, these: &[Event]) -> Option<BrokerPlace> {
    let id = events.message(these);
    publish
        .publish(id, &batch(these, Urgency::Background))
        .await
        .unwrap()
}

async fn incoming(consume: &mut impl Consume) -> Incoming {
    tokio::time::timeout(PATIENCE, consume.next())
        .await
        .expect("something comes")
        .unwrap()
}

async fn messages(consume: &mut impl Consume) -> Consumed {
    loop {
        if let Incoming::Messages(consumed) = incoming(consume).await {
            assert!(
                consumed.undecodable.is_empty(),
                "{:?}",
                consumed.undecodable
            );
            return consumed;
        }
    }
}

/// Takes and settles until `count` different events have come; each as often as it came, by sequence.
async fn taken(consume: &mut impl Consume, count: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    while events.len() < count {
        let consumed = messages(consume).await;
        for event in consumed.events {
            if !events.contains(&event) {
                events.push(event);
            }
        }
        consume.settle(&consumed.position).await.unwrap();
    }
    events.sort_by_key(|event| event.id());
    events
}

async fn nothing_comes(consume: &mut impl Consume, within: Duration) {
    if let Ok(incoming) = tokio::time::timeout(within, consume.next()).await {
        panic!("{incoming:?}");
    }
}

fn known(backlog: Backlog) -> (u64, BrokerPlace, BrokerPlace, u64) {
    match backlog {
        Backlog::Known {
            created,
            last,
            ack_floor,
            outstanding,
        } => (created, last, ack_floor, outstanding),
        Backlog::Unknown | Backlog::Away => panic!("the broker does not say"),
    }
}
