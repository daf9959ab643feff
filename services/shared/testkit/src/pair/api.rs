//! What the services answer, as a caller reads it.

use duet_history::Group;
use serde_json::Value;

/// An answer: its status, headers and body.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: reqwest::StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; null where it isn't JSON.
    pub body: Value,
}

impl Reply {
    pub(super) async fn to(request: reqwest::RequestBuilder) -> Result<Self, reqwest::Error> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// The trace of the request, 32 hex digits from `traceresponse`.
    ///
    /// # Panics
    /// If the answer doesn't carry one.
    pub fn trace_id(&self) -> String {
        let header = self
            .headers
            .get("traceresponse")
            .and_then(|it| it.to_str().ok());
        let id = header.and_then(|it| it.split('-').nth(1));
        id.unwrap_or_else(|| panic!("no trace id in traceresponse of {self:?}"))
            .to_owned()
    }
}

/// Follows `next` to the end of a list.
pub(super) async fn all_pages(http: &reqwest::Client, url: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "500".to_owned())];
        query.extend(cursor.take().map(|it| ("cursor", it)));
        let reply = Reply::to(http.get(url).query(&query)).await;
        let mut reply = reply.unwrap_or_else(|error| panic!("{url}: {error}"));
        let Value::Array(page) = reply.body["items"].take() else {
            panic!("{url}: no list in {reply:?}");
        };
        items.extend(page);
        match reply.body["next"].take() {
            Value::String(next) => cursor = Some(next),
            _ => return items,
        }
    }
}

/// A notification, as the list and the event stream of its owner show it.
///
/// # Panics
/// If it is none.
pub fn group(owner: &str, shown: &Value) -> Group {
    let text = |it: &Value| it.as_str().map(Into::into);
    let group = || {
        let kinds = shown["kinds"].as_object()?.iter();
        let kinds = kinds.map(|(kind, count)| Some((kind.as_str().into(), count.as_u64()?)));
        Some(Group {
            owner: owner.into(),
            post: text(&shown["post"])?,
            count: shown["count"].as_u64()?,
            kinds: kinds.collect::<Option<_>>()?,
            actors: shown["actors"]
                .as_array()?
                .iter()
                .map(text)
                .collect::<Option<_>>()?,
        })
    };
    group().unwrap_or_else(|| panic!("no notification: {shown}"))
}
