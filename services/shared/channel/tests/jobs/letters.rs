//! What could not be applied: listed, previewed, redriven, discarded, and bounded.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use duet_channel::dead_letters::{Filter, Would};
use duet_channel::open::Store;
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
    let refused = end.receiver.receive(batch(), Urgency::Background, deadline);
    assert!(matches!(refused.await, Err(StoreError::ParkedFull)));
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
