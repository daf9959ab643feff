//! Requests to both services, as any caller makes them.

use super::{
    chapter::{Chapter, Difference, Group, Post, Standing},
    story::{Opening, Step},
};
use crate::{
    internal::{body, client_within, why},
    jaeger::TraceId,
};
use duet_reaction::domain::Kind;
use duet_web::told::Answer;
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt, time::Duration};

/// How long a caller waits for an answer: far longer than a call may take.
pub(super) const GIVES_UP: Duration = Duration::from_secs(20);
/// How long a reader of posts waits.
const READ: Duration = Duration::from_secs(5);
/// Before a post that could not be made is tried again.
const AGAIN: Duration = Duration::from_millis(250);
/// Posts that a page of an inbox holds: more than an owner has.
const PAGE: &str = "500";

/// Both services' public ports.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    reaction: String,
    notification: String,
    http: reqwest::Client,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(super) answer: Answer,
    pub(crate) end: End,
    /// What the service decided, where the answer tells it.
    pub(crate) outcome: Option<String>,
    /// The event's `Duet-Position`, where the answer tells it.
    pub(crate) position: Option<String>,
    /// The trace that the request is in, if it is recorded.
    pub(crate) trace: Option<TraceId>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// With success, in this mode.
    Stands { delivered: bool, mode: String },
    /// With another status.
    Status(u16),
    /// Nobody listened.
    Unreachable,
    /// Without a whole answer.
    Unanswered,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stands { delivered, .. } => f.write_str(if *delivered { "200" } else { "202" }),
            Self::Status(status) => status.fmt(f),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Unanswered => f.write_str("unanswered"),
        }
    }
}

/// A reaction's answer, or a problem's.
#[derive(Debug, Default, Deserialize)]
struct Told {
    r#type: Option<String>,
    delivery: Option<Delivery>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    mode: String,
    outcome: Option<String>,
}

/// One user's row at Reaction.
#[derive(Debug, Deserialize)]
struct Row {
    kind: Kind,
}

#[derive(Debug, Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

impl Services {
    /// By the base URLs of their public ports.
    pub(crate) fn at(reaction: &str, notification: &str) -> Self {
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        Self {
            reaction: base(reaction),
            notification: base(notification),
            http: client_within(GIVES_UP),
        }
    }

    /// Makes an owner's posts, each until it is made.
    pub(super) async fn make(&self, opening: &Opening) {
        for (post, title) in &opening.posts {
            while self.post(post, &opening.owner, title).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Makes a post, or says why it could not be.
    pub(crate) async fn post(&self, post: &str, owner: &str, title: &str) -> Result<(), String> {
        let url = format!("{}/v1/posts/{post}", self.reaction);
        let request = self
            .http
            .put(&url)
            .json(&serde_json::json!({ "owner": owner, "title": title }));
        let answer = request
            .send()
            .await
            .map_err(|error| format!("PUT {url}: {}", why(&error)))?;
        let status = answer.status();
        status
            .is_success()
            .then_some(())
            .ok_or_else(|| format!("PUT {url} says {status}"))
    }

    /// Asks for one change. It is not asked again, whatever comes of it.
    pub(super) async fn ask(&self, step: &Step) -> Heard {
        self.react(&step.post, &step.user, step.wanted, None).await
    }

    /// Asks that the user's reaction to the post be of this kind, or none, and says how long to wait if need be (`Prefer`).
    pub(crate) async fn react(
        &self,
        post: &str,
        user: &str,
        wanted: Option<Kind>,
        prefer: Option<&str>,
    ) -> Heard {
        let url = self.row(post, user);
        let mut request = match wanted {
            Some(kind) => self
                .http
                .put(url)
                .json(&serde_json::json!({ "kind": kind })),
            None => self.http.delete(url),
        };
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Heard::without(Answer::Away, End::Unreachable);
            }
            Err(_) => return Heard::without(Answer::Unknown, End::Unanswered),
        };
        let status = answer.status().as_u16();
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let position = header("duet-position");
        // https://www.w3.org/TR/trace-context-2/#traceresponse-header: version, trace, span, flags.
        let trace = header("traceresponse").and_then(|it| sampled(&it));
        match body(answer).await {
            Ok(body) => Heard {
                position,
                trace,
                ..Heard::of(status, serde_json::from_slice(&body).unwrap_or_default())
            },
            Err(_) => Heard::without(Answer::Unknown, End::Unanswered),
        }
    }

