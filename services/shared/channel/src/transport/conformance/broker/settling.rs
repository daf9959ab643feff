//! What is settled is done with; what isn't comes again.

use super::*;

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
