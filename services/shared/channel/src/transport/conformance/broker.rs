//! What a transport with a broker promises.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use duet_protocol::event::{Event, RollingHash};
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::{Backlog, BrokerPlace, HelloId};
use duet_protocol::sequence::{Epoch, Sequence, Source};
use futures::StreamExt;
use futures::future::join_all;

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

/// One event, whatever is in it.
pub async fn an_event_arrives_as_it_was(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    for event in [events.opened(), events.one()] {
        sent(&both.publish, &mut events, std::slice::from_ref(&event)).await;
        assert_eq!(taken(&mut both.consume, 1).await, [event]);
    }
}

/// As many events as one message takes.
pub async fn a_batch_arrives_whole_and_in_order(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let batch = events.several(both.publish.limits().events);
    sent(&both.publish, &mut events, &batch).await;
    let consumed = messages(&mut both.consume).await;
    assert_eq!(consumed.events, batch);
}

/// 100 KB each, as many as one message takes; then more of them than are asked for at once.
pub async fn large_events_arrive(broker: impl BrokerSubject) {
    const LARGE: usize = 100 * 1024;
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let fit = both.publish.limits().bytes / (LARGE + 1024);
    assert!(fit >= 1);
    let mut all = Vec::new();
    for _ in 0..8 {
        let batch: Vec<Event> = (0..fit).map(|_| events.sized(LARGE)).collect();
        sent(&both.publish, &mut events, &batch).await;
        all.extend(batch);
    }
    let alone = events.sized(both.publish.limits().bytes - 1024);
    sent(&both.publish, &mut events, std::slice::from_ref(&alone)).await;
    all.push(alone);
    assert!(
        taken(&mut both.consume, all.len()).await == all,
        "what arrived is not what was sent"
    );
}

/// By bytes, and by events.
pub async fn more_than_the_limits_is_refused_and_never_arrives(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let limits = both.publish.limits();
    let too_large = vec![events.sized(2 * limits.bytes)];
    let too_many = events.several(limits.events + 1);
    for refused in [too_large, too_many] {
        let id = events.message(&refused);
        let answer = both
            .publish
            .publish(id, &batch(&refused, Urgency::Background))
            .await;
        assert!(
            matches!(answer, Err(PublishError::NotStored(_))),
            "{answer:?}"
        );
    }
    let event = events.one();
    sent(&both.publish, &mut events, std::slice::from_ref(&event)).await;
    assert_eq!(taken(&mut both.consume, 1).await, [event]);
}

/// Four times what may be, as a sender would: never more than may be at once.
pub async fn many_are_under_way_at_once(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let in_flight = both.publish.limits().in_flight;
    let all = events.several(4 * in_flight);
    let mut places = Vec::new();
    for chunk in all.chunks(in_flight) {
        let ids: Vec<_> = chunk
            .iter()
            .map(|event| events.message(std::slice::from_ref(event)))
            .collect();
        let batches: Vec<_> = chunk
            .iter()
            .map(|event| batch(std::slice::from_ref(event), Urgency::Background))
            .collect();
        let publishes = ids
            .iter()
            .zip(&batches)
            .map(|(id, batch)| both.publish.publish(*id, batch));
        places.extend(
            join_all(publishes)
                .await
                .into_iter()
                .map(|stored| stored.unwrap()),
        );
    }
    let known: Vec<BrokerPlace> = places.iter().copied().flatten().collect();
    assert!(
        known.is_sorted_by(|a, b| a < b),
        "places grow with the order of sending: {known:?}"
    );
    assert_eq!(taken(&mut both.consume, all.len()).await, all);
}

/// While messages come, and while none do.
pub async fn cancelling_next_loses_nothing(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let all = events.several(300);
    let mut arrived = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut unsent = all.chunks(3);
    while arrived.len() < all.len() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {} came",
            arrived.len(),
            all.len()
        );
        if let Some(chunk) = unsent.next() {
            sent(&both.publish, &mut events, chunk).await;
        }
        if let Ok(next) =
            tokio::time::timeout(Duration::from_micros(200), both.consume.next()).await
            && let Incoming::Messages(consumed) = next.unwrap()
        {
            both.consume.settle(&consumed.position).await.unwrap();
            arrived.extend(consumed.events);
        }
    }
    assert_eq!(arrived, all);
}

/// After the broker's patience: the consumer that took it may be gone.
pub async fn what_is_not_settled_comes_again<B: BrokerSubject>(broker: B) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let event = events.one();
    sent(&both.publish, &mut events, std::slice::from_ref(&event)).await;
    let first = messages(&mut both.consume).await.events;
    assert_eq!(first, std::slice::from_ref(&event));
    drop(both.consume);

    let mut another = both.broker.consume().await;
    started(&mut another, None).await;
    assert_eq!(taken(&mut another, 1).await, [event]);
    nothing_comes(&mut another, 2 * B::ACK_WAIT).await;
}

