//! Reaction and Notification as separate processes, with a broker between them.

mod api;
mod builder;
mod load;
mod service;
mod told;

pub use api::{Reply, group};
pub use builder::PairBuilder;
pub use load::Load;
pub use service::Service;
pub use told::Told;

use crate::{NatsServer, Toxiproxy, Wire, eventually, eventually::until};
use duet_history::Group;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a process may take to be ready, a switch to be followed, an outbox to drain: far more than it takes on an
/// idle machine, so that a busy one fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reaction calls Notification and waits.
    Sync,
    /// Reaction hands the event to the broker.
    Async,
}

impl Mode {
    /// As the Channel document has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "Sync",
            Self::Async => "Async",
        }
    }
}

/// The pair as a user runs it: `duet serve reaction`, `duet serve notification`, a nats-server and a Channel document,
/// all on free ports and in a temporary directory.
///
/// ```no_run
/// # async fn test() {
/// use duet_testkit::{Mode, Pair};
/// // In a test of the package `duet`: env!("CARGO_BIN_EXE_duet").
/// let mut pair = Pair::start("target/debug/duet", Mode::Async).await;
/// pair.post("post-1", "bob", "A walk").await;
/// pair.nats.kill();
/// assert_eq!(pair.react("ana", "post-1").await.status, 202);
/// pair.reaction.kill();
/// pair.nats.restart().await;
/// pair.reaction.restart().await;
/// pair.drained().await;
/// assert_eq!(pair.inbox("bob").await[0]["count"], 1);
/// # }
/// ```
#[derive(Debug)]
pub struct Pair {
    /// Posts and reactions.
    pub reaction: Service,
    /// The owners' inboxes.
    pub notification: Service,
    /// A second receiver, where the builder was told so.
    trending: Option<Service>,
    /// What is between each two processes, where the builder was told so.
    links: Option<Toxiproxy>,
    /// The broker between them.
    pub nats: NatsServer,
    /// Between Reaction and the broker, where the builder was told so.
    wire: Option<Wire>,
    http: reqwest::Client,
    channel: PathBuf,
    _dir: tempfile::TempDir,
}

impl Pair {
    /// Starts a pair in `mode`; `program` is the `duet` command, `env!("CARGO_BIN_EXE_duet")` in its package's tests.
    pub async fn start(program: impl Into<PathBuf>, mode: Mode) -> Self {
        Self::builder(program, mode).start().await
    }

    /// Says more than the mode before the start.
    pub fn builder(program: impl Into<PathBuf>, mode: Mode) -> PairBuilder {
        PairBuilder::new(program.into(), mode)
    }

    /// Waits until all services are ready.
    pub async fn ready(&self) {
        for receiver in std::iter::once(&self.notification).chain(&self.trending) {
            receiver.ready().await;
        }
        self.reaction.ready().await;
    }

    /// Whether it has a second receiver.
    pub fn has_trending(&self) -> bool {
        self.trending.is_some()
    }

    /// The second receiver.
    ///
    /// # Panics
    /// If the builder was not told of it ([`PairBuilder::trending`]).
    pub fn trending(&self) -> &Service {
        let trending = self.trending.as_ref();
        trending.expect("this pair was started with a second receiver")
    }

    /// The second receiver, to be killed.
    ///
    /// # Panics
    /// As [`Pair::trending`].
    pub fn trending_mut(&mut self) -> &mut Service {
        let trending = self.trending.as_mut();
        trending.expect("this pair was started with a second receiver")
    }

    /// What is between each two processes.
    ///
    /// # Panics
    /// If the builder was not told of it ([`PairBuilder::links`]).
    pub fn links(&self) -> &Toxiproxy {
        let links = self.links.as_ref();
        links.expect("this pair was started with links")
    }

    /// What is between Reaction and the broker.
    ///
    /// # Panics
    /// If the builder was not told of it ([`PairBuilder::over_a_wire`]).
    pub fn wire(&self) -> &Wire {
        let wire = self.wire.as_ref();
        wire.expect("this pair was started over a wire")
    }

    /// The Channel document both services watch.
    pub fn channel(&self) -> &Path {
        &self.channel
    }

    /// Writes the mode into the Channel document, renamed into place, and doesn't wait for anybody to follow.
    pub fn switch(&self, mode: Mode) {
        let document = std::fs::read_to_string(&self.channel).expect("the Channel can be read");
        replace(&self.channel, &with_mode(&document, mode));
    }

    /// Replaces a piece of the Channel document, which must be there, and waits until both services follow the new one.
    ///
    /// # Panics
    /// If it isn't there, or they don't follow within a minute.
    pub async fn edit(&self, piece: &str, with: &str) {
        let generations = || async {
            let told = [
                self.reaction.channel().await,
                self.notification.channel().await,
            ];
            told.map(|told| {
                told.ok()
                    .and_then(|told| told["observedGeneration"].as_u64())
            })
        };
        let before = generations().await;
        self.edit_unfollowed(piece, with);
        until(PATIENCE, || async {
            let now = generations().await;
            let follows = now.iter().zip(&before).all(|(now, before)| now > before);
            follows
                .then_some(())
                .ok_or(format!("{now:?} after {before:?}"))
        })
        .await;
    }

    /// The same, and doesn't wait for anybody to follow.
    ///
    /// # Panics
    /// If it isn't there.
    pub fn edit_unfollowed(&self, piece: &str, with: &str) {
        let document = std::fs::read_to_string(&self.channel).expect("the Channel can be read");
        assert!(document.contains(piece), "no {piece:?} in:\n{document}");
        replace(&self.channel, &document.replacen(piece, with, 1));
    }

