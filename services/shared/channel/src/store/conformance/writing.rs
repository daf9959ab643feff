//! Jobs, their groups, and what is durable.

use std::collections::BTreeSet;

use duet_protocol::sequence::Sequence;

use super::{Gate, Opening, Subject, Waiting, append, handed_over, lane, submit};
use crate::store::{Store, StoreError, Transaction};

/// A job that appends an event and writes a row of the service's own.
fn accept<S: Subject>(store: &S::Store, row: u32) -> Waiting<'_, Sequence> {
    Box::pin(store.write(move |tx: &mut <S::Store as Store>::Tx<'_>| {
        S::put(tx.connection(), row)?;
        Ok(append(tx, &format!("post/{row}"))?.sequence)
    }))
}

/// Every event is handed over once, in the order of its sequence, and is in the outbox as it was handed over.
pub async fn events_are_handed_over_in_order_and_once<S: Subject>(subject: S) {
    let (store, mut commits) = subject.open(Opening::default()).await;
    let writes = (0..200).map(|row| accept::<S>(&store, row));
    let numbered = futures::future::try_join_all(writes).await.unwrap();
    let commits = handed_over(&mut commits);
    let events: Vec<_> = commits.iter().flatten().collect();
    let sequences: Vec<_> = events.iter().map(|each| each.event.sequence.0).collect();
    assert_eq!(sequences, (1..=201).collect::<Vec<u64>>());
    let numbered: BTreeSet<_> = numbered.into_iter().collect();
    assert_eq!(numbered, (2..=201).map(Sequence).collect());
    let source = events[0].event.source;
    let stored = store.events(source, Sequence::ZERO, 1000).await.unwrap();
    assert!(stored.iter().eq(events.iter().map(|each| &*each.event)));
    store.close().await;
}

/// What waits while the writer is busy is committed together.
pub async fn jobs_that_wait_share_commits<S: Subject>(subject: S) {
    let (store, mut commits) = subject.open(Opening::default()).await;
    handed_over(&mut commits);
    let gate = Gate::close(&store).await;
    let mut writes: Vec<_> = (0..100).map(|row| accept::<S>(&store, row)).collect();
    for write in &mut writes {
        submit(write).await;
    }
    gate.open().await;
    futures::future::try_join_all(writes).await.unwrap();
    assert_eq!(handed_over(&mut commits).len(), 1);
    store.close().await;
}

/// A job that fails or panics is rolled back alone, whatever it had written; the others are numbered without a gap.
pub async fn a_job_that_fails_harms_no_other_of_its_group<S: Subject>(subject: S) {
    let (store, mut commits) = subject.open(Opening::default()).await;
    handed_over(&mut commits);
    let gate = Gate::close(&store).await;
    let mut writes: Vec<Waiting<'_, ()>> = Vec::new();
    for row in 0..40 {
        let job = move |tx: &mut <S::Store as Store>::Tx<'_>| {
            S::put(tx.connection(), row)?;
            append(tx, "post/user")?;
            match row % 8 {
                3 => Err(StoreError::NotCommitted("no".into())),
                5 => panic!("a job of the suite's panics"),
                _ => Ok(()),
            }
        };
        let mut write: Waiting<'_, ()> = Box::pin(store.write(job));
        submit(&mut write).await;
        writes.push(write);
    }
    gate.open().await;
    let outcomes = futures::future::join_all(writes).await;
    for (row, outcome) in outcomes.iter().enumerate() {
        let fails = [3, 5].contains(&(row % 8));
        let as_it_should = match outcome {
            Ok(()) => !fails,
            Err(error) => fails && matches!(error, StoreError::NotCommitted(_)),
        };
        assert!(as_it_should, "{row}: {outcome:?}");
    }
    let kept: Vec<u32> = (0..40).filter(|row| ![3, 5].contains(&(row % 8))).collect();
    assert_eq!(store.read(S::rows).await.unwrap(), kept);
    let commits = handed_over(&mut commits);
    let sequences = commits.iter().flatten().map(|each| each.event.sequence.0);
    assert!(sequences.eq(2..2 + kept.len() as u64));
    assert_eq!(accept::<S>(&store, 99).await.unwrap(), Sequence(32));
    store.close().await;
}

/// After reopening, everything that was answered is there.
pub async fn what_is_answered_survives_reopening<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let writes = (0..50).map(|row| accept::<S>(&store, row));
    futures::future::try_join_all(writes).await.unwrap();
    let source = store.outbox().await.unwrap().sources[0].0;
    store.close().await;
    let (store, _commits) = subject.open(Opening::default()).await;
    assert!(store.read(S::rows).await.unwrap().into_iter().eq(0..50));
    let events = store.events(source, Sequence(1), 1000).await.unwrap();
    assert!(events.iter().map(|event| event.sequence.0).eq(2..=51));
    store.close().await;
}

/// A read does not wait for the writer, and sees nothing of what it has not committed.
pub async fn readers_see_only_what_is_committed<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    accept::<S>(&store, 1).await.unwrap();
    let gate = Gate::close_with(&store, |tx| S::put(tx.connection(), 2)).await;
    assert_eq!(store.read(S::rows).await.unwrap(), [1]);
    gate.open().await;
    assert_eq!(store.read(S::rows).await.unwrap(), [1, 2]);
    store.close().await;
}

/// A job that was submitted is done, whether or not its caller waits.
pub async fn a_job_whose_caller_has_left_is_still_done<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let gate = Gate::close(&store).await;
    let mut write = accept::<S>(&store, 1);
    submit(&mut write).await;
    drop(write);
    gate.open().await;
    accept::<S>(&store, 2).await.unwrap();
    assert_eq!(store.read(S::rows).await.unwrap(), [1, 2]);
    store.close().await;
}

/// A full queue answers at once, and what it turned away is not done.
pub async fn a_job_too_many_is_told_so<S: Subject>(subject: S) {
    let few = Opening {
        jobs_waiting: 4,
        ..Opening::default()
    };
    let (store, _commits) = subject.open(few).await;
    let gate = Gate::close(&store).await;
    let mut writes: Vec<_> = (0..4).map(|row| accept::<S>(&store, row)).collect();
    for write in &mut writes {
        submit(write).await;
    }
    let refused = accept::<S>(&store, 99).await;
    assert!(matches!(refused, Err(StoreError::Overloaded)));
    gate.open().await;
    futures::future::try_join_all(writes).await.unwrap();
    assert_eq!(store.read(S::rows).await.unwrap(), [0, 1, 2, 3]);
    store.close().await;
}

/// Closing does what was submitted before it, and refuses what comes after.
pub async fn closing_finishes_what_waits<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let before = lane(&store);
    let gate = Gate::close(&store).await;
    let mut writes: Vec<_> = (0..10).map(|row| accept::<S>(&store, row)).collect();
    for write in &mut writes {
        submit(write).await;
    }
    tokio::join!(store.close(), store.close(), gate.open());
    futures::future::try_join_all(writes).await.unwrap();
    let late = accept::<S>(&store, 99).await;
    assert!(matches!(late, Err(StoreError::Closed)));
    assert!(matches!(store.read(S::rows).await, Err(StoreError::Closed)));
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(lane(&store), before);
    assert!(store.read(S::rows).await.unwrap().into_iter().eq(0..10));
    store.close().await;
}