/// Settled is what was taken up to there, and no more.
pub async fn settling_up_to_a_position_leaves_what_came_later<B: BrokerSubject>(broker: B) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let (early, late) = (events.several(3), events.several(2));
    for event in &early {
        sent(&both.publish, &mut events, std::slice::from_ref(event)).await;
    }
    let mut arrived = Vec::new();
    let mut position = None;
    while arrived.len() < early.len() {
        let consumed = messages(&mut both.consume).await;
        arrived.extend(consumed.events);
        position = Some(consumed.position);
    }
    assert_eq!(arrived, early);
    sent(&both.publish, &mut events, &late).await;
    assert_eq!(messages(&mut both.consume).await.events, late);
    both.consume
        .settle(position.as_ref().unwrap())
        .await
        .unwrap();
    both.consume.release().await;
    drop(both.consume);

    let mut another = both.broker.consume().await;
    started(&mut another, position).await;
    assert_eq!(taken(&mut another, late.len()).await, late);
    nothing_comes(&mut another, 2 * B::ACK_WAIT).await;
}

/// At once, to whoever takes next, the same consumer too.
pub async fn what_is_released_comes_again<B: BrokerSubject>(broker: B) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let all = events.several(3);
    for event in &all {
        sent(&both.publish, &mut events, std::slice::from_ref(event)).await;
    }
    messages(&mut both.consume).await;
    both.consume.release().await;
    assert_eq!(taken(&mut both.consume, all.len()).await, all);
}

fn receipt(source: Source, watermark: u64) -> Receipt {
    Receipt {
        source,
        lowest_open: source.epoch,
        receiver: ReceiverName::new("notification").unwrap(),
        incarnation: Epoch(9),
        watermark: Sequence(watermark),
        hash: RollingHash(watermark),
        runs: vec![watermark + 2..=watermark + 3],
    }
}

/// Receipts, where the transport carries them.
pub async fn what_a_receiver_tells_reaches_its_store_alone(broker: impl BrokerSubject) {
    let both = both(broker).await;
    if both.publish.features().receipts != ReceiptsBy::Itself {
        return;
    }
    let (mine, others) = (Events::of(1), Events::of(2));
    let mut heard = both.publish.feedback(mine.store()).await;
    let wanted = Feedback::Receipts(vec![receipt(mine.source(), 5), receipt(mine.source(), 7)]);
    let answer = Feedback::Hello(
        HelloId(4),
        HelloAnswer {
            receiver: ReceiverName::new("notification").unwrap(),
            incarnation: Epoch(9),
            receipts: vec![receipt(mine.source(), 5)],
        },
    );
    both.consume
        .tell(
            others.store(),
            &Feedback::Receipts(vec![receipt(others.source(), 1)]),
        )
        .await
        .unwrap();
    both.consume.tell(mine.store(), &wanted).await.unwrap();
    both.consume.tell(mine.store(), &answer).await.unwrap();
    for expected in [wanted, answer] {
        let heard = loop {
            let heard = tokio::time::timeout(PATIENCE, heard.next())
                .await
                .expect("it is heard")
                .unwrap();
            if heard != Feedback::Connected {
                break heard;
            }
        };
        assert_eq!(heard, expected);
    }
    drop(both.publish);
    let end = tokio::time::timeout(PATIENCE, heard.next())
        .await
        .expect("it ends with the transport");
    assert_eq!(end, None);
}

/// And says which store asks.
pub async fn hello_reaches_the_receiver(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    if both.publish.features().receipts != ReceiptsBy::Itself {
        return;
    }
    let store = Events::of(0xfeed).store();
    both.publish.hello(HelloId(12), store).await.unwrap();
    match incoming(&mut both.consume).await {
        Incoming::Hello(id, asking) => assert_eq!((id, asking), (HelloId(12), store)),
        other => panic!("{other:?}"),
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
        Backlog::Unknown => panic!("the broker does not say"),
    }
}

/// Where it can say so exactly, in the places that it gives.
pub async fn the_backlog_tells_what_is_outstanding(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    if both.publish.features().backlog != BacklogKnown::Exact {
        return;
    }
    let (_, before, _, _) = known(both.publish.backlog().await);
    let all = events.several(3);
    let mut places = Vec::new();
    for event in &all {
        places.push(
            sent(&both.publish, &mut events, std::slice::from_ref(event))
                .await
                .unwrap(),
        );
    }
    let (created, last, ack_floor, outstanding) = known(both.publish.backlog().await);
    assert_eq!((last, outstanding), (places[2], 3));
    assert!(created > 0 && ack_floor <= before && before < places[0]);
    assert_eq!(taken(&mut both.consume, all.len()).await, all);
    eventually(|| async {
        known(both.publish.backlog().await) == (created, places[2], places[2], 0)
    })
    .await;
    assert_eq!(
        known(both.consume.backlog().await),
        (created, places[2], places[2], 0)
    );
}

