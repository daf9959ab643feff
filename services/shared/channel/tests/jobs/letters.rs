//! What could not be applied: listed, previewed, redriven, discarded, and bounded.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use duet_channel::dead_letters::{Filter, Would};
use duet_channel::open::{Failure, Store};
use duet_channel::store::StoreError;
use duet_channel::transport::Urgency;
use duet_protocol::receive::Outcome;

use super::end::{End, PATIENCE, event};

#[tokio::test]
async fn dead_letters_are_grouped_by_cause_previewed_and_redriven_and_what_is_older_changes_nothing()
 {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    let letters = end.receiver.dead_letters();
    for (sequence, key) in [(2, "a"), (3, "b"), (4, "c")] {
        let taken = end
            .takes(event(sequence, "broken", key, key), Urgency::Background)
            .await;
        assert_eq!(taken, Outcome::Parked);
    }
    end.has_letters(0, 3).await;
    end.takes(event(5, "text", "b", "newer"), Urgency::Background)
        .await;
    let causes = letters.causes(&Filter::dead()).await.unwrap();
    assert_eq!(
        (causes.len(), causes[0].dead),
        (1, 3),
        "one cause, of three keys"
    );
    let would = letters.preview(&Filter::dead(), 10).await.unwrap();
    let kinds: Vec<bool> = would
        .letters
        .iter()
        .map(|(_, it)| *it == Would::Supersede)
        .collect();
    assert_eq!((kinds, would.matching), (vec![false, true, false], 3));
    end.texts.0.mended.store(true, Ordering::SeqCst);
    let would = letters.preview(&Filter::dead(), 10).await.unwrap();
    assert_eq!(would.letters[0].1, Would::Apply);
    assert_eq!(end.text("a").await, None, "a preview keeps nothing");
    let second_copy = end
        .takes(event(2, "broken", "a", "a"), Urgency::Inline)
        .await;
    assert_eq!(second_copy, Outcome::Dead);

    let gone = letters
        .discard(&Filter::of([event(4, "broken", "c", "c").id()]))
        .await
        .unwrap();
    assert_eq!(gone, 1);
    letters
        .redrive(Filter::dead(), NonZeroU32::new(1_000))
        .await
        .unwrap();
    let progress = end.redriven().await;
    assert_eq!((progress.matching, progress.tried), (2, 2));
    assert_eq!((progress.applied, progress.superseded), (1, 1));
    assert_eq!(end.text("a").await.as_deref(), Some("a"));
    assert_eq!(end.text("b").await.as_deref(), Some("newer"));
    assert_eq!(
        end.text("c").await,
        None,
        "what is discarded is never applied"
    );
    end.has_letters(0, 0).await;
    end.stops().await;
}

#[tokio::test]
async fn a_full_table_pushes_back_what_it_has_no_room_for_and_takes_it_once_there_is_some() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::with_room(dir.path(), 2);
    for (sequence, key) in [(2, "a"), (3, "b")] {
        let broken = event(sequence, "broken", key, key);
        end.takes(broken, Urgency::Background).await;
    }
    end.has_letters(0, 2).await;
    let batch = || vec![event(4, "text", "c", "good"), event(5, "broken", "d", "d")];
    let deadline = end.receiver.clock().now() + PATIENCE;
    let taken = end.receiver.receive(batch(), Urgency::Background, deadline);
    let taken = taken.await.unwrap().outcomes;
    assert_eq!(taken, [Outcome::Applied(None), Outcome::Dropped]);
    let c = end.text("c").await;
    assert_eq!(c.as_deref(), Some("good"), "what can be applied is");
    let d = event(5, "broken", "d", "d").id();
    assert!(!end.receiver.store().is_done(d).await.unwrap());
    end.has_letters(0, 2).await;
    let alone = end.takes(event(6, "text", "e", "good"), Urgency::Background);
    assert_eq!(
        alone.await,
        Outcome::Applied(None),
        "what can be applied is"
    );
    let a = event(2, "broken", "a", "a").id();
    let letters = end.receiver.dead_letters();
    letters.discard(&Filter::of([a])).await.unwrap();
    let taken = end.receiver.receive(batch(), Urgency::Background, deadline);
    let taken = taken.await.unwrap().outcomes;
    assert_eq!(taken, [Outcome::Applied(None), Outcome::Parked]);
    end.has_letters(0, 2).await;
    end.stops().await;
}

