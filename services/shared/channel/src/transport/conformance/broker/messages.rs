//! Messages arrive as they were sent, within the limits.

use futures::future::join_all;

use super::*;

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
            matches!(answer, Err(PublishError::TooLarge(_))),
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
