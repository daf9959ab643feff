//! What was received, what is parked, and what could not be decoded.

use std::time::Duration;

use bytes::Bytes;
use duet_protocol::delivery::{Parked, State};
use duet_protocol::event::{Body, Event, EventId, Key, Seal};
use duet_protocol::inbox::Inbox;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::{Failure, InboxTables};
use duet_protocol::rules::Rules;
use duet_protocol::sender::BrokerPlace;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId};
use duet_protocol::time::Timestamp;

use super::{Opening, Subject, data};
use crate::store::{Store, Transaction};
use crate::transport::{Position, Undecodable};

type Tx<'t, S> = <<S as Subject>::Store as Store>::Tx<'t>;

/// The longest that anything waits for its next attempt.
const LONGEST: Duration = Duration::from_secs(100);

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A lane of another store, of which the highest bits are set.
const LANE: Lane = Lane {
    store: StoreId(u64::MAX - 1),
    partitions: 16,
    partition: Partition(9),
};

fn receiver() -> ReceiverName {
    ReceiverName::new("notification").unwrap()
}

fn event(epoch: u64, sequence: u64) -> Event {
    let name = EventId {
        source: LANE.source(Epoch(epoch)),
        sequence: Sequence(sequence),
    };
    data(name, Key::new(format!("post/{sequence}")).unwrap())
}

fn opened(epoch: u64, previous: Option<Seal>) -> Event {
    Event {
        body: Body::Opened {
            previous,
            joined: Vec::new(),
        },
        ..event(epoch, 1)
    }
}

async fn put<S: Subject>(store: &S::Store, inbox: &Inbox) {
    let inbox = inbox.clone();
    let job = move |tx: &mut Tx<'_, S>| tx.put_inbox(LANE, &inbox);
    store.write(job).await.unwrap();
}

async fn get<S: Subject>(store: &S::Store) -> Inbox {
    let job = move |tx: &mut Tx<'_, S>| tx.inbox(LANE);
    store.write(job).await.unwrap()
}

/// Watermarks, runs, links, ends and hashes are read as they were written, in this opening and in the next.
pub async fn an_inbox_survives_as_it_was<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(get::<S>(&store).await, Inbox::default());
    let mut inbox = Inbox::default();
    let seal = Seal {
        epoch: Epoch(5),
        last: Sequence(40),
    };
    inbox.insert(&opened(5, None), &receiver(), &Rules::default());
    inbox.insert(
        &opened(u64::MAX, Some(seal)),
        &receiver(),
        &Rules::default(),
    );
    for (epoch, sequence) in [
        (5, 2),
        (5, 4),
        (5, 5),
        (5, 1_000),
        (7, 3),
        (u64::MAX, u64::MAX),
    ] {
        inbox.insert(&event(epoch, sequence), &receiver(), &Rules::default());
    }
    put::<S>(&store, &inbox).await;
    assert_eq!(get::<S>(&store).await, inbox);
    store.close().await;
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(get::<S>(&store).await, inbox);
    let lanes = |of| move |tx: &mut Tx<'_, S>| tx.lanes(of);
    assert_eq!(store.write(lanes(None)).await.unwrap(), [LANE]);
    assert_eq!(store.write(lanes(Some(LANE.store))).await.unwrap(), [LANE]);
    assert_eq!(store.write(lanes(Some(StoreId(1)))).await.unwrap(), []);
    store.close().await;
}

/// An epoch that is complete leaves nothing but the floor.
pub async fn an_epoch_that_closes_goes<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let mut inbox = Inbox::default();
    inbox.insert(&opened(5, None), &receiver(), &Rules::default());
    inbox.insert(&event(5, 3), &receiver(), &Rules::default());
    put::<S>(&store, &inbox).await;
    let seal = Seal {
        epoch: Epoch(5),
        last: Sequence(3),
    };
    inbox.insert(&event(5, 2), &receiver(), &Rules::default());
    inbox.insert(&opened(8, Some(seal)), &receiver(), &Rules::default());
    assert_eq!((inbox.floor, inbox.epochs.len()), (Epoch(6), 1));
    let closed = std::mem::take(&mut inbox.just_closed);
    let what = closed
        .iter()
        .map(|(epoch, inbox)| (*epoch, inbox.received()));
    assert_eq!(what.collect::<Vec<_>>(), [(Epoch(5), 3)]);
    put::<S>(&store, &inbox).await;
    store.close().await;
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(get::<S>(&store).await, inbox);
    store.close().await;
}

/// How an event stands that was tried once and is tried again then.
fn parked(next_attempt: Timestamp) -> Parked {
    Parked {
        state: State::Parked { next_attempt },
        attempts: 1,
        ..Parked::job(NOW)
    }
}

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

async fn park<S: Subject>(store: &S::Store, sequence: u64, next_attempt: Timestamp) {
    let event = event(5, sequence);
    let job = move |tx: &mut Tx<'_, S>| {
        tx.park(
            &event,
            Some(&Failure::new("it failed")),
            parked(next_attempt),
        )
    };
    store.write(job).await.unwrap();
}

async fn due<S: Subject>(
    store: &S::Store,
    now: Timestamp,
    limit: usize,
) -> (Vec<u64>, Option<Timestamp>) {
    let (events, next) = store.due(now, LONGEST, limit).await.unwrap();
    let sequences = events.iter().map(|event| event.sequence.0);
    (sequences.collect(), next)
}

