//! `duet compare` really does to the pair what it measures, in both modes, and puts everything back, however it ends.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PATIENCE, Said, Up, duet};
use duet_testkit::{Exit, Process, running, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, process::Command};

/// A pair whose callers wait for half a second, so that a test need not wait longer.
struct Pair {
    up: Up,
    channel: String,
    dir: tempfile::TempDir,
}

impl Pair {
    async fn start(more: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("duet-compare-")
            .tempdir()
            .unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let document = duet_crd::EXAMPLE.replace("deadline: 2s ", "deadline: 500ms ");
        assert_ne!(document, duet_crd::EXAMPLE);
        std::fs::write(data.join("channel.yaml"), document).unwrap();
        let up = Up::start(&data, more).await;
        let mut pair = Self {
            up,
            channel: String::new(),
            dir,
        };
        pair.channel = pair.document();
        pair
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn document(&self) -> String {
        std::fs::read_to_string(self.data().join("channel.yaml")).unwrap()
    }

    /// A run in the background.
    fn comparing(&self, only: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
        command
            .args(["compare", "--tiny", "--data-dir"])
            .arg(self.data());
        for name in only {
            command.args(["--only", name]);
        }
        Process::spawn(
            "duet compare",
            command,
            &self.dir.path().join("compare.log"),
        )
    }

    /// What a run has noted of what it changed.
    fn journal(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.data().join("compare.json")).ok()?).ok()
    }

    async fn noted(&self, what: &str) {
        until(PATIENCE, || async {
            let journal = self.journal().unwrap_or_default();
            let is_there = journal[what].as_array().is_some_and(|it| !it.is_empty());
            is_there.then_some(()).ok_or(format!("{journal}"))
        })
        .await;
    }

    /// Everything is as it was: the document to the byte, each process, and nothing is noted any more.
    async fn as_before(&self) {
        until(PATIENCE, || async {
            let same = self.document() == self.channel && self.journal().is_none();
            let children = self.up.children();
            let all = ["nats", "notification", "reaction"];
            let run = all
                .iter()
                .all(|name| children.iter().any(|(it, pid)| it == name && running(*pid)));
            (same && run)
                .then_some(())
                .ok_or(format!("{children:?}: {}", self.document()))
        })
        .await;
        self.up.ready().await;
        let status = self.up.duet("status", &[]);
        assert!(!status.stdout.contains("duet compare"), "{status:?}");
    }
}

fn failures(traffic: &Value) -> u64 {
    let failed = traffic["failed"].as_object().unwrap();
    failed.values().map(|it| it.as_u64().unwrap()).sum()
}

/// What a run measured in both modes. Whatever it did, nothing may be lost, nor be there that should not.
fn both<'a>(scenarios: &'a Value, name: &str) -> [&'a Value; 2] {
    let both = ["sync", "async"].map(|mode| &scenarios[name][mode]);
    for figure in both {
        assert_eq!(figure.get("missing"), None, "{name}");
        if let Some(traffic) = figure.get("traffic") {
            assert_eq!(
                (&traffic["lost"], &traffic["surplus"]),
                (&0.into(), &0.into()),
                "{name}: {traffic:#}"
            );
            assert!(traffic["sent"].as_u64().unwrap() > 0, "{name}");
        }
    }
    both
}

