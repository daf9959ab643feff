//! One Reaction in this process, on free ports, over a store of its own.

use std::fs;
use std::path::PathBuf;

use duet_reaction::{Config, Error, run_until};
use duet_testkit::{Answer, answer, configured, listening, raw};
use duet_web::drain::Stop;
use duet_web::ports::Addresses;
use duet_web::service::Args;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) struct TestApp {
    pub(crate) addresses: Addresses,
    pub(crate) client: Client,
    stop: Stop,
    ended: JoinHandle<Result<(), Error>>,
    data_dir: TempDir,
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
        let addresses = listening(&store_dir.join(Addresses::FILE), &ended).await;
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
        raw(self.addresses.listen, method, path, body).await
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
    let config: Config = configured(&["--receiver=notification=http://127.0.0.1:9"]);
    Config {
        args: Args {
            data_dir,
            channel,
            ..config.args
        },
        ..config
    }
}
