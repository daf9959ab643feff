//! `duet up` keeps its children running, and leaves none behind.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PATIENCE, Up, duet};
use duet_testkit::{Exit, NatsServer, eventually, running, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{net::TcpListener, path::PathBuf};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("duet-up-")
                .tempdir()
                .unwrap(),
        )
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag_before_anything_starts() {
    let dir = Dir::new();
    let data = dir.data();
    let pages = cfg!(feature = "jaeger").then_some("--jaeger");
    let flags = [
        "--reaction",
        "--reaction-internal",
        "--notification",
        "--notification-internal",
    ];
    for flag in flags.into_iter().chain(pages) {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = duet(&["up", "--data-dir", data.to_str().unwrap(), flag, &address]);
        assert_eq!(said.code, Some(4), "{said:?}");
        assert!(said.stderr.contains(&address), "{said:?}");
        assert!(said.stderr.contains(&format!("{flag} ")), "{said:?}");
        assert!(!data.join("nats").exists() && !data.join("reaction").exists());
    }
}

#[tokio::test]
async fn a_service_alone_names_the_port_that_is_taken_too() {
    let dir = Dir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for service in ["reaction", "notification"] {
        let data = dir.data();
        let on = ["--data-dir", data.to_str().unwrap(), "--listen", &address];
        let said = duet(&[&["serve", service], &on[..]].concat());
        assert_eq!(said.code, Some(4), "{said:?}");
        assert!(
            said.stderr.contains(&address) && said.stderr.contains("--listen"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn with_trending_there_are_two_receivers_and_the_channel_is_to_both() {
    let dir = Dir::new();
    let free = [
        "--trending",
        "127.0.0.1:0",
        "--trending-internal",
        "127.0.0.1:0",
    ];
    let mut up = Up::start(&dir.data(), &free).await;
    let channel = std::fs::read_to_string(dir.data().join("channel.yaml")).unwrap();
    assert!(
        channel.contains("to: [{name: notification}, {name: trending}]"),
        "{channel}"
    );
    let welcome = up.process.output();
    let (reaction, trending) = (&up.told()["reaction"], &up.told()["trending"]);
    let trending = trending["public"].as_str().unwrap();
    assert!(
        welcome.contains(&format!("Trending      {trending}")),
        "{welcome}"
    );

    let http = reqwest::Client::new();
    let put = async |path: &str, body: &str| {
        let url = format!("{}{path}", reaction["public"].as_str().unwrap());
        let request = http.put(url).header("content-type", "application/json");
        request.body(body.to_owned()).send().await.unwrap().status()
    };
    put("/v1/posts/hello", r#"{"owner":"bob","title":"Hello"}"#).await;
    let counted = async |count: u64| {
        let answer = http.get(format!("{trending}/v1/trending")).send();
        let list: serde_json::Value = answer.await.unwrap().json().await.unwrap();
        list["items"][0]["count"] == count
    };
    let status = put("/v1/posts/hello/reactions/ana", r#"{"kind":"like"}"#).await;
    assert!(status == 200 && counted(1).await, "{status}");
    let said = up.duet("mode", &["async"]);
    for service in ["reaction", "notification", "trending"] {
        assert!(
            said.stdout.contains(&format!("{service} follows after")),
            "{said:?}"
        );
    }
    let status = put("/v1/posts/hello/reactions/eva", r#"{"kind":"like"}"#).await;
    assert_eq!(status, 202);
    eventually(PATIENCE, async || counted(2).await).await;
    let said = up.duet("status", &[]);
    assert!(
        said.code == Some(0) && said.stdout.contains("trending"),
        "{said:?}"
    );
    up.process.terminate();
    assert_eq!(up.process.ended(PATIENCE).await, Exit::Code(0));
}

#[tokio::test]
async fn a_data_directory_that_cant_be_made_is_named() {
    let dir = Dir::new();
    let file = dir.0.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let said = duet(&["up", "--data-dir", below.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains(below.to_str().unwrap()), "{said:?}");
    assert!(said.stderr.contains("--data-dir"), "{said:?}");
}

#[tokio::test]
async fn an_invalid_channel_is_refused_before_anything_starts() {
    let dir = Dir::new();
    let channel = dir.0.path().join("mine.yaml");
    std::fs::write(&channel, "kind: Channel\n").unwrap();
    let data = dir.data();
    let said = duet(&[
        "up",
        "--data-dir",
        data.to_str().unwrap(),
        "--channel",
        channel.to_str().unwrap(),
    ]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.stderr.contains("mine.yaml"), "{said:?}");
    assert!(!data.join("nats").exists());
}

#[tokio::test]
async fn a_second_one_on_the_same_directory_is_refused_and_changes_nothing() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    let told = up.told();
    let said = up.duet("up", &[]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(
        said.stderr.contains(&up.process.id().to_string()),
        "{said:?}"
    );
    assert_eq!(up.told(), told);
    assert_eq!(up.duet("status", &[]).code, Some(0));
}

#[tokio::test]
async fn a_child_that_is_killed_is_started_again_at_its_address() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    let before = up.told();
    for name in ["reaction", "notification", "nats"] {
        let killed = up.child(name).unwrap();
        signal(killed, Signal::SIGKILL);
        eventually(PATIENCE, || async {
            up.child(name).is_some_and(|pid| pid != killed)
        })
        .await;
    }
    up.ready().await;
    let after = up.told();
    for part in ["reaction", "notification", "nats", "jaeger"] {
        assert_eq!(after[part], before[part]);
    }
    let output = up.process.output();
    assert!(
        output.contains("duet: reaction ended (SIGKILL)"),
        "{output}"
    );
}

#[tokio::test]
async fn ctrl_c_stops_reaction_then_notification_then_the_broker() {
    let dir = Dir::new();
    let mut up = Up::start(&dir.data(), &[]).await;
    let children = up.children();
    assert_eq!(children.len(), 3);
    up.process.signal(Signal::SIGINT);
    assert_eq!(up.process.ended(PATIENCE).await, Exit::Code(0));
    for (name, pid) in children {
        assert!(!running(pid), "{name} still runs");
    }
    let output = up.process.output();
    let stopped: Vec<_> = output
        .lines()
        .filter(|line| line.ends_with(" has stopped"))
        .collect();
    assert_eq!(
        stopped,
        [
            "duet: reaction has stopped",
            "duet: notification has stopped",
            "duet: nats has stopped"
        ]
    );
    assert!(!dir.data().join("up.json").exists());
}

#[tokio::test]
async fn a_second_ctrl_c_ends_what_hangs() {
    let dir = Dir::new();
    let mut up = Up::start(&dir.data(), &["--grace", "600"]).await;
    let children = up.children();
    signal(up.child("reaction").unwrap(), Signal::SIGSTOP);
    up.process.signal(Signal::SIGINT);
    eventually(PATIENCE, || async {
        up.process.output().contains("Ctrl-C again")
    })
    .await;
    up.process.signal(Signal::SIGINT);
    assert_eq!(up.process.ended(PATIENCE).await, Exit::Code(1));
    for (name, pid) in children {
        assert!(!running(pid), "{name} still runs");
    }
}

#[tokio::test]
async fn what_was_killed_leaves_nothing_running_and_its_directory_to_the_next() {
    let dir = Dir::new();
    let mut up = Up::start(&dir.data(), &[]).await;
    let children = up.children();
    up.process.kill();
    if cfg!(target_os = "linux") {
        eventually(PATIENCE, || async {
            children.iter().all(|(_, pid)| !running(*pid))
        })
        .await;
    }
    assert_eq!(
        up.duet("status", &[]).code,
        Some(3),
        "a dead one is not taken for a running one"
    );
    let next = Up::start(&dir.data(), &[]).await;
    assert!(children.iter().all(|(_, pid)| !running(*pid)));
    assert_ne!(next.process.id(), up.process.id());
}

#[tokio::test]
async fn somebody_elses_broker_is_used_and_left_alone() {
    let dir = Dir::new();
    let nats = NatsServer::start().await;
    let mut up = Up::start(&dir.data(), &["--nats", &nats.url()]).await;
    assert_eq!(up.told()["nats"], nats.url());
    assert_eq!(up.child("nats"), None);
    up.process.signal(Signal::SIGINT);
    assert_eq!(up.process.ended(PATIENCE).await, Exit::Code(0));
    nats.client().await;
}

#[tokio::test]
async fn a_running_pair_follows_and_the_command_tells_how_soon() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    let said = up.duet("mode", &["async", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (&told["was"], &told["mode"]),
        (&"Sync".into(), &"Async".into())
    );
    for (at, service) in ["reaction", "notification"].iter().enumerate() {
        let followed = &told["followed"][at];
        assert_eq!(followed["service"], *service);
        assert!(followed["tookMs"].as_u64().unwrap() < 10_000, "{followed}");
    }
    let status = up.duet("status", &["--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["ready"], true);
    assert_eq!(
        status["services"][0]["channel"]["mode"], "Async",
        "{status}"
    );
}

#[tokio::test]
async fn status_tells_what_is_down_and_what_the_others_say() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    let hung = up.child("notification").unwrap();
    signal(hung, Signal::SIGSTOP);
    let said = up.duet("status", &[]);
    signal(hung, Signal::SIGCONT);
    assert_eq!(said.code, Some(3), "{said:?}");
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(
        lines[0].starts_with("reaction      ready  Sync"),
        "{said:?}"
    );
    assert!(
        lines
            .iter()
            .any(|it| it.starts_with("notification  down: no answer")),
        "{said:?}"
    );
    assert!(said.stderr.contains("not ready: notification"), "{said:?}");
}

#[tokio::test]
async fn status_says_that_something_keeps_events_from_getting_through_though_all_is_ready() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    assert_eq!(up.duet("status", &[]).code, Some(0));
    let channel = dir.data().join("channel.yaml");
    let document = std::fs::read_to_string(&channel).unwrap();
    let document = document.replacen("{name: notification}", "{name: nobody}", 1);
    std::fs::write(&channel, document).unwrap();
    eventually(PATIENCE, || async {
        up.duet("status", &[]).code == Some(9)
    })
    .await;
    let said = up.duet("status", &[]);
    assert!(
        said.stderr.contains("degraded: reaction: NoWay"),
        "{said:?}"
    );
}

#[tokio::test]
async fn status_says_that_the_newest_channel_is_not_in_force_though_all_is_ready() {
    let dir = Dir::new();
    let up = Up::start(&dir.data(), &[]).await;
    let channel = dir.data().join("channel.yaml");
    let good = std::fs::read_to_string(&channel).unwrap();
    let bad = good.replacen("mode: Sync", "mode: Later", 1);
    std::fs::write(&channel, bad).unwrap();
    until(PATIENCE, || async {
        let said = up.duet("status", &[]);
        let all = [
            "not accepted: reaction: Invalid; notification: Invalid",
            "still is",
        ];
        let says = all.iter().all(|told| said.stderr.contains(told));
        (says && said.code == Some(5))
            .then_some(())
            .ok_or(format!("{said:?}"))
    })
    .await;
    std::fs::write(&channel, good).unwrap();
    up.ready().await;
}
