//! A second receiver joins and leaves by an edit of the Channel while reactions come: it keeps what came while it was a member, has
//! nothing of what was accepted while it was none, and the other receiver lacks nothing. One that hangs holds up no other in Async, and fails calls in Sync by
//! its name.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PATIENCE, Up};
use duet_testkit::{Exit, Mode, Pair, until};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

const BOTH: &str = "[{name: notification}, {name: trending}]";
const ONE: &str = "[{name: notification}]";

/// Callers of a `duet up --trending`.
#[derive(Clone)]
struct Callers {
    http: reqwest::Client,
    told: Value,
    channel: PathBuf,
}

impl Callers {
    fn at(&self, service: &str, port: &str, path: &str) -> String {
        format!("{}{path}", self.told[service][port].as_str().unwrap())
    }

    async fn put(&self, path: &str, body: Value) -> u16 {
        let request = self.http.put(self.at("reaction", "public", path));
        let answer = request.json(&body).send().await.unwrap();
        answer.status().as_u16()
    }

    async fn get(&self, url: String) -> Value {
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn post(&self, post: &str) {
        let body = json!({"owner": "bob", "title": post});
        let status = self.put(&format!("/v1/posts/{post}"), body).await;
        assert!(status < 300, "{status}");
    }

    /// That many react to the post; all are accepted.
    async fn react(&self, post: &str, users: u64) {
        for user in 0..users {
            let path = format!("/v1/posts/{post}/reactions/user-{user}");
            let status = self.put(&path, json!({"kind": "like"})).await;
            assert!(status == 200 || status == 202, "{status}");
        }
    }

    /// Writes the receivers into the Channel, and waits until Reaction follows.
    async fn make_it_to(&self, receivers: &str) {
        let generation = async || {
            let told = self
                .get(self.at("reaction", "internal", "/v1/channel"))
                .await;
            told["observedGeneration"].as_u64().unwrap()
        };
        let before = generation().await;
        let text = std::fs::read_to_string(&self.channel).unwrap();
        let other = if receivers == BOTH { ONE } else { BOTH };
        assert!(text.contains(other), "{text}");
        std::fs::write(&self.channel, text.replace(other, receivers)).unwrap();
        until(PATIENCE, || async {
            let now = generation().await;
            (now > before).then_some(()).ok_or(now)
        })
        .await;
    }

    /// Waits until the post's count is this at Trending.
    async fn trends(&self, post: &str, count: u64) {
        let url = self.at("trending", "public", "/v1/trending?limit=500");
        self.is(url, post, count).await;
    }

    /// Waits until the post's count is this at Notification.
    async fn notified(&self, post: &str, count: u64) {
        let url = self.at(
            "notification",
            "public",
            "/v1/users/bob/notifications?limit=500",
        );
        self.is(url, post, count).await;
    }

    async fn is(&self, url: String, post: &str, count: u64) {
        until(PATIENCE, || async {
            let list = self.get(url.clone()).await;
            let items = list["items"].as_array().unwrap();
            let found = items.iter().find(|it| it["post"] == post);
            let counted = found.map_or(0, |it| it["count"].as_u64().unwrap());
            (counted == count)
                .then_some(())
                .ok_or(format!("{post}: {counted} of {count}"))
        })
        .await;
    }
}

#[tokio::test]
async fn trending_has_what_was_accepted_while_it_was_a_member_and_notification_has_all() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let free = [
        "--trending",
        "127.0.0.1:0",
        "--trending-internal",
        "127.0.0.1:0",
    ];
    let mut up = Up::start(&data, &free).await;
    let callers = Callers {
        http: reqwest::Client::new(),
        told: up.told(),
        channel: data.join("channel.yaml"),
    };
    callers.post("meanwhile").await;
    let (goes_on, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let traffic = {
        let (callers, goes_on, sent) = (callers.clone(), goes_on.clone(), sent.clone());
        tokio::spawn(async move {
            while goes_on.load(Ordering::Relaxed) {
                let user = sent.load(Ordering::Relaxed);
                let path = format!("/v1/posts/meanwhile/reactions/user-{user}");
                let status = callers.put(&path, json!({"kind": "like"})).await;
                assert!(status == 200 || status == 202, "{status}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for mode in ["sync", "async"] {
        let said = up.duet("mode", &[mode]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let post = |when: &str| format!("{when}-{mode}");
        for when in ["member", "gone", "again"] {
            callers.post(&post(when)).await;
        }
        callers.react(&post("member"), 20).await;
        // What has not come when it leaves never will: one that left frees the outbox.
        callers.trends(&post("member"), 20).await;
        callers.make_it_to(ONE).await;
        callers.react(&post("gone"), 20).await;
        callers.make_it_to(BOTH).await;
        callers.react(&post("again"), 20).await;
        for when in ["member", "gone", "again"] {
            callers.notified(&post(when), 20).await;
        }
        callers.trends(&post("again"), 20).await;
        callers.trends(&post("gone"), 0).await;
        callers.trends(&post("member"), 20).await;
    }
    goes_on.store(false, Ordering::Relaxed);
    traffic.await.unwrap();
    callers
        .notified("meanwhile", sent.load(Ordering::Relaxed))
        .await;
    up.process.terminate();
    assert_eq!(up.process.ended(PATIENCE).await, Exit::Code(0));
}

/// A pair with a second receiver, and a post; what opens the epoch is received.
async fn two_receivers(mode: Mode) -> Pair {
    let pair = Pair::builder(env!("CARGO_BIN_EXE_duet"), mode).trending();
    let pair = pair.start().await;
    pair.post("walk", "bob", "A walk").await;
    pair.drained().await;
    pair
}

/// How many notify the owner of the post.
async fn notified(pair: &Pair) -> u64 {
    let inbox = pair.inbox("bob").await;
    inbox.first().map_or(0, |it| it["count"].as_u64().unwrap())
}

/// How many events each receiver is not known to hold.
async fn waiting(pair: &Pair) -> Value {
    let mut told = pair.reaction.channel().await.unwrap();
    let receivers = told["receivers"].as_array_mut().unwrap().iter_mut();
    let of = |it: &mut Value| {
        (
            it["name"].as_str().unwrap().to_owned(),
            it["unacknowledged"].take(),
        )
    };
    receivers.map(of).collect()
}

#[tokio::test]
async fn in_async_a_receiver_that_hangs_delays_no_other_and_has_all_once_it_goes_on() {
    let pair = two_receivers(Mode::Async).await;
    pair.trending().pause();
    for user in 0..20 {
        let reply = pair.react(&format!("user-{user}"), "walk").await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    until(PATIENCE, || async {
        let now = (notified(&pair).await, waiting(&pair).await);
        let wanted = (20, json!({"notification": 0, "trending": 20}));
        (now == wanted).then_some(()).ok_or(format!("{now:?}"))
    })
    .await;
    pair.trending().resume();
    until(PATIENCE, || async {
        let count = pair.trends("walk").await;
        (count == 20).then_some(()).ok_or(count)
    })
    .await;
    pair.drained().await;
    assert_eq!(notified(&pair).await, 20);
}

#[tokio::test]
async fn in_sync_a_receiver_that_hangs_fails_calls_by_its_name_and_nothing_of_them_stays_at_the_other()
 {
    let pair = two_receivers(Mode::Sync).await;
    assert_eq!(pair.react("ana", "walk").await.status, 200);
    pair.trending().pause();
    for user in ["dan", "eve"] {
        let reply = pair.react(user, "walk").await;
        assert!(reply.status.is_server_error(), "{reply:?}");
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.contains("trending"), "{reply:?}");
        assert!(!detail.contains("notification"), "{reply:?}");
        assert_eq!(pair.reaction_of("walk", user).await, None);
    }
    // Taken back there too, while the other still hangs.
    until(PATIENCE, || async {
        let count = notified(&pair).await;
        (count == 1).then_some(()).ok_or(count)
    })
    .await;
    pair.trending().resume();
    pair.drained().await;
    assert_eq!((notified(&pair).await, pair.trends("walk").await), (1, 1));
    assert_eq!(pair.react("dan", "walk").await.status, 200);
    assert_eq!((notified(&pair).await, pair.trends("walk").await), (2, 2));
}
