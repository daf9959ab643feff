//! What a transport that calls promises.

use std::time::Duration;

use async_trait::async_trait;
use duet_protocol::event::{Event, RollingHash};
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::Sequence;
use futures::StreamExt;
use futures::future::join_all;

use super::events::batch;
use super::{DECIDED, Events, PATIENCE};
use crate::transport::{Call, CallError, Delivered, Urgency};

/// A receiver to be tested: a real one, in a process of its own, running and empty at first.
///
/// It keeps the events that it applies and decides [`DECIDED`] about each, also when a second copy comes, except those of the type
/// [`FAILS`](super::FAILS), which it can't apply.
#[async_trait]
pub trait CallSubject: Send + Sync {
    /// Calls it.
    type Call: Call;

    /// The calling half.
    async fn call(&self) -> Self::Call;
    /// The events that it applied, in any order; it may be down.
    async fn applied(&self) -> Vec<Event>;
    /// SIGKILL.
    async fn kill(&mut self);
    /// Starts it over its storage as it is, and waits until it answers.
    async fn restart(&mut self);
    /// Empties its storage, while it is down.
    async fn wipe(&mut self);
}

async fn inline(call: &impl Call, events: &[Event]) -> Result<Delivered, CallError> {
    call.deliver(&batch(events, Urgency::Inline), PATIENCE)
        .await
}

async fn applied(call: &impl Call, events: &[Event]) -> Delivered {
    let delivered = inline(call, events).await.unwrap();
    let expected: Vec<_> = events.iter().map(kept).collect();
    assert_eq!(delivered.outcomes, expected);
    delivered
}

/// What comes of an event that is kept: about `opened` nothing is decided.
fn kept(event: &Event) -> Outcome {
    Outcome::Applied(event.data().map(|_| DECIDED))
}

/// Of events in order from the first.
fn hash(events: &[Event]) -> RollingHash {
    events
        .iter()
        .fold(RollingHash::default(), |sum, event| sum + event.hash())
}

/// The receipt is durable, and agrees with the sender's own sum.
pub async fn each_event_has_its_outcome_and_the_source_its_receipt(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = vec![events.opened(), events.one(), events.one()];
    let delivered = applied(&call, &all).await;
    let [receipt] = &delivered.receipts[..] else {
        panic!("{:?}", delivered.receipts)
    };
    assert_eq!(
        (receipt.source, receipt.watermark),
        (events.source(), Sequence(3))
    );
    assert_eq!(receipt.hash, hash(&all));

    let _gap = events.one();
    let above = events.one();
    let delivered = applied(&call, &[above]).await;
    assert_eq!(
        (
            delivered.receipts[0].watermark,
            &delivered.receipts[0].runs[..]
        ),
        (Sequence(3), &[5..=5][..])
    );
}

/// To the last byte of its data.
pub async fn an_event_arrives_as_it_was(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = vec![events.opened(), events.one(), events.one()];
    applied(&call, &all).await;
    assert_eq!(sorted(receiver.applied().await), all[1..]);
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(Event::id);
    events
}

/// In either urgency, and the receipt stays what it was.
pub async fn a_second_copy_is_answered_as_the_first(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = vec![events.opened(), events.one()];
    let first = applied(&call, &all).await;
    let second = applied(&call, &all).await;
    assert_eq!(second.receipts, first.receipts);
    let background = call
        .deliver(&batch(&all, Urgency::Background), PATIENCE)
        .await
        .unwrap();
    assert_eq!(background.outcomes, first.outcomes);
}

/// By events.
pub async fn a_full_request_is_taken_whole(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = events.several(call.limits().events);
    applied(&call, &all).await;
    assert_eq!(receiver.applied().await.len(), all.len());
}

/// 100 KB each, as many as a request takes.
pub async fn a_large_event_is_taken(receiver: impl CallSubject) {
    const LARGE: usize = 100 * 1024;
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let fit = call.limits().bytes / (LARGE + 1024);
    let all: Vec<Event> = (0..fit.max(1)).map(|_| events.sized(LARGE)).collect();
    applied(&call, &all).await;
    assert!(
        sorted(receiver.applied().await) == all,
        "what arrived is not what was sent"
    );
}

/// By bytes, and by events.
pub async fn more_than_the_limits_is_refused_and_changes_nothing(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let limits = call.limits();
    let too_large = vec![events.sized(2 * limits.bytes)];
    let too_many = events.several(limits.events + 1);
    for refused in [too_large, too_many] {
        let answer = inline(&call, &refused).await;
        assert!(
            matches!(answer, Err(CallError::NotApplied(_))),
            "{answer:?}"
        );
    }
    assert_eq!(receiver.applied().await, []);
}

/// As many as may be.
pub async fn many_are_under_way_at_once(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = events.several(2 * call.limits().in_flight);
    for chunk in all.chunks(call.limits().in_flight) {
        join_all(
            chunk
                .iter()
                .map(|event| applied(&call, std::slice::from_ref(event))),
        )
        .await;
    }
    assert_eq!(sorted(receiver.applied().await), all);
}