fn measured(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

#[tokio::test]
async fn each_scenario_does_what_it_says_and_all_is_put_back() {
    let trending = [
        "--trending",
        "127.0.0.1:0",
        "--trending-internal",
        "127.0.0.1:0",
    ];
    let pair = Pair::start(&trending).await;
    let run = measured(&pair.up.duet("compare", &["--tiny", "--json"]));
    let scenarios = &run["measured"]["scenarios"];
    let versions = &run["measured"]["terms"]["versions"];
    for name in ["duet", "nats-server"] {
        assert!(versions[name].is_string(), "{versions}");
    }
    let none = serde_json::json!({});
    let failed = |figure: &Value| failures(&figure["traffic"]);
    let millis = |figure: &Value, field: &str| figure[field].as_f64().unwrap();
    let names = scenarios.as_object().unwrap().keys();
    let figures: BTreeMap<_, _> = names.map(|it| (it.as_str(), both(scenarios, it))).collect();

    let [sync, async_] = figures["baseline"];
    assert_eq!((failed(sync), failed(async_)), (0, 0));
    assert_eq!(sync["traffic"]["delivered"], sync["traffic"]["sent"]);
    assert_eq!(async_["traffic"]["accepted"], async_["traffic"]["sent"]);
    assert!(
        sync["traffic"]["freshness"]["samples"].as_u64() > Some(0),
        "{sync:#}"
    );
    assert!(sync["outcomes"]["notified"].as_u64() > Some(0), "{sync:#}");

    let [sync, async_] = figures["consistency"];
    assert_eq!(sync["atOnce"]["stale"], 0);
    for figure in [sync, async_] {
        assert_eq!(figure["withPosition"]["stale"], 0, "{figure:#}");
        assert!(
            figure["preferWait"]["delivered"].as_u64() > Some(0),
            "{figure:#}"
        );
    }

    // Callers wait for a slow receiver, for a job and for a hung one in Sync alone.
    for (name, at) in [("slow", "steps"), ("surge", "steps")] {
        let [sync, async_] = figures[name].map(|it| it[at].as_array().unwrap().last().unwrap());
        let p50 = |it: &Value| millis(&it["traffic"]["waitsOfAll"], "p50Ms");
        assert!(p50(sync) > 2.0 * p50(async_), "{name}: {sync:#} {async_:#}");
    }
    for name in ["longJob", "hung"] {
        let [sync, async_] = figures[name];
        assert!(
            sync["traffic"]["failed"]["504"].as_u64() > Some(0),
            "{sync:#}"
        );
        assert_eq!(async_["traffic"]["failed"], none, "{name}");
    }
    // Nor do callers in Async fail by one that is away, new, or can't.
    for name in ["absent", "redeployed", "failing"] {
        let [sync, async_] = figures[name];
        assert_eq!(async_["traffic"]["failed"], none, "{name}");
        assert!(name == "redeployed" || failed(sync) > 0, "{name}: {sync:#}");
    }
    let [_, async_] = figures["failing"];
    assert!(async_["parked"].as_u64() > Some(0), "{async_:#}");
    assert_eq!(async_["left"], 0);
    for name in ["brokerDown", "brokerWiped"] {
        for figure in figures[name] {
            assert_eq!(figure["traffic"]["failed"], none, "{name}: {figure:#}");
        }
    }
    let [sync, async_] = figures["secondReceiver"].map(|it| {
        let p50 = |of: &str| millis(&it[of]["waitsOfAll"], "p50Ms");
        p50("withSlow") - p50("alone")
    });
    assert!(sync > 150.0 && async_ < 100.0, "{sync} {async_}");
    pair.as_before().await;
}

#[tokio::test]
async fn one_that_is_interrupted_or_killed_leaves_nothing_changed_and_no_two_run_at_once() {
    let pair = Pair::start(&[]).await;

    // Ctrl-C while Notification hangs.
    let mut run = pair.comparing(&["hung"]);
    pair.noted("stopped").await;
    let second = pair.up.duet("compare", &["--tiny"]);
    assert_eq!(second.code, Some(4), "{second:?}");
    let status = pair.up.duet("status", &[]);
    assert!(
        status.stdout.contains(&format!("process {}", run.id())),
        "{status:?}"
    );
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended(PATIENCE).await, Exit::Code(1), "{}", run.output());
    pair.as_before().await;

    // Killed while Notification hangs, and while it is away: `duet up` puts it right.
    for (only, noted) in [("hung", "stopped"), ("absent", "down")] {
        let mut run = pair.comparing(&[only]);
        pair.noted(noted).await;
        run.kill();
        pair.as_before().await;
    }

    // Both killed: the next `duet up` does.
    let mut run = pair.comparing(&["absent"]);
    pair.noted("down").await;
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGSTOP).unwrap();
    let Pair {
        mut up,
        channel,
        dir,
    } = pair;
    up.process.kill();
    run.kill();
    let data = dir.path().join("data");
    std::fs::remove_file(data.with_extension("log")).unwrap();
    let up = Up::start(&data, &[]).await;
    let pair = Pair { up, channel, dir };
    pair.as_before().await;
}

#[test]
fn without_a_pair_it_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let said = duet(&[
        "compare",
        "--quick",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("duet up"), "{said:?}");
}
