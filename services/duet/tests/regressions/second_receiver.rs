use crate::common::{PATIENCE, duet_on};
use crate::stores::lose;
use crate::told::{Quiet, is_degraded, is_sound};
use crate::{CALLERS, DUET, PER_SECOND, SOME, rows};
use duet_testkit::{Mode, Pair, until};

/// Only the one that lost its store is named, and the other's rows and readers notice nothing of the healing.
async fn trending_loses_its_store(mode: Mode) {
    let mut pair = Pair::builder(DUET, mode).trending().start().await;
    let quiet = Quiet::of(&pair).await;
    let seen = quiet.sees(&pair).await;
    let before = pair.load("bob", CALLERS, PER_SECOND);
    before.accepts(SOME).await;
    let before = before.stop().await;
    before.came_true(&pair).await;
    let trending = pair.trending_mut();
    trending.kill();
    lose(trending);
    trending.restart().await;
    pair.ready().await;

    let load = pair.load("eve", CALLERS, PER_SECOND);
    let message = is_degraded(&pair, "ReceiverRegressed").await;
    assert!(message.starts_with("trending lacks"), "{message}");
    assert!(!message.contains("notification"), "{message}");
    assert_eq!(pair.trends("walk").await, 0);
    let said = duet_on(&pair, "resync", &[]);
    assert!(
        said.stdout.contains("notification fits this store"),
        "{said:?}"
    );
    let said = duet_on(&pair, "resync", &["--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    load.accepts(SOME / 4).await;
    let told = load.stop().await;
    told.came_true(&pair).await;
    before.came_true(&pair).await;
    for post in ["walk", "swim", "run"] {
        until(PATIENCE, || async {
            let count = pair.trends(post).await;
            (count == 2).then_some(()).ok_or(count)
        })
        .await;
    }
    assert!(rows::equal(&pair) > 0);
    assert_eq!(quiet.sees(&pair).await, seen);
    is_sound(&pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sync_a_second_receiver_loses_its_store() {
    trending_loses_its_store(Mode::Sync).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_async_a_second_receiver_loses_its_store() {
    trending_loses_its_store(Mode::Async).await;
}
