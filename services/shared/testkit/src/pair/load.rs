//! Callers that react all the time, and remember what each was told.

use super::{PATIENCE, Pair, Reply};
use crate::eventually::until;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A caller that can't even connect tries its next reaction after this.
const AWAY: Duration = Duration::from_millis(20);
/// A caller that gets no answer for so long gives up.
const GIVES_UP: Duration = Duration::from_secs(20);
/// Reasons kept for the message of a test that fails.
const REASONS: usize = 10;

/// Callers under way. Each makes a post, reacts to it, and goes on to the next: one reaction a post, so that an inbox
/// tells for each whether it arrived, and how often.
#[derive(Debug)]
pub struct Load {
    owner: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    callers: JoinSet<()>,
}

/// What callers were told, by post.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// 200, 201 or 202: it must arrive, once.
    pub accepted: BTreeSet<String>,
    /// A problem that says it was not applied: it must not arrive.
    pub refused: BTreeSet<String>,
    /// No answer, or one that says the outcome is unknown: it may arrive, once.
    pub unknown: BTreeSet<String>,
    /// The first reasons for the latter two.
    pub reasons: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    reaction: String,
    owner: String,
    next: AtomicUsize,
    waiting: AtomicUsize,
    told: Mutex<Told>,
}

impl Pair {
    /// Starts `callers` that react to posts of `owner` until [`Load::stop`].
    ///
    /// # Panics
    /// If no HTTP client can be built.
    pub fn load(&self, owner: &str, callers: usize) -> Load {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(GIVES_UP)
            .build();
        let shared = Arc::new(Shared {
            http: http.expect("a client can be built"),
            reaction: self.reaction.public(),
            owner: owner.to_owned(),
            next: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            told: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (shared, stop) = (shared.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    shared.one().await;
                }
            });
        }
        Load {
            owner: owner.to_owned(),
            shared,
            stop,
            callers: tasks,
        }
    }
}

impl Load {
    /// Callers whose reaction is sent and not answered, at this moment.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Reactions accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.told().accepted.len()
    }

    /// Waits until `more` reactions have been accepted from now on.
    pub async fn accepts(&self, more: usize) {
        let goal = self.accepted() + more;
        until(PATIENCE, || async {
            let told = self.shared.told();
            let accepted = told.accepted.len();
            (accepted >= goal)
                .then_some(())
                .ok_or_else(|| format!("{accepted} of {goal} accepted; {:?}", told.reasons))
        })
        .await;
    }

    /// Lets every caller finish what it has begun.
    ///
    /// # Panics
    /// If a caller did.
    pub async fn stop(mut self) -> Told {
        self.stop.cancel();
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("callers don't panic");
        }
        std::mem::take(&mut *self.shared.told())
    }

    /// Whose posts are reacted to.
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Told {
    /// Waits until Reaction has a receipt for everything, then compares the inbox of `owner` with what callers were told:
    /// each accepted reaction is there once, no refused one is, and an unknown one is there if and only if Reaction has it.
    ///
    /// # Panics
    /// If that is not so after a minute.
    pub async fn arrived(&self, pair: &Pair, owner: &str) {
        pair.drained().await;
        let mut expected = self.accepted.clone();
        for post in &self.unknown {
            // The post itself may be what was not answered.
            let url = format!("{}/v1/posts/{post}/reactions", pair.reaction.public());
            let reply = Reply::to(pair.http.get(url))
                .await
                .expect("Reaction answers");
            if reply.body["items"]
                .as_array()
                .is_some_and(|items| !items.is_empty())
            {
                expected.insert(post.clone());
            }
        }
        until(PATIENCE, || async {
            compared(&expected, &pair.inbox(owner).await)
        })
        .await;
        // Nothing comes later: all was received before the inbox was read.
        let taken_back: Vec<_> = self.refused.intersection(&expected).collect();
        assert!(taken_back.is_empty(), "told both: {taken_back:?}");
    }
}

fn compared(expected: &BTreeSet<String>, inbox: &[Value]) -> Result<(), String> {
    let mut found = BTreeMap::<&str, u64>::new();
    for group in inbox {
        let post = group["post"].as_str().unwrap_or_default();
        *found.entry(post).or_default() += group["count"].as_u64().unwrap_or_default();
    }
    let missing = expected
        .iter()
        .map(String::as_str)
        .filter(|it| !found.contains_key(it));
    let extra = found.keys().copied().filter(|it| !expected.contains(*it));
    let twice = found
        .iter()
        .filter(|(_, count)| **count != 1)
        .map(|(post, _)| *post);
    let wrong: Vec<_> = [
        ("missing", few(missing)),
        ("unexpected", few(extra)),
        ("not once", few(twice)),
    ]
    .into_iter()
    .filter_map(|(what, posts)| Some(format!("{what}: {}", posts?)))
    .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "of {} reactions {}",
        expected.len(),
        wrong.join("; ")
    ))
}

/// How many, and the first of them; none if there is none.
fn few<'a>(posts: impl Iterator<Item = &'a str>) -> Option<String> {
    let posts: Vec<_> = posts.collect();
    let first = posts
        .get(..posts.len().min(5))
        .filter(|first| !first.is_empty())?;
    Some(format!("{} ({}, …)", posts.len(), first.join(", ")))
}

enum Answer {
    Accepted,
    Refused(String),
    Unknown(String),
    /// Nobody listened, so nothing was sent.
    Away(String),
}

impl Shared {
    /// One post and one reaction to it.
    async fn one(&self) {
        let post = format!("load-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let url = format!("{}/v1/posts/{post}", self.reaction);
        let body = json!({ "owner": self.owner, "title": "Load" });
        if !matches!(self.put(&url, &body).await, Answer::Accepted) {
            tokio::time::sleep(AWAY).await;
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let answer = self
            .put(&format!("{url}/reactions/ana"), &json!({ "kind": "like" }))
            .await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let away = matches!(answer, Answer::Away(_));
        self.remember(post, answer);
        if away {
            tokio::time::sleep(AWAY).await;
        }
    }

    async fn put(&self, url: &str, body: &Value) -> Answer {
        match Reply::to(self.http.put(url).json(body)).await {
            Ok(reply) if reply.status.is_success() => Answer::Accepted,
            // The problem's own words; what says nothing of it was refused before it was looked at.
            Ok(reply) => match reply.body["applied"].as_str() {
                Some("no") => Answer::Refused(reply.body.to_string()),
                None if refuses(reply.status) => Answer::Refused(format!("{reply:?}")),
                _ => Answer::Unknown(format!("{reply:?}")),
            },
            Err(error) if error.is_connect() => Answer::Away(error.to_string()),
            Err(error) => Answer::Unknown(format!("{error:?}")),
        }
    }

    fn remember(&self, post: String, answer: Answer) {
        let mut told = self.told();
        let reason = match answer {
            Answer::Accepted => {
                told.accepted.insert(post);
                return;
            }
            Answer::Away(reason) => reason,
            Answer::Refused(reason) => {
                told.refused.insert(post);
                reason
            }
            Answer::Unknown(reason) => {
                told.unknown.insert(post);
                reason
            }
        };
        if told.reasons.len() < REASONS {
            told.reasons.push(reason);
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuses(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE
}
