//! Epochs, events, and what receivers said of them.

use duet_protocol::event::{Body, EventId, Key, RollingHash, Seal};
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::{EpochState, Mark, OutboxTables};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Epoch, Incarnation, Sequence, Source};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;

use super::{Opening, Subject, append, data, handed_over, lane};
use crate::store::{Oldest, ReceiverStanding, Store, StoreError};

type Tx<'t, S> = <<S as Subject>::Store as Store>::Tx<'t>;

/// Appends events, and says which source they are of.
async fn append_some<S: Subject>(store: &S::Store, count: u32) -> Source {
    let job = move |tx: &mut Tx<'_, S>| {
        let mut last = append(tx, "post/user")?;
        for _ in 1..count {
            last = append(tx, "post/user")?;
        }
        Ok(last.source)
    };
    store.write(job).await.unwrap()
}

async fn forget<S: Subject>(store: &S::Store, source: Source, up_to: u64) {
    let job = move |tx: &mut Tx<'_, S>| tx.forget(source, Sequence(up_to));
    store.write(job).await.unwrap();
}

async fn epoch<S: Subject>(store: &S::Store, source: Source) -> Option<EpochState> {
    let job = move |tx: &mut Tx<'_, S>| tx.epoch(source);
    store.write(job).await.unwrap()
}

fn receiver(name: &str) -> ReceiverName {
    ReceiverName::new(name).unwrap()
}

/// An opening makes a higher epoch, whose first event names the one before and its last sequence.
pub async fn reopening_seals_the_epoch_before<S: Subject>(subject: S) {
    let (store, mut commits) = subject.open(Opening::default()).await;
    let first = handed_over(&mut commits).remove(0).remove(0).event;
    assert_eq!(
        first.body,
        Body::Opened {
            previous: None,
            joined: Vec::new(),
        }
    );
    let source = append_some::<S>(&store, 4).await;
    let identity = store.identity();
    store.close().await;

    let (store, mut commits) = subject.open(Opening::default()).await;
    let second = handed_over(&mut commits).remove(0).remove(0).event;
    let seal = Seal {
        epoch: source.epoch,
        last: Sequence(5),
    };
    let previous = Some(seal);
    assert_eq!(
        second.body,
        Body::Opened {
            previous,
            joined: Vec::new()
        }
    );
    assert_eq!(second.sequence, Sequence::FIRST);
    assert!(second.source.epoch > source.epoch);
    assert_eq!(store.identity().store, identity.store);
    assert!(store.identity().incarnation > identity.incarnation);
    let stored = store
        .events(second.source, Sequence::ZERO, 9)
        .await
        .unwrap();
    assert_eq!(stored, [(*second).clone()]);
    let sources = store.outbox().await.unwrap().sources;
    let sources: Vec<_> = sources.iter().map(|(source, _)| *source).collect();
    assert_eq!(sources, [source, second.source]);
    store.close().await;
}

/// What an event says, when, in which trace and under which generation is read as it was written.
pub async fn an_event_survives_as_it_was<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let source = append_some::<S>(&store, 3).await;
    let name = EventId {
        source,
        sequence: Sequence(3),
    };
    let expected = data(name, Key::new("post/user").unwrap());
    let read = store.events(source, Sequence(2), 1).await.unwrap();
    assert_eq!(read, std::slice::from_ref(&expected));
    assert!(store.oldest().await.unwrap().is_some());
    forget::<S>(&store, source, 1).await;
    let oldest = Oldest {
        accepted: expected.time,
        generation: expected.generation,
    };
    assert_eq!(store.oldest().await.unwrap(), Some(oldest));
    forget::<S>(&store, source, 4).await;
    assert_eq!(store.oldest().await.unwrap(), None);
    let never = lane(&store).source(Epoch(1));
    assert_eq!(store.events(never, Sequence::ZERO, 9).await.unwrap(), []);
    store.close().await;
}

