//! A `duet up` whose receivers give up after two attempts, and what is asked of it.

use super::common::{PATIENCE, Said, Up, duet};
use duet_testkit::{Answer, Process, answer, until};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command};
use tempfile::TempDir;

/// The requests that are under way at a time.
const AT_ONCE: usize = 16;
/// Two attempts, and hardly a wait.
const DELIVERY: &str = "  delivery: {maxAttempts: 2, backoff: {initial: 50ms, max: 100ms}}\n";

pub(crate) struct Stage {
    pub(crate) up: Up,
    pub(crate) http: reqwest::Client,
    told: Value,
    dir: TempDir,
}

impl Stage {
    /// In Async, with a post `walk` of bob's.
    pub(crate) async fn open(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("duet");
        std::fs::create_dir(&data).unwrap();
        let mut document = String::new();
        for line in duet_crd::EXAMPLE.lines() {
            match line {
                _ if line.starts_with("  delivery:") => {}
                "spec:" => document += &format!("spec:\n{DELIVERY}"),
                _ => document += &format!("{line}\n"),
            }
        }
        let document = document.replace("\n  mode: Sync", "\n  mode: Async");
        let document = match more.contains(&"--trending") {
            true => document.replace(
                "[{name: notification}]",
                "[{name: notification}, {name: trending}]",
            ),
            false => document,
        };
        std::fs::write(data.join("channel.yaml"), document).unwrap();
        let up = Up::start(&data, more).await;
        let stage = Self {
            told: up.told(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            up,
            dir,
        };
        stage.post("walk").await;
        stage
    }

    pub(crate) async fn post(&self, post: &str) {
        let url = self.at("reaction", "public", &format!("/v1/posts/{post}"));
        let body = json!({"owner": "bob", "title": post});
        answer(self.http.put(url).json(&body)).await.ok(201);
    }

    /// That many users react to the post; each is answered 202.
    pub(crate) async fn react(&self, post: &str, users: std::ops::Range<u32>, kind: &str) {
        let all = stream::iter(users).map(async |user| {
            let path = format!("/v1/posts/{post}/reactions/user-{user}");
            let url = self.at("reaction", "public", &path);
            answer(self.http.put(url).json(&json!({"kind": kind})))
                .await
                .ok(202);
        });
        all.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// That many users react, and each event becomes a dead letter at Notification.
    pub(crate) async fn dead(&self, users: u32) {
        self.fail(&[]);
        self.react("walk", 0..users, "like").await;
        self.until_dead("notification", users.into()).await;
    }

    /// Nothing can be applied any more.
    pub(crate) fn fail(&self, more: &[&str]) {
        let said = self
            .up
            .duet("faults", &[&["errorPercent=100"], more].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Everything can be applied again.
    pub(crate) fn mend(&self) {
        let said = self.up.duet("faults", &["off"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Waits until a receiver has that many dead letters and nothing parked.
    pub(crate) async fn until_dead(&self, receiver: &str, count: u64) {
        until(PATIENCE, || async {
            let told = self.channel(receiver).await;
            let is_so = told["deadLetters"] == count && told["parked"] == 0;
            is_so.then_some(()).ok_or(told.to_string())
        })
        .await;
    }

    /// Waits until Notification has that many dead letters, and that many that are parked.
    pub(crate) async fn until_left(&self, dead: u64, parked: u64) {
        until(PATIENCE, || async {
            let told = self.channel("notification").await;
            let is_so = told["deadLetters"] == dead && told["parked"] == parked;
            is_so.then_some(()).ok_or(told.to_string())
        })
        .await;
    }

    /// What a service tells of the channel.
    pub(crate) async fn channel(&self, service: &str) -> Value {
        self.get(service, "/v1/channel").await.ok(200)
    }

    /// A URL of a service that `duet up` told when it was ready.
    pub(crate) fn at(&self, service: &str, port: &str, path: &str) -> String {
        format!("{}{path}", self.told[service][port].as_str().unwrap())
    }

    /// GET on an internal port.
    pub(crate) async fn get(&self, service: &str, path: &str) -> Answer {
        answer(self.http.get(self.at(service, "internal", path))).await
    }

    /// POST on Notification's internal port.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Answer {
        let url = self.at("notification", "internal", path);
        answer(self.http.post(url).json(body)).await
    }

    /// `duet dead-letters VERB …`.
    pub(crate) fn letters(&self, verb: &str, args: &[&str]) -> Said {
        let data = self.data();
        duet(
            &[
                &["dead-letters", verb, "--data-dir", data.to_str().unwrap()],
                args,
            ]
            .concat(),
        )
    }

    /// The same, and the JSON that it prints.
    pub(crate) fn json(&self, verb: &str, args: &[&str]) -> Value {
        let said = self.letters(verb, &[args, &["--json"]].concat());
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// The same, beside the test.
    pub(crate) fn beside(&self, verb: &str, args: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
        command
            .args(["dead-letters", verb, "--data-dir"])
            .arg(self.data())
            .args(args);
        let log = self.dir.path().join(format!("{verb}.log"));
        Process::spawn("duet dead-letters", command, &log)
    }

    /// How many reactions to the post bob's inbox shows.
    pub(crate) async fn notified(&self, post: &str) -> u64 {
        let url = self.at("notification", "public", "/v1/users/bob/notifications");
        let list = answer(self.http.get(url)).await.ok(200);
        let groups = list["items"].as_array().unwrap();
        let group = groups.iter().find(|group| group["post"] == post);
        group.map_or(0, |group| group["count"].as_u64().unwrap())
    }

    /// How far Notification's last redrive has come.
    pub(crate) async fn progress(&self) -> Value {
        self.get("notification", "/v1/dead-letters/redrive")
            .await
            .ok(200)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("duet")
    }
}
