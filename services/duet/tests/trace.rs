//! One trace from the caller's request to the stored notification, in both modes, as an OTLP receiver in another process gets it.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "trace/letters.rs"]
mod letters;
#[path = "trace/propagation.rs"]
mod propagation;
#[path = "trace/shapes.rs"]
mod shapes;
#[path = "trace/signals.rs"]
mod signals;

use duet_testkit::{Mode, OtlpReceiver, Pair, Span, drawn, eventually};
use serde_json::json;
use std::time::Duration;

/// Far more than a batch of spans takes to be exported, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const SYNC: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: POST /v1/events CLIENT
    notification: POST /v1/events SERVER
      notification: apply reaction INTERNAL
";

const SYNC_TOGETHER: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: deliver reaction CLIENT
    notification: receive reaction SERVER
      notification: apply reaction INTERNAL
";

const ASYNC: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: send duet.reactions PRODUCER
    notification: process duet.reactions CONSUMER
      notification: apply reaction INTERNAL
";

const ASYNC_TOGETHER: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: create duet.reactions PRODUCER
    notification: process duet.reactions CONSUMER
      notification: apply reaction INTERNAL
";

/// A pair that exports to `collector`, with one post of bob's, and nothing of its start under way any more.
async fn pair(collector: &OtlpReceiver, mode: Mode) -> Pair {
    let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), mode)
        .traces(&collector.endpoint())
        .start()
        .await;
    pair.post("post-1", "bob", "A walk").await;
    pair.drained().await;
    pair
}

/// A caller that has decided: in its own trace, sampled or not.
async fn react_within(
    pair: &Pair,
    traceparent: &str,
    tracestate: &str,
    user: &str,
) -> reqwest::StatusCode {
    let url = format!(
        "{}/v1/posts/post-1/reactions/{user}",
        pair.reaction.public()
    );
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .put(url)
        .json(&json!({"kind": "like"}));
    let request = request
        .header("traceparent", traceparent)
        .header("tracestate", tracestate);
    request.send().await.unwrap().status()
}

/// Waits until the trace is drawn as one of `shapes`.
async fn shaped(collector: &OtlpReceiver, trace: &str, shapes: &[&str]) -> Vec<Span> {
    eventually(PATIENCE, || async {
        shapes.contains(&drawn(&collector.trace(trace)).as_str())
    })
    .await;
    collector.trace(trace)
}
