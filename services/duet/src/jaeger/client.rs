//! Asks a query API of Jaeger's.

use super::model::{Answer, Trace, TraceId};
use crate::internal::{client, why};

/// Traces asked for when the latest request is looked for: background traces (receipts, batches) lie between.
const LATEST: &str = "200";

/// A query API at a base URL.
#[derive(Debug, Clone)]
pub(crate) struct Jaeger {
    base: String,
    http: reqwest::Client,
}

impl Jaeger {
    pub(crate) fn at(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            http: client(),
        }
    }

    /// One trace; none if it isn't there (yet).
    pub(crate) async fn trace(&self, id: &TraceId) -> Result<Option<Trace>, String> {
        let url = format!("{}/api/traces/{id}", self.base);
        self.get(&url, &[])
            .await
            .map(|found| found.into_iter().flatten().next())
    }

    /// The trace of the latest request to `service`, by its start.
    pub(crate) async fn latest_request(&self, service: &str) -> Result<Option<Trace>, String> {
        let url = format!("{}/api/traces", self.base);
        let found = self
            .get(&url, &[("service", service), ("limit", LATEST)])
            .await?;
        let requests = found.into_iter().flatten().filter_map(|trace| {
            let start = trace
                .request()
                .filter(|it| trace.service(it) == service)?
                .start_time;
            Some((start, trace))
        });
        Ok(requests
            .max_by_key(|(start, _)| *start)
            .map(|(_, trace)| trace))
    }

    async fn get(&self, url: &str, query: &[(&str, &str)]) -> Result<Option<Vec<Trace>>, String> {
        let failed = |error: reqwest::Error| format!("GET {url}: {}", why(&error));
        let answer = self
            .http
            .get(url)
            .query(query)
            .send()
            .await
            .map_err(failed)?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(format!("GET {url} says {status}")),
        }
        let body = answer.bytes().await.map_err(failed)?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| format!("GET {url}: {error}"))?;
        Ok(Some(answer.data))
    }
}
