//! A resync at its sender, and the sweep that ends it at a receiver.

use duet_protocol::delivery::Parked;
use duet_protocol::event::{EventId, Key};
use duet_protocol::inbox::{Inbox, PendingSweep};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receive::{Failure, InboxTables};
use duet_protocol::resync::{Resync, Stage};
use duet_protocol::sequence::{Epoch, Lane, Sequence, Version};
use duet_protocol::sweep::{Sweep, Sweeping};
use duet_protocol::time::Timestamp;

use super::{Opening, Subject, data, lane};
use crate::store::{Store, StoreError, Transaction};

type Tx<'t, S> = <<S as Subject>::Store as Store>::Tx<'t>;

const BEGUN: Timestamp = Timestamp::from_micros(1_800_000_000_000_001);

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// How far the last resync is, page by page, survives as it was written, rolled back or committed; so does the highest epoch that was seen.
pub async fn a_resync_survives_as_far_as_it_had_come<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(store.resync().await.unwrap(), None);
    let own = lane(&store);
    let head = move |tx: &mut Tx<'_, S>| Ok(tx.head(own.partition)?.unwrap());
    let source = own.source(store.write(head).await.unwrap());
    let begun = Resync {
        begun: BEGUN,
        sources: vec![source],
        after: None,
        announced: 0,
        sweeps: Vec::new(),
    };
    let page = Resync {
        after: Some(key("post/ana")),
        announced: 512,
        ..begun.clone()
    };
    let sequence = Sequence(9);
    let told = Resync {
        sweeps: vec![EventId { source, sequence }],
        ..page.clone()
    };
    let seen = Epoch(u64::MAX - 3);
    for (resync, stage) in [
        (begun, Stage::Announcing),
        (page, Stage::Announcing),
        (told.clone(), Stage::Sweeping),
    ] {
        let written = resync.clone();
        let put = move |tx: &mut Tx<'_, S>| {
            tx.put_seen(seen)?;
            tx.put_resync(&written)?;
            tx.resync()
        };
        assert_eq!(store.write(put).await.unwrap(), Some(resync.clone()));
        assert_eq!(store.resync().await.unwrap(), Some((resync, stage)));
    }
    // What a transaction had written that was not committed is gone, from memory too.
    let failing = |tx: &mut Tx<'_, S>| {
        tx.put_seen(Epoch(1))?;
        let last = tx.resync()?.unwrap();
        tx.put_resync(&Resync {
            announced: last.announced + 1,
            ..last
        })?;
        Err::<(), _>(StoreError::Overloaded)
    };
    store.write(failing).await.unwrap_err();
    let read = |tx: &mut Tx<'_, S>| Ok((tx.resync()?, tx.seen()?));
    assert_eq!(store.write(read).await.unwrap(), (Some(told.clone()), seen));
    store.close().await;
    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(store.write(read).await.unwrap(), (Some(told), seen));
    // New epochs are above all that was seen.
    assert!(store.write(head).await.unwrap() > seen);
    store.close().await;
}

/// A sweep that waits, one under way, and what it has taken survive as they were written; one at a time for each lane.
pub async fn a_sweep_survives_as_far_as_it_had_come<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let here = lane(&store);
    let there = Lane {
        partitions: 16,
        ..here
    };
    let at = Version {
        epoch: Epoch(u64::MAX),
        sequence: Sequence(7),
    };
    let below = Epoch(u64::MAX - 1);
    let inbox = Inbox {
        swept: Epoch(4),
        sweep: Some(PendingSweep { below, at }),
        ..Inbox::default()
    };
    let written = inbox.clone();
    let put = move |tx: &mut Tx<'_, S>| {
        tx.put_inbox(here, &written)?;
        let swept = Epoch(3);
        tx.put_inbox(
            there,
            &Inbox {
                swept,
                ..Inbox::default()
            },
        )
    };
    store.write(put).await.unwrap();
    let begun = |lane| Sweeping {
        sweep: Sweep { lane, below },
        after: None,
        rows: 0,
        parked: 0,
    };
    let further = Sweeping {
        after: Some(key("post/ana")),
        rows: 512,
        parked: 3,
        ..begun(here)
    };
    let under_way = [begun(here), begun(there), further.clone()];
    let put = move |tx: &mut Tx<'_, S>| {
        under_way.iter().try_for_each(|it| tx.put_sweeping(it))?;
        tx.sweeping()
    };
    let both = [further.clone(), begun(there)];
    assert_eq!(store.write(put).await.unwrap(), both);
    store.close().await;

    let (store, _commits) = subject.open(Opening::default()).await;
    assert_eq!(store.sweeping().await.unwrap(), both);
    let read = move |tx: &mut Tx<'_, S>| tx.inbox(here);
    assert_eq!(store.write(read).await.unwrap(), inbox);
    let end = move |tx: &mut Tx<'_, S>| {
        tx.end_sweeping(&further)?;
        tx.sweeping()
    };
    assert_eq!(store.write(end).await.unwrap(), [begun(there)]);
    assert_eq!(store.sweeping().await.unwrap(), [begun(there)]);
    store.close().await;
}

/// A sweep takes the parked and dead events of its partition that are of older epochs, whichever store's, so many at a time.
pub async fn a_sweep_takes_what_is_parked_of_older_epochs<S: Subject>(subject: S) {
    let (store, _commits) = subject.open(Opening::default()).await;
    let lane = lane(&store);
    let below = Epoch(50);
    let put = move |tx: &mut Tx<'_, S>| {
        for (epoch, sequence) in [(40, 2), (49, 3), (50, 4), (60, 5)] {
            let event = data(
                EventId {
                    source: lane.source(Epoch(epoch)),
                    sequence: Sequence(sequence),
                },
                key(&format!("post/{sequence}")),
            );
            tx.park(&event, Some(&Failure::new("no")), Parked::job(BEGUN))?;
        }
        tx.parked_rows()
    };
    assert_eq!(store.write(put).await.unwrap(), 4);
    let take = move |tx: &mut Tx<'_, S>| {
        let took = tx.drop_parked(&Sweep { lane, below }, 1)?;
        Ok((took, tx.parked_rows()?))
    };
    for took in [(1, 3), (1, 2), (0, 2)] {
        assert_eq!(store.write(take).await.unwrap(), took);
    }
    store.close().await;
}
