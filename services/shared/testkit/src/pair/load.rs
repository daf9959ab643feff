//! Callers that react all the time, and remember what each was told.

use super::{
    PATIENCE, Pair, Reply,
    told::{Heard, Standing, Told},
};
use crate::eventually::until;
use duet_web::told::Answer;
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Interval};
use tokio_util::sync::CancellationToken;

/// A caller that can't even connect tries its next reaction after this.
const AWAY: Duration = Duration::from_millis(20);
/// A caller that gets no answer for so long gives up.
const GIVES_UP: Duration = Duration::from_secs(20);
/// The user that all callers react as: what tells them apart is the post.
const USER: &str = "ana";

/// Callers under way. Each makes a post, reacts to it, perhaps changes its mind, and goes on to the next: one user for each
/// post, so that an inbox tells for each whether its reaction arrived, which, and how often.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    stop: CancellationToken,
    callers: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    reaction: String,
    owner: String,
    pace: tokio::sync::Mutex<Interval>,
    next: AtomicUsize,
    waiting: AtomicUsize,
    told: Mutex<Told>,
}

/// What a caller does to one post, in this order: most react once, one in four changes the kind, one in four takes it back.
fn story(post: usize) -> &'static [Standing] {
    match post % 4 {
        0 => &[Some("like"), Some("love")],
        1 => &[Some("wow"), None],
        _ => &[Some("like")],
    }
}

impl Pair {
    /// Starts `callers` that together begin at most `per_second` reactions a second to posts of `owner`, until [`Load::stop`]. The posts
    /// are named for their owner: one load for each.
    ///
    /// # Panics
    /// If no HTTP client can be built, or `per_second` is 0.
    pub fn load(&self, owner: &str, callers: usize, per_second: u32) -> Load {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(GIVES_UP)
            .build();
        let shared = Arc::new(Shared {
            http: http.expect("a client can be built"),
            reaction: self.reaction.public(),
            owner: owner.to_owned(),
            pace: tokio::time::interval(Duration::from_secs(1) / per_second).into(),
            next: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            told: Mutex::new(Told::new(owner, USER)),
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

    /// Changes accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.told().accepted
    }

    /// Waits until `more` changes have been accepted from now on.
    ///
    /// # Panics
    /// If they are not within a minute.
    pub async fn accepts(&self, more: usize) {
        let goal = self.accepted() + more;
        until(PATIENCE, || async {
            let told = self.shared.told();
            (told.accepted >= goal)
                .then_some(())
                .ok_or_else(|| format!("{goal} accepted; {told}"))
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
        self.shared.told().clone()
    }
}

impl Shared {
    /// One post, and what is done to it.
    async fn one(&self) {
        self.pace.lock().await.tick().await;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let post = format!("{}-{number}", self.owner);
        let url = format!("{}/v1/posts/{post}", self.reaction);
        let body = json!({ "owner": self.owner, "title": "Load" });
        let made = self.ask(self.http.put(&url).json(&body)).await;
        if made.answer != Answer::Accepted {
            return tokio::time::sleep(AWAY).await;
        }
        let url = format!("{url}/reactions/{USER}");
        for &standing in story(number) {
            let request = match standing {
                Some(kind) => self.http.put(&url).json(&json!({ "kind": kind })),
                None => self.http.delete(&url),
            };
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let heard = self.ask(request).await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let answer = heard.answer;
            self.told().remember(&post, standing, heard);
            match answer {
                Answer::Accepted | Answer::Refused => {}
                Answer::Away => tokio::time::sleep(AWAY).await,
                Answer::Unknown => return,
            }
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Heard {
        Heard::of(Reply::to(request).await)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
