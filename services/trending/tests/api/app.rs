//! One Trending in this process and one Reaction that sends to it alone, on free ports, each over a store of its own.

use std::fs;

use duet_testkit::{Answer, answer, configured, listening};
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use duet_web::service::{Args, NatsArgs};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const POSITION: &str = "duet-position";

pub(crate) struct TestApp {
    trending: Addresses,
    reaction: Addresses,
    client: Client,
    stop: Stop,
    ended: Vec<JoinHandle<()>>,
    _data_dir: TempDir,
}

impl TestApp {
    /// In `Sync` mode: what Reaction has answered is counted here.
    pub(crate) async fn start() -> Self {
        Self::start_in("Sync", None).await
    }

    /// In a mode, with a broker or without.
    pub(crate) async fn start_in(mode: &str, nats: Option<String>) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let channel = data_dir.path().join("channel.yaml");
        let example = duet_crd::EXAMPLE
            .replace("mode: Sync", &format!("mode: {mode}"))
            .replace("{name: notification}", "{name: trending}");
        fs::write(&channel, example).unwrap();
        let stop = Stop::by_hand();
        let args = |service: &str, args: Args| Args {
            data_dir: data_dir.path().join(service),
            channel: channel.clone(),
            nats: NatsArgs {
                nats: nats.clone(),
                ..NatsArgs::default()
            },
            ..args
        };

        let config = configured::<duet_trending::Config>(&[]);
        let config = duet_trending::Config {
            args: args("trending", config.args),
        };
        let file = config.args.data_dir.join(Addresses::FILE);
        let stopped = stop.clone();
        let receiving =
            tokio::spawn(async { duet_trending::run_until(config, stopped).await.unwrap() });
        let trending: Addresses = listening(&file, &receiving).await;

        let receiver = format!("--receiver=trending=http://{}", trending.internal_listen);
        let config = configured::<duet_reaction::Config>(&[&receiver]);
        let config = duet_reaction::Config {
            args: args("reaction", config.args),
            ..config
        };
        let file = config.args.data_dir.join(Addresses::FILE);
        let stopped = stop.clone();
        let sending =
            tokio::spawn(async { duet_reaction::run_until(config, stopped).await.unwrap() });
        let reaction = listening(&file, &sending).await;
        Self {
            trending,
            reaction,
            client: Client::new(),
            stop,
            ended: vec![receiving, sending],
            _data_dir: data_dir,
        }
    }

    async fn react_with(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("http://{}{path}", self.reaction.listen);
        let request = self.client.request(method, url);
        let request = request.header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    pub(crate) async fn put_post(&self, post: &str) {
        let body = json!({"owner": "bob", "title": format!("About {post}")});
        let path = format!("/v1/posts/{post}");
        self.react_with(Method::PUT, &path, body).await.ok(201);
    }

    pub(crate) async fn react(&self, post: &str, user: &str, kind: &str) -> Answer {
        let path = format!("/v1/posts/{post}/reactions/{user}");
        self.react_with(Method::PUT, &path, json!({"kind": kind}))
            .await
    }

    /// The position of a reaction that was accepted.
    pub(crate) async fn react_at(&self, post: &str, user: &str, kind: &str) -> String {
        let listen = self.reaction.listen;
        let url = format!("http://{listen}/v1/posts/{post}/reactions/{user}");
        let request = self.client.put(url).json(&json!({"kind": kind}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let position = answer.headers()[POSITION].to_str();
        position.unwrap().to_owned()
    }

    pub(crate) async fn undo(&self, post: &str, user: &str) {
        let path = format!("/v1/posts/{post}/reactions/{user}");
        self.react_with(Method::DELETE, &path, Value::Null)
            .await
            .ok(200);
    }

    /// From Trending.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.trending.listen);
        answer(self.client.get(url)).await
    }

    /// The same, as of a position.
    pub(crate) async fn get_as_of(&self, path: &str, position: &str) -> Answer {
        let url = format!("http://{}{path}", self.trending.listen);
        answer(self.client.get(url).header(POSITION, position)).await
    }

    /// The one page of what trends.
    pub(crate) async fn trending(&self) -> Value {
        let mut list = self.get("/v1/trending").await.ok(200);
        assert_eq!(list["next"], Value::Null);
        list["items"].take()
    }

    pub(crate) async fn stop(self) {
        self.stop.draining.cancel();
        for ended in self.ended {
            ended.await.unwrap();
        }
    }
}