/// Forgotten events leave the sum of their hashes and their epoch's last sequence, also when nothing else is left.
pub async fn what_is_forgotten_leaves_its_hash_and_its_last<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let source = append_some::<S>(&store, 9).await;
    let events = store.events(source, Sequence::ZERO, 100).await.unwrap();
    let sum = |count: usize| {
        let hashes = events.iter().take(count).map(|event| event.hash());
        hashes.fold(RollingHash::default(), |sum, hash| sum + hash)
    };
    forget::<S>(&store, source, 4).await;
    forget::<S>(&store, source, 4).await; // again: nothing more
    let state = |forgotten: u64| {
        let hash = sum(forgotten as usize);
        Some(EpochState {
            last: Sequence(10),
            forgotten: Sequence(forgotten),
            hash,
            own: 1,
            ..EpochState::default()
        })
    };
    assert_eq!(epoch::<S>(&store, source).await, state(4));
    let between = move |tx: &mut Tx<'_, S>| tx.hash_between(source, Sequence(4), Sequence(7));
    assert_eq!(store.write(between).await.unwrap(), sum(7) - sum(4));
    let left = store.events(source, Sequence::ZERO, 100).await.unwrap();
    assert_eq!(left, events[4..]);
    forget::<S>(&store, source, 10).await;
    let unforgotten = |store: S::Store| async move {
        let lane = lane(&store);
        let job = move |tx: &mut Tx<'_, S>| tx.unforgotten(lane, Epoch(u64::MAX));
        store.write(job).await.unwrap()
    };
    assert_eq!(unforgotten(store.clone()).await, []);
    store.close().await;

    let (store, mut commits) = subject.open(Opening::default()).await;
    assert_eq!(epoch::<S>(&store, source).await, state(10));
    let opened = handed_over(&mut commits).remove(0).remove(0).event;
    let Body::Opened { previous, .. } = opened.body else {
        panic!("{opened:?} does not open its epoch");
    };
    assert_eq!(previous.map(|seal| seal.last), Some(Sequence(10)));
    assert_eq!(unforgotten(store.clone()).await, [opened.source.epoch]);
    store.close().await;
}

/// What is not its source's next event, or of a source that isn't the store's, is not put into the outbox.
pub async fn an_event_out_of_order_is_refused<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let source = append_some::<S>(&store, 1).await;
    let stranger = lane(&store).source(Epoch(1));
    for (source, sequence) in [(source, 2), (source, 4), (stranger, 1)] {
        let sequence = Sequence(sequence);
        let event = data(EventId { source, sequence }, Key::new("post/user").unwrap());
        let job = move |tx: &mut Tx<'_, S>| {
            tx.append(event.clone(), duet_protocol::accept::Dispatch::Background)
        };
        let refused = store.write(job).await;
        assert!(
            matches!(refused, Err(StoreError::NotCommitted(_))),
            "{refused:?}"
        );
    }
    assert_eq!(epoch::<S>(&store, stranger).await, None);
    store.close().await;
}

/// What one receiver said is not what another did; both survive.
pub async fn each_receiver_has_marks_of_its_own<S: Subject>(subject: S) {
    let two = Opening {
        receivers: &["notification", "trending"],
        ..Opening::default()
    };
    let (store, _commits) = subject.open(two).await;
    let source = append_some::<S>(&store, 19).await;
    let said = Mark {
        watermark: Sequence(3),
        runs: vec![5..=6, 9..=9, 12..=20],
    };
    let put = said.clone();
    let job = move |tx: &mut Tx<'_, S>| {
        tx.put_mark(&receiver("notification"), source, &Mark::default())?;
        tx.put_mark(&receiver("notification"), source, &put)?;
        tx.put_incarnation(&receiver("notification"), Epoch(7))?;
        let own = tx.mark(&receiver("notification"), source)?;
        Ok((own, tx.mark(&receiver("trending"), source)?))
    };
    let marks = store.write(job).await.unwrap();
    assert_eq!(marks, (said.clone(), Mark::default()));
    let unacknowledged = store.counts().await.unwrap().unacknowledged;
    let expected = [(receiver("notification"), 5), (receiver("trending"), 20)];
    assert_eq!(unacknowledged, expected);
    store.close().await;

    let (store, _commits) = subject.open(two).await;
    let receivers = store.outbox().await.unwrap().receivers;
    let of = |name: &str| {
        let of_that_name = |known: &&ReceiverStanding| known.name.as_str() == name;
        let found = receivers.iter().find(of_that_name).unwrap();
        let mut marks = found.marks.iter();
        let mark = marks.find(|(marked, _)| *marked == source).unwrap();
        (found.incarnation, mark.1.clone())
    };
    assert_eq!(of("notification"), (Epoch(7), said));
    assert_eq!(of("trending"), (Incarnation::ZERO, Mark::default()));
    store.close().await;
}

