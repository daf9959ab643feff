//! Running the command in tests.

// Each test program uses its own part of this, and a step that fails is a test that fails.
#![allow(dead_code, clippy::unwrap_used)]

/// The command's own: a process by its id and its birth.
#[path = "../../src/process.rs"]
mod process;

use duet_testkit::{Pair, Process, until};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Far longer than anything takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a command that ended said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `duet` to its end.
pub(crate) fn duet(args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.args(args);
    ended(command)
}

fn ended(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a verb about a testkit's pair to its end.
pub(crate) fn duet_on(pair: &Pair, verb: &str, args: &[&str]) -> Said {
    ended(duet_command_on(pair, verb, args))
}

/// A verb about a testkit's pair, which it finds as it finds that of a `duet up`: its directory has the same parts.
pub(crate) fn duet_command_on(pair: &Pair, verb: &str, args: &[&str]) -> Command {
    let data_dir = pair.channel().parent().unwrap();
    let up = data_dir.join("up.json");
    if !up.exists() {
        let at = |service: &duet_testkit::Service| json!({"public": service.public(), "internal": service.internal()});
        let told = json!({
            "duet": process::Process::this().unwrap(),
            "channel": pair.channel(),
            "reaction": at(&pair.reaction),
            "notification": at(&pair.notification),
            "trending": pair.has_trending().then(|| at(pair.trending())),
            "nats": pair.nats.url(),
            "jaeger": null,
            "otlp": null,
            "children": {},
        });
        std::fs::write(up, told.to_string()).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.args([verb, "--data-dir"]).arg(data_dir).args(args);
    command
}

/// A `duet up` on free ports.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) process: Process,
    data_dir: PathBuf,
}

impl Up {
    /// Starts it and waits until it says that all is ready.
    pub(crate) async fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
        command.args(["up", "--data-dir"]).arg(data_dir);
        for port in [
            "--reaction",
            "--reaction-internal",
            "--notification",
            "--notification-internal",
        ] {
            command.args([port, "127.0.0.1:0"]);
        }
        command.args(["--jaeger", "127.0.0.1:0"]).args(more);
        let log = data_dir.with_extension("log");
        let up = Self {
            process: Process::spawn("duet up", command, &log),
            data_dir: data_dir.to_owned(),
        };
        until(PATIENCE, || async {
            let output = up.process.output();
            if output.contains("The pair is up") {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
        up
    }

    /// Runs another verb on its data directory.
    pub(crate) fn duet(&self, verb: &str, args: &[&str]) -> Said {
        let data_dir = self.data_dir.to_str().unwrap();
        duet(&[&[verb, "--data-dir", data_dir], args].concat())
    }

    /// Waits until both services are ready again.
    pub(crate) async fn ready(&self) {
        until(PATIENCE, || async {
            let said = self.duet("status", &[]);
            if said.code == Some(0) {
                Ok(())
            } else {
                Err(format!("{said:?}"))
            }
        })
        .await;
    }

    /// What it tells the other verbs.
    pub(crate) fn told(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data_dir.join("up.json")).unwrap()).unwrap()
    }

    /// The process ids of its children, by name.
    pub(crate) fn children(&self) -> Vec<(String, u32)> {
        let told = self.told();
        let children = told["children"].as_object().unwrap();
        let pid = |child: &Value| child["pid"].as_u64().unwrap().try_into().unwrap();
        children
            .iter()
            .map(|(name, child)| (name.clone(), pid(child)))
            .collect()
    }

    pub(crate) fn child(&self, name: &str) -> Option<u32> {
        self.children()
            .into_iter()
            .find(|(it, _)| it == name)
            .map(|(_, pid)| pid)
    }
}
