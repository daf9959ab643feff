//! One Notification in this process and one Reaction that calls it, on free ports, each over a store of its own.

use std::fs;
use std::path::Path;

use clap::FromArgMatches;
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use duet_web::service::{Args, NatsArgs};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct TestApp {
    pub(crate) notification: Addresses,
    reaction: Addresses,
    pub(crate) client: Client,
    stops: [Stop; 2],
    ended: Vec<JoinHandle<()>>,
    _data_dir: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The answer is a problem of this type; gives its body.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, kind: &str) -> Value {
        let body = self.ok(status);
        assert_eq!(body["type"], format!("/problems/{kind}"), "{body}");
        body
    }
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
        };
        let dir = config.args.data_dir.clone();
        let stop = stops[0].clone();
        let receiving =
            tokio::spawn(async { duet_notification::run_until(config, stop).await.unwrap() });
        let notification = listening(&dir, &receiving).await;

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
        let reaction = listening(&dir, &sending).await;
        Self {
            notification,
            reaction,
            client: Client::new(),
            stops,
            ended: vec![receiving, sending],
            _data_dir: data_dir,
        }
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
        let mut stream = TcpStream::connect(self.notification.listen).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
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

/// A configuration on free ports.
fn configured<C: clap::Args + FromArgMatches>(more: &[&str]) -> C {
    let free = [
        "test",
        "--listen=127.0.0.1:0",
        "--internal-listen=127.0.0.1:0",
    ];
    let command = C::augment_args(clap::Command::new("test"));
    C::from_arg_matches(&command.get_matches_from(free.iter().chain(more))).unwrap()
}

async fn listening(data_dir: &Path, running: &JoinHandle<()>) -> Addresses {
    loop {
        if let Ok(addresses) = Addresses::read(data_dir) {
            return addresses;
        }
        assert!(!running.is_finished(), "it ended before it listened");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body }
}