    /// Whether the owner, whose only post it is, is shown a reaction; from that position on, where one is given.
    pub(crate) async fn shows(&self, owner: &str, position: Option<&str>) -> Result<bool, String> {
        let url = format!(
            "{}/v1/users/{owner}/notifications?limit=1",
            self.notification
        );
        let mut request = self.http.get(&url);
        if let Some(position) = position {
            request = request.header("duet-position", position);
        }
        let inbox: Option<Page<Group>> = read(&url, request).await?;
        Ok(inbox.is_some_and(|page| !page.items.is_empty()))
    }

    /// Reads a list of posts at Reaction, which needs nobody else; only whether it was answered is told.
    pub(crate) async fn read_posts(&self) -> Result<(), String> {
        let url = format!("{}/v1/posts?limit=1", self.reaction);
        let request = self.http.get(&url).timeout(READ);
        let page: Option<Page<serde_json::Value>> = read(&url, request).await?;
        page.map(|_| ())
            .ok_or_else(|| format!("GET {url} says 404"))
    }

    /// Compares the chapter with its owner's inbox. Where an answer was lost, both services must see the same, and Reaction
    /// before and after: until then there is nothing to compare with.
    pub(super) async fn compare(&self, chapter: &Chapter) -> Result<Difference, String> {
        let before = self.doubtful(chapter).await?;
        let url = format!(
            "{}/v1/users/{}/notifications?limit={PAGE}",
            self.notification, chapter.owner
        );
        let inbox: Option<Page<Group>> = read(&url, self.http.get(&url)).await?;
        let inbox = inbox.map(|page| page.items).unwrap_or_default();
        let difference = chapter.compare(&inbox);
        if before.is_empty() || !difference.is_none() {
            return Ok(difference);
        }
        if chapter.agrees(&before, &inbox) && before == self.doubtful(chapter).await? {
            return Ok(difference);
        }
        Err(format!(
            "of reactions whose callers got no answer, Reaction and the notifications of {} don't tell the same",
            chapter.owner
        ))
    }

    /// Reaction's rows of those pairs of which an answer was lost.
    async fn doubtful(&self, chapter: &Chapter) -> Result<Vec<((usize, usize), Standing)>, String> {
        let mut rows = Vec::new();
        for (post, pair) in chapter.doubtful() {
            let Post { id, pairs, .. } = &chapter.posts[post];
            let url = self.row(id, &pairs[pair].user.to_string());
            let row: Option<Row> = read(&url, self.http.get(&url)).await?;
            rows.push(((post, pair), row.map(|row| row.kind)));
        }
        Ok(rows)
    }

    fn row(&self, post: &str, user: &str) -> String {
        format!("{}/v1/posts/{post}/reactions/{user}", self.reaction)
    }
}

/// Reads JSON; none where there is nothing.
async fn read<T: DeserializeOwned>(
    url: &str,
    request: reqwest::RequestBuilder,
) -> Result<Option<T>, String> {
    let failed = |why: String| format!("GET {url}: {why}");
    let answer = request.send().await.map_err(|error| failed(why(&error)))?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Ok(None),
        status => return Err(format!("GET {url} says {status}")),
    }
    let body = body(answer).await.map_err(failed)?;
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(|error| failed(error.to_string()))
}

/// The trace's id, if the flags say that it is recorded.
fn sampled(traceresponse: &str) -> Option<TraceId> {
    let mut parts = traceresponse.split('-').skip(1);
    let id = parts.next()?.parse().ok()?;
    let flags = u8::from_str_radix(parts.nth(1)?, 16).ok()?;
    (flags & 1 == 1).then_some(id)
}

impl Heard {
    fn of(status: u16, told: Told) -> Self {
        let answer = Answer::of(status, told.r#type.as_deref());
        let (end, outcome) = match (answer, told.delivery) {
            (Answer::Accepted, Some(Delivery { mode, outcome })) => {
                let delivered = status == 200;
                (End::Stands { delivered, mode }, outcome)
            }
            _ => (End::Status(status), None),
        };
        // A success that doesn't say how is not Reaction's.
        let answer = match (answer, &end) {
            (Answer::Accepted, End::Status(_)) => Answer::Unknown,
            _ => answer,
        };
        Self {
            outcome,
            ..Self::without(answer, end)
        }
    }

    fn without(answer: Answer, end: End) -> Self {
        Self {
            answer,
            end,
            outcome: None,
            position: None,
            trace: None,
        }
    }
}
