//! One Notification in this process and one Reaction that calls it, on free ports, each over a store of its own.

use std::fs;

use duet_testkit::{Answer, answer, configured, listening, raw};
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use duet_web::service::{Args, NatsArgs};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) struct TestApp {
    pub(crate) notification: Addresses,
    pub(crate) reaction: Addresses,
    pub(crate) client: Client,
    stops: [Stop; 2],
    ended: Vec<JoinHandle<()>>,
    data_dir: TempDir,
}

impl TestApp {
    /// In `Sync` mode: what Reaction has answered is stored here.
    pub(crate) async fn start() -> Self {
        Self::start_in("Sync", None).await
    }

    /// In a mode, with a broker or without.
    pub(crate) async fn start_in(mode: &str, nats: Option<String>) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let channel = data_dir.path().join("channel.yaml");
        let example = duet_crd::EXAMPLE.replace("mode: Sync", &format!("mode: {mode}"));
        fs::write(&channel, example).unwrap();
        let stops = [Stop::by_hand(), Stop::by_hand()];

        let args = |service: &str, args: Args| Args {
            data_dir: data_dir.path().join(service),
            channel: channel.clone(),
            nats: NatsArgs {
                nats: nats.clone(),
                ..NatsArgs::default()
            },
            ..args
        };
        let config = configured::<duet_notification::Config>(&[]);
        let config = duet_notification::Config {
            args: args("notification", config.args),
            ..config
        };
        let dir = config.args.data_dir.clone();
        let stop = stops[0].clone();
        let receiving =
            tokio::spawn(async { duet_notification::run_until(config, stop).await.unwrap() });
        let notification: Addresses = listening(&dir.join(Addresses::FILE), &receiving).await;

        let receiver = format!(
            "--receiver=notification=http://{}",
            notification.internal_listen
        );
        let config = configured::<duet_reaction::Config>(&[&receiver]);
        let config = duet_reaction::Config {
            args: args("reaction", config.args),
            ..config
        };
        let dir = config.args.data_dir.clone();
        let stop = stops[1].clone();
        let sending = tokio::spawn(async { duet_reaction::run_until(config, stop).await.unwrap() });
        let reaction = listening(&dir.join(Addresses::FILE), &sending).await;
        Self {
            notification,
            reaction,
            client: Client::new(),
            stops,
            ended: vec![receiving, sending],
            data_dir,
        }
    }

    /// Edits the Channel.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file = self.data_dir.path().join("channel.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replace(from, to)).unwrap();
    }

    /// What a service tells of the channel.
    pub(crate) async fn told(&self, service: Addresses) -> Value {
        let url = format!("http://{}/v1/channel", service.internal_listen);
        answer(self.client.get(url)).await.ok(200)
    }

    async fn react_with(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("http://{}{path}", self.reaction.listen);
        let request = self
            .client
            .request(method, url)
            .header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    pub(crate) async fn put_post(&self, post: &str, owner: &str) {
        let body = json!({"owner": owner, "title": format!("About {post}")});
        self.react_with(Method::PUT, &format!("/v1/posts/{post}"), body)
            .await
            .ok(201);
    }

    pub(crate) async fn react(&self, post: &str, user: &str, kind: &str) -> Value {
        self.try_to_react(post, user, kind).await.ok(200)
    }

    pub(crate) async fn try_to_react(&self, post: &str, user: &str, kind: &str) -> Answer {
        let path = format!("/v1/posts/{post}/reactions/{user}");
        self.react_with(Method::PUT, &path, json!({"kind": kind}))
            .await
    }

    pub(crate) async fn undo(&self, post: &str, user: &str) -> Value {
        let path = format!("/v1/posts/{post}/reactions/{user}");
        self.react_with(Method::DELETE, &path, Value::Null)
            .await
            .ok(200)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(
            self.client
                .get(format!("http://{}{path}", self.notification.listen)),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("http://{}{path}", self.notification.listen);
        let request = self.client.request(method, url);
        let request = request.header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    pub(crate) async fn notifications(&self, owner: &str) -> Vec<Value> {
        let mut list = self
            .get(&format!("/v1/users/{owner}/notifications"))
            .await
            .ok(200);
        assert_eq!(list["next"], Value::Null);
        serde_json::from_value(list["items"].take()).unwrap()
    }

    pub(crate) async fn texts(&self, owner: &str) -> Vec<String> {
        let items = self.notifications(owner).await;
        items
            .iter()
            .map(|item| item["text"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn unread(&self, owner: &str) -> Value {
        self.get(&format!("/v1/users/{owner}/notifications/unread"))
            .await
            .ok(200)["unread"]
            .take()
    }

    /// A GET whose path is sent as it is: clients resolve dots first.
    pub(crate) async fn raw(&self, path: &str) -> Answer {
        raw(self.notification.listen, "GET", path, "").await
    }

    pub(crate) async fn stop(self) {
        for stop in &self.stops {
            stop.draining.cancel();
        }
        for ended in self.ended {
            ended.await.unwrap();
        }
    }
}
