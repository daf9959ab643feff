//! Traces, from Jaeger's query API.

use duet_testkit::until;
use serde_json::Value;

use crate::PATIENCE;
use crate::release::Forward;

/// `PUT` of a reaction in Sync, as it is drawn in README.
pub(crate) const SYNC: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} server
  reaction: commit reaction internal
  reaction: POST /v1/events client
    notification: POST /v1/events server
      notification: apply reaction internal
";

/// `PUT` of a reaction in Async, as it is drawn in README.
pub(crate) const ASYNC: &str = "\
reaction: PUT /v1/posts/{post}/reactions/{user} server
  reaction: commit reaction internal
  reaction: send duet.reactions producer
    notification: process duet.reactions consumer
      notification: apply reaction internal
";

/// Waits until Jaeger has the trace, and all of it, and nothing else in it.
pub(crate) async fn shows(jaeger: &Forward, trace: &str, drawn: &str) -> Value {
    let url = format!("{}/api/traces/{trace}", jaeger.url);
    until(PATIENCE, || async {
        let answer = reqwest::get(&url)
            .await
            .map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let seen = draw(&answer["data"][0]);
        if seen == drawn { Ok(answer) } else { Err(seen) }
    })
    .await
}

/// Waits until a search for these attributes of a caller's request finds this trace, and nothing else.
pub(crate) async fn finds(jaeger: &Forward, tags: &Value, trace: &str) {
    let url = format!("{}/api/traces", jaeger.url);
    let tags = tags.to_string();
    let query = [
        ("service", "reaction"),
        ("tags", &tags),
        ("lookback", "1h"),
        ("limit", "20"),
    ];
    until(PATIENCE, || async {
        let answer = reqwest::Client::new().get(&url).query(&query).send();
        let answer = answer.await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let found = answer["data"].as_array().into_iter().flatten();
        let found: Vec<_> = found
            .map(|it| it["traceID"].as_str().unwrap_or("?"))
            .collect();
        if found == [trace] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

/// Each span below its parent, with its service and kind; those of one parent by when they began.
fn draw(trace: &Value) -> String {
    let mut spans: Vec<&Value> = trace["spans"].as_array().into_iter().flatten().collect();
    spans.sort_by_key(|span| span["startTime"].as_u64());
    let parent = |span: &Value| span["references"][0]["spanID"].as_str().map(str::to_owned);
    fn below(
        parent_id: Option<&str>,
        depth: usize,
        spans: &[&Value],
        trace: &Value,
        parent: &dyn Fn(&Value) -> Option<String>,
        drawn: &mut String,
    ) {
        for span in spans
            .iter()
            .filter(|span| parent(span).as_deref() == parent_id)
        {
            let process = span["processID"].as_str().unwrap_or_default();
            let service = trace["processes"][process]["serviceName"]
                .as_str()
                .unwrap_or("?");
            let tags = span["tags"].as_array().into_iter().flatten();
            let mut kinds = tags
                .filter(|tag| tag["key"] == "span.kind")
                .filter_map(|tag| tag["value"].as_str());
            let name = span["operationName"].as_str().unwrap_or_default();
            let kind = kinds.next().unwrap_or("?");
            *drawn += &format!("{}{service}: {name} {kind}\n", "  ".repeat(depth));
            below(
                span["spanID"].as_str(),
                depth + 1,
                spans,
                trace,
                parent,
                drawn,
            );
        }
    }
    let mut drawn = String::new();
    below(None, 0, &spans, trace, &parent, &mut drawn);
    let placed = drawn.lines().count();
    if placed < spans.len() {
        drawn += &format!("and {} without their parent\n", spans.len() - placed);
    }
    drawn
}