/// Under a new incarnation a receiver is held to what was forgotten, and no more.
pub async fn what_only_runs_said_can_be_dropped<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let source = append_some::<S>(&store, 9).await;
    let name = receiver("notification");
    let job = move |tx: &mut Tx<'_, S>| {
        let said = Mark {
            watermark: Sequence(6),
            runs: vec![8..=9],
        };
        tx.put_mark(&name, source, &said)?;
        tx.forget(source, Sequence(4))?;
        tx.drop_runs(&name)?;
        tx.mark(&name, source)
    };
    let left = Mark {
        watermark: Sequence(4),
        runs: Vec::new(),
    };
    assert_eq!(store.write(job).await.unwrap(), left);
    store.close().await;
}

/// A receiver that is new is not owed what was accepted before.
pub async fn a_receiver_that_joins_starts_at_now<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    append_some::<S>(&store, 9).await;
    store.close().await;
    let two = Opening {
        receivers: &["notification", "trending"],
        ..Opening::default()
    };
    let (store, _commits) = subject.open(two).await;
    let unacknowledged = store.counts().await.unwrap().unacknowledged;
    let expected = [(receiver("notification"), 11), (receiver("trending"), 1)];
    assert_eq!(unacknowledged, expected);
    // What opens an epoch was accepted by nobody.
    let oldest = store.oldest_of_each().await.unwrap();
    let lacking: Vec<_> = oldest.into_iter().map(|(name, _)| name).collect();
    assert_eq!(lacking, [receiver("notification")]);
    store.close().await;
}

/// Who joins and leaves is told between the events that were appended before and after; what is rolled back is not.
pub async fn receivers_join_and_leave_in_the_order_of_what_is_appended<S: Subject>(subject: S) {
    let (store, mut commits) = subject.open(Opening::default()).await;
    let _ = handed_over(&mut commits);
    let follow = |tx: &mut Tx<'_, S>, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| receiver(name)).collect();
        let new = || NewEpochs {
            wall: Timestamp::from_micros(1),
            random: 7,
            generation: Generation::FIRST,
        };
        membership::follow(tx, &names, new, &Rules::default())
    };
    let fails = move |tx: &mut Tx<'_, S>| {
        follow(tx, &["trending"])?;
        Err::<(), _>(StoreError::NotCommitted("as it is told to".into()))
    };
    store.write(fails).await.unwrap_err();
    let joins = move |tx: &mut Tx<'_, S>| {
        let before = append(tx, "post/user")?;
        let changed = follow(tx, &["notification", "trending"])?;
        let after = append(tx, "post/user")?;
        Ok((before, changed, after))
    };
    let (before, changed, after) = store.write(joins).await.unwrap();
    let group = commits.try_recv().unwrap();
    assert_eq!(changed.joined, [receiver("trending")]);
    assert_eq!(changed.begin, [after.source]);
    assert_eq!(group.changes, [(2, changed)], "after what opens its epoch");
    let ids: Vec<_> = group.events.iter().map(|one| one.event.id()).collect();
    assert_eq!((ids[0], ids[2], ids.len()), (before, after, 3));
    let Body::Opened { joined, .. } = &group.events[1].event.body else {
        panic!("{group:?}");
    };
    assert_eq!(joined[..], [receiver("trending")]);
    let unacknowledged = store.counts().await.unwrap().unacknowledged;
    let expected = [(receiver("notification"), 4), (receiver("trending"), 2)];
    assert_eq!(unacknowledged, expected);
    let held_by = store.receivers_of(before).await.unwrap().unwrap();
    assert_eq!(held_by, [(receiver("notification"), false)]);

    let leaves = move |tx: &mut Tx<'_, S>| follow(tx, &["trending"]);
    let left = store.write(leaves).await.unwrap();
    assert_eq!(left.left, [receiver("notification")]);
    assert_eq!(commits.try_recv().unwrap().changes, [(0, left)]);
    let gone = store
        .events(before.source, Sequence::ZERO, 9)
        .await
        .unwrap();
    assert_eq!(gone, [], "it was kept for the one that left");
    let standing = store.outbox().await.unwrap();
    assert_eq!(standing.receivers[0].begin, [after.source]);
    store.close().await;
}

