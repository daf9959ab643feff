//! Questions to the services' internal ports.

use duet_web::words::counted;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, time::Duration};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// A client for questions.
pub(crate) fn client() -> reqwest::Client {
    client_within(ANSWER)
}

/// A client for loopback: no proxy, one bound for a whole exchange.
pub(crate) fn client_within(bound: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(bound)
        .build()
        .unwrap_or_default()
}

/// `GET /v1/channel`: what a service observes of the channel. What it doesn't tell is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// The mode in force there.
    pub(crate) mode: Option<String>,
    /// The Channel's generation in force there.
    pub(crate) observed_generation: Option<u64>,
    /// The share that takes another mode; only where changes are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<Box<Canary>>,
    /// Events accepted and not yet received everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unacknowledged: Option<u64>,
    /// How long ago the oldest of them was accepted, as 12s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_age: Option<String>,
    /// Events that are kept for another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parked: Option<u64>,
    /// Events whose attempts are over: they wait for a redrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letters: Option<u64>,
    /// Events that were sent once more since the process began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retransmissions: Option<u64>,
    /// Events that were taken for lost on their way, and are not received yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<u64>,
    /// Loss that was repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repaired: Option<Box<Repaired>>,
    /// How often its consumer was begun anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rebuilt: Option<Box<Mended>>,
    /// How often something at the broker was put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) corrected: Option<Box<Mended>>,
    /// What is good and what is wrong, each with its reason.
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
    /// Whatever else it tells.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, serde_json::Value>,
}

/// A share of the pairs that takes another mode, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Canary {
    pub(crate) mode: String,
    pub(crate) percent: u32,
    /// In hundredths of so many requests; none while there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) achieved_percent: Option<f64>,
    #[serde(default)]
    pub(crate) requests: u64,
}

/// Events that had been lost, were sent again and are received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repaired {
    pub(crate) events: u64,
    pub(crate) last: String,
    #[serde(default)]
    pub(crate) why: String,
}

/// Something that was put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mended {
    pub(crate) times: u64,
    pub(crate) last: String,
    #[serde(default)]
    pub(crate) why: String,
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "canary {} {}%", self.mode, self.percent)?;
        match self.achieved_percent {
            Some(achieved) => write!(f, " (so far {achieved}% of {} requests)", self.requests),
            None => Ok(()),
        }
    }
}

/// One aspect of the channel, as Kubernetes writes conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Condition {
    pub(crate) r#type: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
}

impl Observed {
    /// What was put right by itself since the process began, a sentence each.
    pub(crate) fn mended(&self) -> impl Iterator<Item = String> {
        let repaired = self.repaired.as_deref().map(|it| {
            let Repaired { events, last, why } = it;
            let events = counted(*events, "event");
            format!("loss repaired: {events}, the last at {last}; {why}")
        });
        let mended = |what: &str, it: &Option<Box<Mended>>| {
            let Mended { times, last, why } = it.as_deref()?;
            let times = counted(*times, "time");
            Some(format!("{what}: {times}, the last at {last}; {why}"))
        };
        let rebuilt = mended("consumer begun anew", &self.rebuilt);
        let corrected = mended("broker put right", &self.corrected);
        [repaired, rebuilt, corrected].into_iter().flatten()
    }

    /// Why it is degraded, if it is.
    pub(crate) fn degraded(&self) -> Option<&str> {
        self.reason("Degraded", "True")
    }

    /// Why the newest Channel is not in force there, if it isn't. A receiver that no Channel names has none to follow.
    pub(crate) fn refused(&self) -> Option<&str> {
        let refused = self.reason("Accepted", "False")?;
        (refused != "NotAReceiver").then_some(refused)
    }

