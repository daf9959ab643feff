//! Requests to both services, as any caller makes them.

use super::{
    chapter::{Chapter, Difference, Group, Post, Standing},
    story::{Opening, Step},
};
use crate::internal::{body, client_within, why};
use duet_reaction::domain::Kind;
use duet_web::told::Answer;
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt, time::Duration};

/// How long a caller waits for an answer: far longer than a call may take.
pub(super) const GIVES_UP: Duration = Duration::from_secs(20);
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
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) end: End,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
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
    pub(super) async fn post(&self, post: &str, owner: &str, title: &str) -> Result<(), String> {
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
        let url = self.row(&step.post, &step.user);
        let request = match step.wanted {
            Some(kind) => self
                .http
                .put(url)
                .json(&serde_json::json!({ "kind": kind })),
            None => self.http.delete(url),
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Heard::without(Answer::Away, End::Unreachable);
            }
            Err(_) => return Heard::without(Answer::Unknown, End::Unanswered),
        };
        let status = answer.status().as_u16();
        match body(answer).await {
            Ok(body) => Heard::of(status, serde_json::from_slice(&body).unwrap_or_default()),
            Err(_) => Heard::without(Answer::Unknown, End::Unanswered),
        }
    }

    /// Compares the chapter with its owner's inbox. Where an answer was lost, both services must see the same, and Reaction
    /// before and after: until then there is nothing to compare with.
    pub(super) async fn compare(&self, chapter: &Chapter) -> Result<Difference, String> {
        let before = self.doubtful(chapter).await?;
        let url = format!(
            "{}/v1/users/{}/notifications?limit={PAGE}",
            self.notification, chapter.owner
        );
        let inbox: Option<Page<Group>> = self.read(&url).await?;
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
            let row: Option<Row> = self.read(&url).await?;
            rows.push(((post, pair), row.map(|row| row.kind)));
        }
        Ok(rows)
    }

    fn row(&self, post: &str, user: &str) -> String {
        format!("{}/v1/posts/{post}/reactions/{user}", self.reaction)
    }

    /// Reads JSON; none where there is nothing.
    async fn read<T: DeserializeOwned>(&self, url: &str) -> Result<Option<T>, String> {
        let failed = |why: String| format!("GET {url}: {why}");
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .map_err(|error| failed(why(&error)))?;
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
}

impl Heard {
    fn of(status: u16, told: Told) -> Self {
        let answer = Answer::of(status, told.r#type.as_deref());
        let end = match (answer, told.delivery) {
            (Answer::Accepted, Some(Delivery { mode })) => End::Stands {
                delivered: status == 200,
                mode,
            },
            _ => End::Status(status),
        };
        // A success that doesn't say how is not Reaction's.
        let answer = match (answer, &end) {
            (Answer::Accepted, End::Status(_)) => Answer::Unknown,
            _ => answer,
        };
        Self { answer, end }
    }

    fn without(answer: Answer, end: End) -> Self {
        Self { answer, end }
    }
}