/// Whether the answer still comes or not.
pub async fn what_nobody_waits_for_any_more_is_not_applied(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    for within in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_millis(2),
    ] {
        let late = events.several(2);
        match call.deliver(&batch(&late, Urgency::Inline), within).await {
            Ok(delivered) => assert_eq!(delivered.outcomes, [Outcome::Late, Outcome::Late]),
            Err(CallError::Unknown(_) | CallError::NotApplied(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let last = vec![events.one()];
    applied(&call, &last).await;
    assert_eq!(receiver.applied().await, last);
}

/// Parked is held, failed is not.
pub async fn a_failure_is_the_callers_inline_and_parked_in_the_background(
    receiver: impl CallSubject,
) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = vec![events.opened(), events.failing(), events.one()];
    let delivered = inline(&call, &all).await.unwrap();
    match &delivered.outcomes[..] {
        [
            Outcome::Applied(None),
            Outcome::Failed(failure),
            Outcome::Applied(Some(DECIDED)),
        ] => {
            assert!(!failure.cause.is_empty())
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(delivered.receipts[0].watermark, Sequence(1));
    let delivered = call
        .deliver(&batch(&all, Urgency::Background), PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        delivered.outcomes,
        [
            Outcome::Applied(None),
            Outcome::Parked,
            Outcome::Applied(Some(DECIDED))
        ]
    );
    assert_eq!(
        (delivered.receipts[0].watermark, delivered.receipts[0].hash),
        (Sequence(3), hash(&all))
    );
}

/// Of the store that asks, and nothing to a stranger.
pub async fn hello_tells_what_is_held(receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let stranger = Events::of(2);
    let all = vec![events.opened(), events.one()];
    let delivered = applied(&call, &all).await;
    let answer = call.hello(events.store(), PATIENCE).await.unwrap();
    assert_eq!(answer.receipts, delivered.receipts);
    assert_eq!(
        (&answer.receiver, answer.incarnation),
        (&answer.receipts[0].receiver, answer.receipts[0].incarnation)
    );
    let answer = call.hello(stranger.store(), PATIENCE).await.unwrap();
    assert_eq!(answer.receipts, []);
}

/// And the call says so; it is tried with a connection that was in use, too.
pub async fn a_receiver_that_is_down_has_applied_nothing(mut receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let before = vec![events.one()];
    applied(&call, &before).await;
    receiver.kill().await;
    let during = events.several(2);
    let mut refused = 0;
    while refused < 3 {
        match inline(&call, &during).await {
            Err(CallError::NotApplied(_)) => refused += 1,
            // The connection that was in use may have to end first.
            Err(CallError::Unknown(_)) if refused == 0 => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        call.hello(events.store(), PATIENCE).await,
        Err(CallError::NotApplied(_))
    ));
    receiver.restart().await;
    assert_eq!(receiver.applied().await, before);
    applied(&call, &during).await;
}

/// Whatever the answers were; and what it did not say can be sent again.
pub async fn a_receiver_killed_in_the_middle_holds_what_it_said(mut receiver: impl CallSubject) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all: Vec<Vec<Event>> = (0..400).map(|_| events.several(2)).collect();
    let answers = tokio::sync::Mutex::new(Vec::new());
    let (first, then) = tokio::sync::oneshot::channel();
    let first = std::sync::Mutex::new(Some(first));
    let calling = futures::stream::iter(&all).map(|batch| async {
        let answer = inline(&call, batch).await;
        if let Some(first) = first.lock().unwrap().take() {
            let _ = first.send(());
        }
        answers.lock().await.push((batch.clone(), answer));
    });
    let calling = calling
        .buffer_unordered(call.limits().in_flight)
        .for_each(|()| async {});
    let killing = async {
        then.await.unwrap();
        receiver.kill().await;
    };
    tokio::join!(calling, killing);
    let answers = answers.into_inner();
    let said: Vec<&Event> = answers
        .iter()
        .filter(|(_, answer)| answer.is_ok())
        .flat_map(|(batch, _)| batch)
        .collect();
    assert!(
        !said.is_empty() && said.len() < 2 * all.len(),
        "it was not killed in the middle: {} answers",
        said.len()
    );

    let held = receiver.applied().await;
    assert!(
        said.iter().all(|event| held.contains(event)),
        "what it said is not there"
    );
    for (batch, answer) in &answers {
        if matches!(
            answer,
            Err(CallError::NotApplied(_) | CallError::Overloaded { .. })
        ) {
            assert!(
                !batch.iter().any(|event| held.contains(event)),
                "what it did not apply is there"
            );
        }
    }
    receiver.restart().await;
    for batch in &all {
        applied(&call, batch).await;
    }
    assert_eq!(sorted(receiver.applied().await), all.concat());
}

/// Under a newer incarnation, so that what its older one said is void.
pub async fn a_receiver_whose_storage_is_wiped_holds_nothing_and_speaks_anew(
    mut receiver: impl CallSubject,
) {
    let call = receiver.call().await;
    let mut events = Events::of(1);
    let all = vec![events.opened(), events.one()];
    let before = applied(&call, &all).await;
    receiver.kill().await;
    receiver.wipe().await;
    receiver.restart().await;
    let answer = call.hello(events.store(), PATIENCE).await.unwrap();
    assert_eq!(answer.receipts, []);
    assert!(answer.incarnation > before.receipts[0].incarnation);
    let after = applied(&call, &all).await;
    assert_eq!(after.receipts[0].hash, before.receipts[0].hash);
}
