//! One Notification without a Reaction: it is given events as a sender would give them, and its streams are listened to.

use std::pin::Pin;
use std::time::Duration;
use std::{fs, mem};

use bytes::{Bytes, BytesMut};
use duet_testkit::{Answer, answer, configured, listening};
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use futures::{Stream, StreamExt};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::Decoder;

use crate::intake::{BATCH, event};

pub(crate) struct Alone {
    pub(crate) addresses: Addresses,
    pub(crate) client: Client,
    pub(crate) stop: Stop,
    pub(crate) ended: JoinHandle<()>,
    arguments: Vec<String>,
    sequence: u64,
    data_dir: TempDir,
}

async fn run(arguments: &[String], data_dir: &TempDir) -> (Addresses, Stop, JoinHandle<()>) {
    let channel = data_dir.path().join("channel.yaml");
    fs::write(&channel, duet_crd::EXAMPLE).unwrap();
    let data = format!("--data-dir={}", data_dir.path().join("store").display());
    let channel = format!("--channel={}", channel.display());
    let arguments = arguments.iter().map(String::as_str);
    let arguments: Vec<_> = arguments.chain([&*data, &*channel]).collect();
    let config = configured::<duet_notification::Config>(&arguments);
    let file = config.args.data_dir.join(Addresses::FILE);
    let stop = Stop::by_hand();
    let told = stop.clone();
    let ended = tokio::spawn(async { duet_notification::run_until(config, told).await.unwrap() });
    (listening(&file, &ended).await, stop, ended)
}

impl Alone {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let (addresses, stop, ended) = run(&arguments, &data_dir).await;
        Self {
            addresses,
            client: Client::new(),
            stop,
            ended,
            arguments,
            sequence: 1,
            data_dir,
        }
    }

    /// Ends it, and starts another over the same store.
    pub(crate) async fn restart(&mut self) {
        self.stop.draining.cancel();
        (&mut self.ended).await.unwrap();
        let (addresses, stop, ended) = run(&self.arguments, &self.data_dir).await;
        (self.addresses, self.stop, self.ended) = (addresses, stop, ended);
    }

    pub(crate) async fn stop(self) {
        self.stop.draining.cancel();
        self.ended.await.unwrap();
    }

    /// Reactions to bob's posts: (post, user, kind), where no kind undoes it.
    pub(crate) async fn give(&mut self, reactions: &[(String, String, Option<&str>)]) {
        for batch in reactions.chunks(200) {
            let mut events = Vec::new();
            for (post, user, kind) in batch {
                self.sequence += 1;
                let data = json!({
                    "post": post, "user": user, "owner": "bob", "title": title(post), "kind": kind,
                    "at": "2026-11-24T09:00:00Z",
                });
                let what = if kind.is_some() { "set" } else { "removed" };
                let what = format!("dev.duet.reaction.{what}");
                events.push(event(self.sequence, &what, data));
            }
            let url = format!("http://{}/v1/events", self.addresses.internal_listen);
            let request = self.client.post(url).header("content-type", BATCH);
            let told = answer(request.body(Value::from(events).to_string())).await;
            for outcome in told.ok(200)["outcomes"].as_array().unwrap() {
                assert_eq!(outcome["outcome"], "applied", "{outcome}");
            }
        }
    }

    pub(crate) async fn reacts(&mut self, post: &str, user: &str) {
        self.give(&[(post.to_owned(), user.to_owned(), Some("like"))])
            .await;
    }

    pub(crate) async fn undoes(&mut self, post: &str, user: &str) {
        self.give(&[(post.to_owned(), user.to_owned(), None)]).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.addresses.listen);
        answer(self.client.get(url)).await
    }

    /// How many streams it says are open.
    pub(crate) async fn open(&self) -> u64 {
        let url = format!("http://{}/metrics", self.addresses.internal_listen);
        let Value::String(metrics) = answer(self.client.get(url)).await.ok(200) else {
            panic!("metrics are text");
        };
        let line = metrics.lines().find_map(|line| {
            let line = line.strip_prefix("duet_streams")?;
            line.rsplit_once(' ')
        });
        line.unwrap().1.parse().unwrap()
    }

    pub(crate) async fn try_to_listen(&self, query: &str, after: Option<&str>) -> Response {
        let address = self.addresses.listen;
        let url = format!("http://{address}/v1/users/bob/notifications/stream{query}");
        let request = after.into_iter().fold(self.client.get(url), |request, id| {
            request.header("last-event-id", id)
        });
        request.send().await.unwrap()
    }

    pub(crate) async fn listen(&self, query: &str, after: Option<&str>) -> Sse {
        Sse::of(self.try_to_listen(query, after).await)
    }
}

fn title(post: &str) -> String {
    // Long, so that streams have something to carry.
    format!("About {post} {}", "at length ".repeat(15))
        .trim()
        .to_owned()
}

/// A stream, as a browser reads it.
pub(crate) struct Sse {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>>>>,
    buffer: BytesMut,
    decoder: russe::Decoder,
    /// The last id that came.
    pub(crate) id: String,
    /// The last hint how long to wait before connecting again.
    pub(crate) retry: Option<Duration>,
}

impl Sse {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            chunks: Box::pin(response.bytes_stream()),
            buffer: BytesMut::new(),
            decoder: russe::Decoder::default(),
            id: String::new(),
            retry: None,
        }
    }

    /// The next event's name and data; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(event) = self.decoder.decode(&mut self.buffer).unwrap() {
                let message = match event {
                    russe::Event::Message(message) => message,
                    russe::Event::Retry(retry) => {
                        self.retry = Some(retry);
                        continue;
                    }
                    russe::Event::Comment(_) => continue,
                };
                self.id = message
                    .id
                    .map_or(mem::take(&mut self.id), |id| id.to_string());
                if let Some(name) = message.event {
                    return Some((
                        name.to_string(),
                        serde_json::from_str(&message.data).unwrap(),
                    ));
                }
            }
            let chunk = timeout(Duration::from_secs(30), self.chunks.next()).await;
            self.buffer.extend(chunk.expect("something comes")?.ok()?);
        }
    }

    /// Waits until it has begun: until its first id has come.
    pub(crate) async fn begun(&mut self) {
        while self.id.is_empty() {
            while let Some(event) = self.decoder.decode(&mut self.buffer).unwrap() {
                match event {
                    russe::Event::Message(message) => {
                        self.id = message.id.map_or(String::new(), |id| id.to_string());
                    }
                    russe::Event::Retry(retry) => self.retry = Some(retry),
                    russe::Event::Comment(_) => {}
                }
            }
            if self.id.is_empty() {
                let chunk = self.chunks.next().await.unwrap();
                self.buffer.extend(chunk.unwrap());
            }
        }
    }

    /// The next event in short: `notification post count`, with a star if it is unread, or `removed post`.
    pub(crate) async fn told(&mut self) -> String {
        let (name, data) = self.next().await.expect("it goes on");
        let post = data["post"].as_str().unwrap_or_default();
        match data["count"].as_u64() {
            Some(count) => {
                let star = if data["unread"] == true { "*" } else { "" };
                format!("{name} {post} {count}{star}")
            }
            None => format!("{name} {post}"),
        }
    }
}
