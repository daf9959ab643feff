//! Reactions, by people who sit outside and have a port-forward.

use serde_json::{Value, json};

use duet_testkit::until;

use crate::PATIENCE;
use crate::release::{Forward, Release};

/// Port-forwards to both services.
#[derive(Debug)]
pub(crate) struct Callers {
    reaction: Forward,
    notification: Forward,
    http: reqwest::Client,
}

/// What Reaction answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) trace: String,
    #[expect(dead_code, reason = "shown when a test fails")]
    pub(crate) body: Value,
}

impl Callers {
    pub(crate) async fn of(release: &Release) -> Self {
        Self {
            reaction: release.forward("reaction", 8080).await,
            notification: release.forward("notification", 8080).await,
            http: reqwest::Client::new(),
        }
    }

    /// Makes a post of Bob's.
    pub(crate) async fn post(&self, post: &str) {
        let url = format!("{}/v1/posts/{post}", self.reaction.url);
        let answer = self
            .http
            .put(url)
            .json(&json!({"owner": "bob", "title": post}))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Likes a post.
    pub(crate) async fn react(&self, post: &str, user: &str) -> Answer {
        let url = format!("{}/v1/posts/{post}/reactions/{user}", self.reaction.url);
        let answer = self
            .http
            .put(url)
            .json(&json!({"kind": "like"}))
            .send()
            .await
            .unwrap();
        let header = answer
            .headers()
            .get("traceresponse")
            .and_then(|it| it.to_str().ok());
        let trace = header
            .and_then(|it| it.split('-').nth(1))
            .unwrap_or_default()
            .to_owned();
        Answer {
            status: answer.status().as_u16(),
            trace,
            body: answer.json().await.unwrap(),
        }
    }

    /// Waits until Bob is told of exactly these users' reactions to the post, the latest first.
    pub(crate) async fn told(&self, post: &str, users: &[&str]) {
        self.group(post, |it| {
            it["count"] == users.len() && it["actors"] == json!(users)
        })
        .await;
    }

    /// Waits until Bob is told of so many reactions to the post, in whatever order they came.
    pub(crate) async fn counted(&self, post: &str, count: usize) {
        self.group(post, |it| it["count"] == count).await;
    }

    async fn group(&self, post: &str, is_right: impl Fn(&Value) -> bool) {
        let url = format!("{}/v1/users/bob/notifications", self.notification.url);
        until(PATIENCE, || async {
            let answer = self
                .http
                .get(&url)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            let list: Value = answer.json().await.map_err(|error| error.to_string())?;
            let group = list["items"]
                .as_array()
                .and_then(|items| items.iter().find(|it| it["post"] == post));
            if group.is_some_and(&is_right) {
                Ok(())
            } else {
                Err(list.to_string())
            }
        })
        .await;
    }
}
