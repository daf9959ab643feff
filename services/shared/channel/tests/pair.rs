//! The example of a pair of one's own does what it says, on one page.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on panics"
)]

#[path = "../examples/pair.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod pair;

use duet_testkit::NatsServer;

#[tokio::test]
async fn an_order_is_delivered_in_sync_and_accepted_in_async_and_both_are_set_aside() {
    let nats = NatsServer::start().await;
    assert_eq!(
        pair::trade(&nats.url()).await.unwrap(),
        [
            "Sync: order 1001 is delivered",
            "Sync: 6 pieces are set aside",
            "Async: order 1002 is accepted",
            "Async: 12 pieces are set aside",
        ]
    );
}

#[test]
fn it_is_a_page() {
    let text = include_str!("../examples/pair.rs");
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let lines = text.lines().map(str::trim).filter(is_code).count();
    assert!((60..=120).contains(&lines), "{lines} lines of code");
}
