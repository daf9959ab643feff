//! The drawn trees.

use super::*;
use duet_testkit::Status;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_synchronous_reaction_is_one_trace_to_the_stored_notification() {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, Mode::Sync).await;
    let reply = pair.react("ana", "post-1").await;
    assert_eq!(reply.status, 200);
    let spans = shaped(&collector, &reply.trace_id(), &[SYNC]).await;
    let server = &spans[0];
    assert_eq!(server.attributes["duet.post"], json!("post-1"));
    assert_eq!(server.attributes["duet.user"], json!("ana"));
    assert_eq!(server.attributes["duet.mode"], json!("sync"));
    assert_eq!(server.attributes["duet.outcome"], json!("delivered"));
    assert!(
        spans.iter().all(|span| span.status == Status::Unset),
        "{spans:#?}"
    );
}

#[tokio::test]
async fn an_asynchronous_reaction_is_one_trace_to_the_stored_notification() {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, Mode::Async).await;
    let reply = pair.react("ana", "post-1").await;
    assert_eq!(reply.status, 202);
    let spans = shaped(&collector, &reply.trace_id(), &[ASYNC]).await;
    let process = spans
        .iter()
        .find(|span| span.name == "process duet.reactions")
        .unwrap();
    assert_eq!(process.attributes["duet.post"], json!("post-1"));
    assert_eq!(process.attributes["duet.user"], json!("ana"));
    assert_eq!(process.attributes["duet.outcome"], json!("applied"));
    assert_eq!(process.attributes["messaging.system"], json!("nats"));
}

/// What several share is a trace of its own, linked both ways, and begins with none of the callers' names.
async fn together(mode: Mode, alone: &str, shape: &str, part: &str, shared: &[&str]) {
    let collector = OtlpReceiver::start().await;
    let pair = pair(&collector, mode).await;
    // More callers than one commit is likely to leave alone, fewer than are sampled in a second.
    let replies = futures::future::join_all((0..16).map(|n| {
        let pair = &pair;
        async move { pair.react(&format!("user-{n}"), "post-1").await }
    }))
    .await;
    let mut together = 0;
    for reply in &replies {
        assert!(reply.status.is_success());
        let spans = shaped(&collector, &reply.trace_id(), &[alone, shape]).await;
        together += usize::from(drawn(&spans) == shape);
    }
    assert!(
        together >= 2,
        "of 16 at once, {together} travelled together"
    );

    let callers: BTreeSet<String> = replies.iter().map(|reply| reply.trace_id()).collect();
    for name in shared {
        eventually(PATIENCE, || async {
            let spans = collector.spans();
            let of_all = |span: &&Span| span.name == *name && !callers.contains(&span.trace_id);
            let Some(whole) = spans
                .iter()
                .find(|span| of_all(span) && !span.links.is_empty())
            else {
                return false;
            };
            let linked = |span: &Span| whole.links.iter().any(|link| link.span_id == span.span_id);
            let links_back =
                |span: &Span| span.links.iter().any(|link| link.span_id == whole.span_id);
            spans
                .iter()
                .any(|span| callers.contains(&span.trace_id) && linked(span) && links_back(span))
        })
        .await;
    }
    let parts = collector
        .spans()
        .iter()
        .filter(|span| span.name == part)
        .count();
    assert_eq!(parts, together);
}

#[tokio::test]
async fn calls_that_share_a_request_keep_a_trace_each() {
    together(
        Mode::Sync,
        SYNC,
        SYNC_TOGETHER,
        "deliver reaction",
        &["POST /v1/events", "commit group"],
    )
    .await;
}

#[tokio::test]
async fn events_that_share_a_message_keep_a_trace_each() {
    let shared = [
        "send duet.reactions",
        "receive duet.reactions",
        "settle duet.reactions",
        "commit group",
    ];
    together(
        Mode::Async,
        ASYNC,
        ASYNC_TOGETHER,
        "create duet.reactions",
        &shared,
    )
    .await;
}

#[tokio::test]
async fn a_call_that_fails_is_an_error_in_its_trace_and_shows_the_compensation() {
    let collector = OtlpReceiver::start().await;
    let mut pair = pair(&collector, Mode::Sync).await;
    pair.notification.kill();
    let reply = pair.react("ana", "post-1").await;
    assert_eq!(reply.status, 503);
    let names = [
        "PUT /v1/posts/{post}/reactions/{user}",
        "POST /v1/events",
        "compensate reaction",
    ];
    let spans = collector
        .trace_with(&reply.trace_id(), &names, PATIENCE)
        .await;
    let failed: BTreeSet<&str> = spans
        .iter()
        .filter(|span| matches!(span.status, Status::Error(_)))
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(
        failed,
        BTreeSet::from(["PUT /v1/posts/{post}/reactions/{user}", "POST /v1/events"])
    );
}
