//! One Reaction in this process, on free ports, over a store of its own.

use std::fs;
use std::path::PathBuf;

use duet_reaction::{Config, Error, run_until};
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct TestApp {
    pub(crate) addresses: Addresses,
    pub(crate) client: Client,
    stop: Stop,
    ended: JoinHandle<Result<(), Error>>,
    data_dir: TempDir,
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
        assert_eq!(body["status"], status);
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| detail.ends_with('.')),
            "{body}"
        );
        body
    }
}

impl TestApp {
    /// In `Async` mode, without a broker: what is accepted stays in the outbox.
    pub(crate) async fn start() -> Self {
        Self::start_in("Async").await
    }

    pub(crate) async fn start_in(mode: &str) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let channel = data_dir.path().join("channel.yaml");
        let example = duet_crd::EXAMPLE.replace("mode: Sync", &format!("mode: {mode}"));
        fs::write(&channel, example).unwrap();
        Self::start_with(data_dir, channel).await
    }

    pub(crate) async fn start_with(data_dir: TempDir, channel: PathBuf) -> Self {
        let config = config(data_dir.path().join("reaction"), channel);
        let (stop, store_dir) = (Stop::by_hand(), config.args.data_dir.clone());
        let ended = tokio::spawn(run_until(config, stop.clone()));
        let addresses = loop {
            if let Ok(addresses) = Addresses::read(&store_dir) {
                break addresses;
            }
            if ended.is_finished() {
                panic!("it ended: {:?}", ended.await.unwrap());
            }
            tokio::task::yield_now().await;
        };
        Self {
            addresses,
            client: Client::new(),
            stop,
            ended,
            data_dir,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.addresses.listen);
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.put_text(path, body.to_string()).await
    }

    pub(crate) async fn put_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::PUT, path);
        answer(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    pub(crate) async fn put_post(&self, post: &str) {
        let body = json!({"owner": "bob", "title": format!("About {post}")});
        self.put(&format!("/v1/posts/{post}"), body).await.ok(201);
    }

    pub(crate) async fn react(&self, post: &str, user: &str, kind: &str) -> Answer {
        self.put(
            &format!("/v1/posts/{post}/reactions/{user}"),
            json!({"kind": kind}),
        )
        .await
    }

    /// A request whose path is sent as it is: clients resolve dots first.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addresses.listen).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn stop(self) {
        drop(self.stop_and_keep().await);
    }

    /// Stops it; what it wrote stays for a moment.
    pub(crate) async fn stop_and_keep(self) -> TempDir {
        self.stop.draining.cancel();
        self.ended.await.unwrap().unwrap();
        self.data_dir
    }
}

/// A configuration on free ports.
pub(crate) fn config(data_dir: PathBuf, channel: PathBuf) -> Config {
    use clap::{Args as _, FromArgMatches};
    use duet_web::service::Args;

    let arguments = [
        "reaction",
        "--listen=127.0.0.1:0",
        "--internal-listen=127.0.0.1:0",
        "--receiver=notification=http://127.0.0.1:9",
    ];
    let command = Config::augment_args(clap::Command::new("reaction"));
    let config = Config::from_arg_matches(&command.get_matches_from(arguments)).unwrap();
    Config {
        args: Args {
            data_dir,
            channel,
            ..config.args
        },
        ..config
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body }
}