/// The longest due comes first; then it is said when the next one is.
pub async fn parked_events_are_due_in_order<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    for (sequence, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        park::<S>(&store, sequence, after(seconds)).await;
    }
    assert_eq!(due::<S>(&store, NOW, 9).await, (vec![], Some(after(10))));
    assert_eq!(
        due::<S>(&store, after(10), 9).await,
        (vec![2, 4], Some(after(20)))
    );
    assert_eq!(
        due::<S>(&store, after(60), 9).await,
        (vec![2, 4, 3, 1], None)
    );
    assert_eq!(
        due::<S>(&store, after(60), 1).await,
        (vec![2], Some(after(10)))
    );
    let (events, _) = store.due(after(10), LONGEST, 1).await.unwrap();
    assert_eq!(events, [event(5, 2)]);
    let id = event(5, 2).id();
    let again = move |tx: &mut Tx<'_, S>| {
        tx.park_again(id, Some(&Failure::new("again")), parked(after(40)))
    };
    store.write(again).await.unwrap();
    assert_eq!(
        due::<S>(&store, after(60), 9).await,
        (vec![4, 3, 1, 2], None)
    );
    store.close().await;
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(
        due::<S>(&store, after(60), 9).await,
        (vec![4, 3, 1, 2], None)
    );
    store.close().await;
}

/// A wall clock that was set back does not make what is parked wait for as long as that was.
pub async fn a_parked_event_does_not_wait_for_a_clock_that_was_set_back<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    for (sequence, seconds) in [(1, 1_000), (2, 99), (3, 500), (4, 0)] {
        park::<S>(&store, sequence, after(seconds)).await;
    }
    assert_eq!(
        due::<S>(&store, NOW, 9).await,
        (vec![4, 1, 3], Some(after(99)))
    );
    assert_eq!(
        due::<S>(&store, NOW, 2).await,
        (vec![4, 1], Some(after(99)))
    );
    assert_eq!(
        due::<S>(&store, after(99), 9).await,
        (vec![4, 2, 3, 1], None)
    );
    store.close().await;
}

/// A parked event stands as parked until it is taken out; its key too.
pub async fn a_parked_event_is_found_by_name_and_by_key<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let stands = |store: S::Store, sequence| async move {
        let event = event(5, sequence);
        let job = move |tx: &mut Tx<'_, S>| {
            let key = &event.data().unwrap().key;
            Ok((tx.parked(event.id())?, tx.is_key_parked(key)?))
        };
        store.write(job).await.unwrap()
    };
    assert_eq!(stands(store.clone(), 1).await, (None, false));
    park::<S>(&store, 1, NOW).await;
    assert_eq!(store.counts().await.unwrap().parked, 1);
    assert_eq!(stands(store.clone(), 1).await, (Some(parked(NOW)), true));
    assert_eq!(stands(store.clone(), 2).await, (None, false));
    let id = event(5, 1).id();
    let unpark = move |tx: &mut Tx<'_, S>| tx.unpark(id);
    store.write(unpark).await.unwrap();
    assert_eq!(stands(store.clone(), 1).await, (None, false));
    assert_eq!(store.counts().await.unwrap().parked, 0);
    store.close().await;
}

/// An event is done once it is received, also when its epoch is long closed; one that is parked is not.
pub async fn an_event_is_done_once_it_is_received_and_not_parked<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let done = |epoch, sequence| store.is_done(event(epoch, sequence).id());
    assert!(!done(5, 2).await.unwrap(), "of a store never heard of");
    let mut inbox = Inbox::default();
    inbox.insert(&opened(5, None), &receiver(), &Rules::default());
    inbox.insert(&event(5, 3), &receiver(), &Rules::default());
    put::<S>(&store, &inbox).await;
    assert!(!done(5, 2).await.unwrap() && done(5, 3).await.unwrap());
    park::<S>(&store, 3, NOW).await;
    assert!(!done(5, 3).await.unwrap());
    let id = event(5, 3).id();
    let unpark = move |tx: &mut Tx<'_, S>| tx.unpark(id);
    store.write(unpark).await.unwrap();
    assert!(done(5, 3).await.unwrap());
    inbox.insert(&event(5, 2), &receiver(), &Rules::default());
    let seal = Seal {
        epoch: Epoch(5),
        last: Sequence(3),
    };
    inbox.insert(&opened(8, Some(seal)), &receiver(), &Rules::default());
    put::<S>(&store, &inbox).await;
    assert!(done(5, 2).await.unwrap() && done(8, 1).await.unwrap());
    assert!(!done(8, 2).await.unwrap());
    store.close().await;
}

/// Each path has one position: the last.
pub async fn a_position_is_the_last_one_put<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(store.position("nats/A").await.unwrap(), None);
    for place in ["7", "8"] {
        let position = Position(Bytes::from_static(place.as_bytes()));
        let job = move |tx: &mut Tx<'_, S>| tx.put_position("nats/A", &position);
        store.write(job).await.unwrap();
    }
    let last = Some(Position(Bytes::from_static(b"8")));
    assert_eq!(store.position("nats/A").await.unwrap(), last);
    assert_eq!(store.position("nats/B").await.unwrap(), None);
    store.close().await;
}

/// A message that can't be decoded is kept by its place: coming again, it is the same one.
pub async fn an_undecodable_message_is_kept_once<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    for (path, place) in [("nats/A", 7), ("nats/A", 7), ("nats/A", 8), ("nats/B", 7)] {
        let undecodable = Undecodable {
            place: BrokerPlace(place),
            payload: Bytes::from_static(b"\xff"),
            cause: "not JSON".to_owned(),
        };
        let job = move |tx: &mut Tx<'_, S>| tx.put_undecodable(path, &undecodable);
        store.write(job).await.unwrap();
    }
    assert_eq!(store.counts().await.unwrap().undecodable, 3);
    store.close().await;
}