/// What was kept for one receiver alone is forgotten when it leaves.
pub async fn a_receiver_that_leaves_frees_the_outbox<S: Subject>(subject: S) {
    let two = Opening {
        receivers: &["notification", "trending"],
        ..Opening::default()
    };
    let (store, _commits) = subject.open(two).await;
    let source = append_some::<S>(&store, 9).await;
    let job = move |tx: &mut Tx<'_, S>| {
        let said = Mark {
            watermark: Sequence(8),
            runs: Vec::new(),
        };
        tx.put_mark(&receiver("trending"), source, &said)
    };
    store.write(job).await.unwrap();
    store.close().await;
    let one = Opening {
        receivers: &["trending"],
        ..Opening::default()
    };
    let (store, _commits) = subject.open(one).await;
    let events = store.events(source, Sequence::ZERO, 100).await.unwrap();
    assert!(events.iter().map(|event| event.sequence.0).eq(9..=10));
    let names = move |tx: &mut Tx<'_, S>| tx.receivers();
    assert_eq!(store.write(names).await.unwrap(), [receiver("trending")]);
    store.close().await;
}

/// Who holds an event is known also when it is forgotten, and in later openings; of what was never accepted nothing is.
pub async fn who_holds_an_event_is_known_as_long_as_the_store_is<S: Subject>(subject: S) {
    let two = Opening {
        receivers: &["notification", "trending"],
        ..Opening::default()
    };
    let (store, _commits) = subject.open(two).await;
    let source = append_some::<S>(&store, 9).await;
    let job = move |tx: &mut Tx<'_, S>| {
        let said = |watermark, runs| Mark {
            watermark: Sequence(watermark),
            runs,
        };
        tx.put_mark(&receiver("notification"), source, &said(6, vec![8..=8]))?;
        tx.put_mark(&receiver("trending"), source, &said(4, Vec::new()))?;
        tx.forget(source, Sequence(4))
    };
    store.write(job).await.unwrap();
    store.close().await;

    let (store, _commits) = subject.open(two).await;
    let held_of = |source, sequence| {
        let sequence = Sequence(sequence);
        store.receivers_of(EventId { source, sequence })
    };
    for (sequence, [notification, trending]) in [
        (1, [true, true]),
        (4, [true, true]),
        (6, [true, false]),
        (7, [false, false]),
        (8, [true, false]),
        (10, [false, false]),
    ] {
        let of = [
            (receiver("notification"), notification),
            (receiver("trending"), trending),
        ];
        let held = held_of(source, sequence).await.unwrap();
        assert_eq!(held, Some(of.to_vec()), "{sequence}");
    }
    let mut stranger = source;
    stranger.lane.store.0 ^= 1;
    let mut divided = source;
    divided.lane.partitions += 1;
    let unheard = source.lane.source(Epoch(source.epoch.0 - 1));
    for (source, sequence) in [
        (source, 11),
        (source, u64::MAX),
        (stranger, 1),
        (divided, 1),
        (unheard, 1),
    ] {
        assert_eq!(held_of(source, sequence).await.unwrap(), None);
    }
    store.close().await;
}