    /// Waits until both services say that they follow `mode`.
    pub async fn follows(&self, mode: Mode) {
        for service in [&self.reaction, &self.notification] {
            until(PATIENCE, || async {
                let told = service.channel().await?;
                let now = told["mode"] == mode.as_str();
                now.then_some(())
                    .ok_or_else(|| format!("{} says {told}", service.name()))
            })
            .await;
        }
    }

    /// Waits until Reaction has a receipt for everything it accepted, and for what opened its store.
    pub async fn drained(&self) {
        eventually(PATIENCE, || async {
            self.reaction
                .channel()
                .await
                .is_ok_and(|told| told["unacknowledged"] == 0 && told["opening"].is_null())
        })
        .await;
    }

    /// For how many events that it accepted Reaction has no receipt, as it says itself.
    ///
    /// # Panics
    /// If it doesn't say.
    pub async fn unacknowledged(&self) -> u64 {
        let told = self.reaction.channel().await.expect("Reaction answers");
        told["unacknowledged"]
            .as_u64()
            .unwrap_or_else(|| panic!("nothing unacknowledged in {told}"))
    }

    /// SIGKILL for all, none outliving another by more than the time of a few system calls.
    pub fn kill(&mut self) {
        self.reaction.strike();
        self.notification.strike();
        self.trending.iter().for_each(Service::strike);
        self.nats.strike();
        self.reaction.kill();
        self.notification.kill();
        self.trending.iter_mut().for_each(Service::kill);
        self.nats.kill();
    }

    /// Makes a post.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn post(&self, post: &str, owner: &str, title: &str) {
        let body = serde_json::json!({ "owner": owner, "title": title });
        let path = format!("/v1/posts/{post}");
        let reply = self.put(&path, &body).await.expect("Reaction answers");
        assert!(reply.status.is_success(), "{path}: {reply:?}");
    }

    /// `user` likes `post`.
    ///
    /// # Panics
    /// If there is no answer; see [`Pair::put`] for a caller that survives that.
    pub async fn react(&self, user: &str, post: &str) -> Reply {
        let path = format!("/v1/posts/{post}/reactions/{user}");
        let kind = serde_json::json!({ "kind": "like" });
        self.put(&path, &kind).await.expect("Reaction answers")
    }

    /// `user` takes the reaction to `post` back.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn undo(&self, user: &str, post: &str) -> Reply {
        let url = format!(
            "{}/v1/posts/{post}/reactions/{user}",
            self.reaction.public()
        );
        Reply::to(self.http.delete(url))
            .await
            .expect("Reaction answers")
    }

    /// PUT to Reaction's public port; an error when no whole answer came.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{path}", self.reaction.public());
        Reply::to(self.http.put(url).json(body)).await
    }

    /// The notifications of `owner`, newest first, all pages of them.
    ///
    /// # Panics
    /// If Notification doesn't answer with a list.
    pub async fn inbox(&self, owner: &str) -> Vec<Value> {
        let url = format!(
            "{}/v1/users/{owner}/notifications",
            self.notification.public()
        );
        api::all_pages(&self.http, &url).await
    }

    /// The same, to be judged.
    ///
    /// # Panics
    /// As [`Pair::inbox`].
    pub async fn groups(&self, owner: &str) -> Vec<Group> {
        let inbox = self.inbox(owner).await;
        inbox.iter().map(|it| api::group(owner, it)).collect()
    }

    /// How many reactions of the last hour stand at `post`, as Trending has it.
    ///
    /// # Panics
    /// If there is no Trending, or it doesn't answer with a list.
    pub async fn trends(&self, post: &str) -> u64 {
        let url = format!("{}/v1/trending", self.trending().public());
        let posts = api::all_pages(&self.http, &url).await;
        let found = posts.iter().find(|it| it["post"] == post);
        found.and_then(|it| it["count"].as_u64()).unwrap_or(0)
    }

    /// The kind of `user`'s reaction to `post`; none if there is none, or no such post.
    ///
    /// # Panics
    /// If Reaction doesn't answer.
    pub async fn reaction_of(&self, post: &str, user: &str) -> Option<String> {
        let url = format!(
            "{}/v1/posts/{post}/reactions/{user}",
            self.reaction.public()
        );
        let reply = Reply::to(self.http.get(&url))
            .await
            .expect("Reaction answers");
        match reply.status.as_u16() {
            200 => reply.body["kind"].as_str().map(str::to_owned),
            404 => None,
            _ => panic!("{url}: {reply:?}"),
        }
    }

    /// The reactions to `post`, all pages of them.
    ///
    /// # Panics
    /// If Reaction doesn't answer with a list.
    pub async fn reactions(&self, post: &str) -> Vec<Value> {
        let url = format!("{}/v1/posts/{post}/reactions", self.reaction.public());
        api::all_pages(&self.http, &url).await
    }
}

/// The document with another mode: the one line `mode:` that the example has.
fn with_mode(document: &str, mode: Mode) -> String {
    // At the spec's own depth: a canary has a mode too.
    let line = |mode: Mode| format!("\n  mode: {}", mode.as_str());
    assert!(
        [Mode::Sync, Mode::Async]
            .iter()
            .any(|it| document.contains(&line(*it))),
        "no mode in the Channel document:\n{document}"
    );
    document
        .replace(&line(Mode::Sync), &line(mode))
        .replace(&line(Mode::Async), &line(mode))
}

/// Written beside and renamed, so that nobody reads half of it.
fn replace(file: &Path, content: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, content).expect("the Channel can be written");
    std::fs::rename(&beside, file).expect("the Channel can be replaced");
}