    /// The reason of a condition that stands so.
    fn reason(&self, r#type: &str, status: &str) -> Option<&str> {
        let mut conditions = self.conditions.iter();
        let found = conditions.find(|it| it.r#type == r#type && it.status == status)?;
        Some(&found.reason)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = [&self.reason, &self.message].map(|it| it.trim());
        let why: Vec<_> = why.into_iter().filter(|it| !it.is_empty()).collect();
        write!(f, "{}={} {}", self.r#type, self.status, why.join(": "))
    }
}

/// `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Readiness {
    /// Whether every part can serve.
    pub(crate) ready: bool,
    /// Why not, by part.
    #[serde(default)]
    pub(crate) reasons: BTreeMap<String, String>,
}

/// What the service at `internal` observes of the channel.
pub(crate) async fn observed(http: &reqwest::Client, internal: &str) -> Result<Observed, String> {
    get(http, &format!("{internal}/v1/channel"), false).await
}

/// Whether the service at `internal` can serve; an error if it doesn't say.
pub(crate) async fn readiness(http: &reqwest::Client, internal: &str) -> Result<Readiness, String> {
    get(http, &format!("{internal}/readyz"), true).await
}

/// What the service at `internal` has counted under that name, over all attributes (Prometheus' text format).
pub(crate) async fn metric(
    http: &reqwest::Client,
    internal: &str,
    name: &str,
) -> Result<f64, String> {
    let url = format!("{internal}/metrics");
    let failed = |why: String| format!("GET {url}: {why}");
    let answer = http
        .get(&url)
        .send()
        .await
        .map_err(|error| failed(why(&error)))?;
    let body = body(answer).await.map_err(failed)?;
    Ok(sum_of(name, &String::from_utf8_lossy(&body)))
}

/// The sum of the samples of that name.
fn sum_of(name: &str, text: &str) -> f64 {
    let of_it = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_whole = rest.starts_with(['{', ' ']);
        // A sample may end with a time; none here does.
        let (_, value) = rest.rsplit_once(' ').filter(|_| is_whole)?;
        value.parse::<f64>().ok()
    });
    of_it.sum()
}

/// Reads JSON; `unavailable` says that a 503 has a body of the same kind.
pub(crate) async fn get<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &str,
    unavailable: bool,
) -> Result<T, String> {
    let answer = http.get(url).send().await.map_err(|error| why(&error))?;
    let status = answer.status();
    let tells = status.is_success() || (unavailable && status.as_u16() == 503);
    if !tells {
        return Err(format!("GET {url} says {status}"));
    }
    let body = body(answer)
        .await
        .map_err(|error| format!("GET {url}: {error}"))?;
    serde_json::from_slice(&body).map_err(|error| format!("GET {url}: {error}"))
}

/// The whole body, within the size that most have.
pub(crate) async fn body(answer: reqwest::Response) -> Result<Vec<u8>, String> {
    body_within(answer, LONGEST).await
}

/// The whole body, within a size in bytes.
pub(crate) async fn body_within(
    mut answer: reqwest::Response,
    longest: usize,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| why(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > longest {
            return Err(format!("the answer has more than {longest} bytes"));
        }
    }
    Ok(body)
}

/// The innermost reason: "Connection refused" rather than that a request failed.
pub(crate) fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {ANSWER:?}");
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_right_is_told_with_how_often_when_and_why() {
        let told = serde_json::json!({
            "mode": "Async",
            "observedGeneration": 1,
            "lost": 2,
            "repaired": { "events": 12, "last": "2026-11-30T02:00:00Z", "why": "it was lost" },
            "corrected": { "times": 1, "last": "2026-11-30T02:00:01Z", "why": "stream REACTIONS: made" },
        });
        let observed: Observed = serde_json::from_value(told).unwrap();
        let told: Vec<_> = observed.mended().collect();
        assert_eq!(
            told,
            [
                "loss repaired: 12 events, the last at 2026-11-30T02:00:00Z; it was lost",
                "broker put right: 1 time, the last at 2026-11-30T02:00:01Z; stream REACTIONS: made",
            ]
        );
        assert!(observed.more.is_empty(), "{observed:?}");
    }

    #[test]
    fn samples_of_one_name_are_added_up_and_those_of_a_longer_name_are_not() {
        let text =
            "# TYPE sent counter\nsent{to=\"a b\"} 3\nsent{to=\"c\"} 4\nsent 0.5\nsent_total 9\n";
        assert_eq!(sum_of("sent", text), 7.5);
        assert_eq!(sum_of("other", text), 0.0);
    }
}