/// And so stays in the outbox; the broker, too, may be there only later.
pub async fn what_is_published_before_provisioning_is_not_stored(broker: impl BrokerSubject) {
    let publish = broker.publish().await;
    let mut events = Events::of(1);
    let event = events.one();
    eventually(|| {
        let id = events.message(std::slice::from_ref(&event));
        let event = batch(std::slice::from_ref(&event), Urgency::Background);
        let publish = &publish;
        async move {
            match publish.publish(id, &event).await {
                Err(PublishError::NotStored(cause)) => !cause.contains("connected"),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert_eq!(publish.backlog().await, Backlog::Unknown);
    broker.provision().await;
    let mut consume = broker.consume().await;
    started(&mut consume, None).await;
    sent(&publish, &mut events, std::slice::from_ref(&event)).await;
    assert_eq!(taken(&mut consume, 1).await, [event]);
}

/// Nothing is left to be done.
pub async fn provisioning_again_changes_nothing(broker: impl BrokerSubject) {
    assert!(broker.provision().await > 0);
    assert_eq!(broker.provision().await, 0);
}

/// What it said is stored arrives; what it did not say may; and both halves go on by themselves, or after another start.
pub async fn a_killed_broker_keeps_what_it_stored(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let mut heard = both.publish.feedback(events.store()).await;
    let before = events.several(50);
    for event in &before {
        sent(&both.publish, &mut events, std::slice::from_ref(event)).await;
    }
    both.broker.kill().await;
    let during = events.one();
    let id = events.message(std::slice::from_ref(&during));
    let answer = tokio::time::timeout(
        PATIENCE,
        both.publish.publish(
            id,
            &batch(std::slice::from_ref(&during), Urgency::Background),
        ),
    )
    .await;
    assert!(matches!(
        answer.expect("it is bounded"),
        Err(PublishError::NotStored(_) | PublishError::Unknown(_))
    ));
    assert_eq!(both.publish.backlog().await, Backlog::Unknown);
    both.broker.restart().await;

    let connected = async {
        while heard.next().await.expect("the transport is there") != Feedback::Connected {}
    };
    tokio::time::timeout(PATIENCE, connected)
        .await
        .expect("a new connection is told of");
    both.broker.provision().await;
    eventually(|| async {
        both.publish
            .publish(
                id,
                &batch(std::slice::from_ref(&during), Urgency::Background),
            )
            .await
            .is_ok()
    })
    .await;
    let mut arrived: Vec<Event> = Vec::new();
    let all: Vec<Event> = before.into_iter().chain([during]).collect();
    let every = async {
        while !all.iter().all(|event| arrived.contains(event)) {
            match both.consume.next().await {
                Ok(Incoming::Messages(consumed)) => {
                    arrived.extend(consumed.events);
                    both.consume.settle(&consumed.position).await.unwrap();
                }
                Ok(Incoming::Hello(..)) => {}
                Err(_) => started(&mut both.consume, None).await,
            }
        }
    };
    tokio::time::timeout(2 * PATIENCE, every)
        .await
        .expect("all of it arrives");
}

/// Its backlog says so, its consumer has to be started anew, and what comes then arrives.
pub async fn a_wiped_broker_is_seen_to_be_another(broker: impl BrokerSubject) {
    let mut both = both(broker).await;
    let mut events = Events::of(1);
    let lost = events.several(3);
    sent(&both.publish, &mut events, &lost).await;
    let before = both.publish.backlog().await;
    let position = messages(&mut both.consume).await.position;
    both.broker.kill().await;
    both.broker.wipe().await;
    both.broker.restart().await;

    let error = async {
        loop {
            match both.consume.next().await {
                Ok(Incoming::Messages(consumed)) => {
                    panic!("from a stream that is gone: {consumed:?}")
                }
                Ok(Incoming::Hello(..)) => {}
                Err(error) => return error,
            }
        }
    };
    tokio::time::timeout(PATIENCE, error)
        .await
        .expect("the consumer says that its stream is gone");
    both.broker.provision().await;
    started(&mut both.consume, Some(position)).await;
    eventually(|| stored_somewhere(&both.publish)).await;
    if both.publish.features().backlog == BacklogKnown::Exact {
        assert_ne!(known(both.publish.backlog().await).0, known(before).0);
    }
    drain(&mut both.consume).await;
    sent(&both.publish, &mut events, &lost).await;
    assert_eq!(taken(&mut both.consume, lost.len()).await, lost);
}
