//! What receivers and brokers say to senders.

use duet_protocol::event::RollingHash;
use duet_protocol::ledger::Closed;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sender::HelloId;
use duet_protocol::sequence::{Epoch, Sequence, Source};
use futures::StreamExt;

use super::*;

fn receipt(source: Source, watermark: u64) -> Receipt {
    Receipt {
        source,
        lowest_open: source.epoch,
        receiver: ReceiverName::new("notification").unwrap(),
        incarnation: Epoch(9),
        watermark: Sequence(watermark),
        hash: RollingHash(watermark),
        runs: vec![watermark + 2..=watermark + 3],
        closed: Closed {
            since: source.epoch,
            hash: RollingHash(watermark + 1),
        },
        digest: None,
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
            highest: Epoch(8),
            others: vec![others.store()],
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
