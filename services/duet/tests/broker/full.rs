use crate::{SOME, all_came_once, builder, is_degraded, is_sound};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_full_pushes_back_says_so_in_numbers_and_drains_by_itself() {
    let pair = builder().channel("maxBytes: 1Gi", "maxBytes: 1Mi").start();
    let mut pair = pair.await;
    pair.drained().await;
    let load = pair.load("bob", 32, 2_000);
    load.accepts(SOME).await;
    pair.notification.kill();
    let words = [
        "of 1048576 bytes",
        "notification has not settled",
        "maxBytes",
    ];
    println!(
        "{}",
        is_degraded(&pair.reaction, "StreamFull", &words).await
    );
    // Callers notice nothing.
    load.accepts(SOME).await;

    pair.notification.restart().await;
    all_came_once(&pair, load).await;
    is_sound(&pair.reaction).await;
}