#[tokio::test]
async fn a_batch_for_which_a_full_table_has_no_room_costs_as_many_jobs_as_one_event_would() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::with_room(dir.path(), 2);
    let broken = |sequence: u64| event(sequence, "broken", &format!("b{sequence}"), "b");
    for sequence in [2, 3] {
        end.takes(broken(sequence), Urgency::Background).await;
    }
    end.has_letters(0, 2).await;
    let deadline = end.receiver.clock().now() + PATIENCE;
    let before = end.jobs();
    let batch: Vec<_> = (4..1_004).map(broken).collect();
    let refused = end.receiver.receive(batch, Urgency::Background, deadline);
    assert!(matches!(refused.await, Err(StoreError::ParkedFull)));
    let jobs = end.jobs() - before;
    assert!(jobs <= 4, "{jobs} jobs: two, each of which may run twice");
    end.stops().await;
}

/// A batch of every kind, in the order in which it is received: what is applied, though it comes after what is not.
#[tokio::test]
async fn of_a_batch_that_fits_in_part_each_event_is_told_how_it_stands_and_so_is_its_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::with_room(dir.path(), 2);
    end.takes(event(1, "text", "a", "1"), Urgency::Background)
        .await;
    let batch = || {
        vec![
            event(2, "broken", "b", "2"),
            event(3, "text", "c", "3"),
            event(4, "job", "d", "4"),
            event(5, "job", "e", "5"),
            event(6, "text", "c", "6"),
            event(7, "broken", "f", "7"),
        ]
    };
    let deadline = end.receiver.clock().now() + PATIENCE;
    let told = async || {
        let batch = end.receiver.receive(batch(), Urgency::Inline, deadline);
        let received = batch.await.unwrap();
        let receipt = &received.receipts[0];
        (received.outcomes, receipt.watermark.0, receipt.runs.clone())
    };
    let failed = Outcome::Failed(Failure::new("no room for 'b'"));
    let failed_too = Outcome::Failed(Failure::new("no room for 'f'"));
    let applied = Outcome::Applied(None);
    // Without the first, which a call's caller hears of, both jobs fit.
    let (outcomes, watermark, runs) = told().await;
    let fit = [
        failed.clone(),
        applied.clone(),
        Outcome::Parked,
        Outcome::Parked,
        applied.clone(),
        failed_too,
    ];
    assert_eq!(
        (outcomes.as_slice(), watermark, runs),
        (&fit[..], 1, vec![3..=6])
    );
    let more = vec![
        event(8, "job", "g", "8"),
        event(9, "text", "h", "9"),
        event(10, "job", "i", "10"),
        event(11, "text", "h", "11"),
    ];
    let received = end.receiver.receive(more, Urgency::Inline, deadline);
    let received = received.await.unwrap();
    let expected = [
        Outcome::Dropped,
        applied.clone(),
        Outcome::Dropped,
        applied.clone(),
    ];
    assert_eq!(received.outcomes, expected);
    assert_eq!(received.receipts[0].runs, [3..=6, 9..=9, 11..=11]);
    assert_eq!(end.text("h").await.as_deref(), Some("11"));
    end.has_letters(2, 0).await;
    end.texts.0.let_go.add_permits(10);
    end.has_letters(0, 0).await;
    // What was left out comes again, and there is room.
    let again = end.takes(event(8, "job", "g", "8"), Urgency::Inline);
    assert_eq!(again.await, Outcome::Parked);
    end.holds("g", "8, done").await;
    end.stops().await;
}
