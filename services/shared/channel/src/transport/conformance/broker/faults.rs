//! What happens before there is a broker, while it is down, and after it has lost everything.

use futures::StreamExt;

use super::*;

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
    assert_eq!(both.publish.backlog().await, Backlog::Away);
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
