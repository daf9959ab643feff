//! What can't be applied at once.

use super::*;
use duet_testkit::{Status, answer};

const SOUND: &str =
    "  # faults: {delay: 200ms, jitter: 50ms, errorPercent: 5, hangPercent: 1, maxPerSecond: 500}";
const FAULTS: &str = "  faults: {errorPercent: 100}";

fn happened(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| &*event.name).collect()
}

#[tokio::test]
async fn parking_and_death_are_in_the_events_trace_and_a_redrive_begins_one_that_is_linked_to_it() {
    let collector = OtlpReceiver::start().await;
    let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), Mode::Async)
        .traces(&collector.endpoint())
        .env("DUET_ALLOW_FAULTS", "true")
        .channel(
            SOUND,
            &format!(
                "{FAULTS}\n  delivery: {{maxAttempts: 2, backoff: {{initial: 50ms, max: 100ms}}}}"
            ),
        );
    let pair = pair.start().await;
    pair.post("post-1", "bob", "A walk").await;
    let trace = pair.react("ana", "post-1").await.trace_id();
    // Received and parked, then tried once more.
    eventually(PATIENCE, || async {
        let spans = collector.trace(&trace);
        spans.iter().any(|span| happened(span) == ["duet.dead"])
    })
    .await;
    let spans = collector.trace(&trace);
    let applied = |span: &&Span| span.name == "apply reaction";
    let applied: Vec<_> = spans.iter().filter(applied).collect();
    assert_eq!(applied.len(), 2, "{spans:#?}");
    assert_eq!(happened(applied[0]), ["duet.parked"]);
    assert_eq!(applied[1].attributes["duet.outcome"], json!("dead"));
    assert!(matches!(applied[1].status, Status::Error(_)), "{spans:#?}");

    pair.edit(FAULTS, SOUND).await;
    let internal = pair.notification.internal();
    let url = format!("{internal}/v1/dead-letters/redrive");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let begun = answer(http.post(url).json(&json!({"filter": {}}))).await;
    assert!(begun.status.is_success(), "{begun:?}");
    let redriven = || {
        let mut spans = collector.spans().into_iter();
        spans.find(|span| span.name == "redrive reaction")
    };
    eventually(PATIENCE, || async { redriven().is_some() }).await;
    let redriven = redriven().unwrap();
    assert_ne!(redriven.trace_id, trace);
    assert_eq!(redriven.links[0].trace_id, trace);
    assert_eq!(redriven.attributes["duet.outcome"], json!("applied"));
    assert_eq!(redriven.attributes["duet.user"], json!("ana"));
    let metrics = format!("{internal}/metrics");
    let metrics = http
        .get(metrics)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for done in ["parked", "dead", "redriven"] {
        let counted = format!("duet_letters_total{{duet_outcome=\"{done}\"}} 1");
        assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
    }
}
