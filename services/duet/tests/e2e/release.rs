//! An installation of the chart in a namespace of its own, gone with the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use duet_testkit::{Process, until};
use serde_json::Value;

use crate::PATIENCE;
use crate::cli::{Helm, Said, kubectl, run, run_with};

/// How long a `helm --wait` may take.
const WAIT: &str = "--timeout=4m";

/// An installation.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) helm: Helm,
    pub(crate) name: &'static str,
    pub(crate) namespace: String,
    scratch: tempfile::TempDir,
}

/// Values for a test that is not about volumes: a cluster may have few of them.
pub(crate) const WITHOUT_VOLUMES: [&str; 4] = [
    "reaction.persistence.enabled=false",
    "notification.persistence.enabled=false",
    "trending.persistence.enabled=false",
    "nats.persistence.enabled=false",
];

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/duet")
}

/// The end of a name that no other run has.
pub(crate) fn unique() -> u32 {
    std::process::id()
}

impl Release {
    /// Installs the chart and waits until all is ready, as README says.
    pub(crate) async fn install(
        helm: Helm,
        name: &'static str,
        story: &str,
        values: &[&str],
    ) -> Self {
        let namespace = format!("e2e-{story}-{}", unique());
        kubectl(&["create", "namespace", &namespace]);
        // What the chart makes is held to the strictest of Kubernetes' own profiles.
        kubectl(&[
            "label",
            "namespace",
            &namespace,
            "pod-security.kubernetes.io/enforce=restricted",
        ]);
        let release = Self {
            helm,
            name,
            namespace,
            scratch: tempfile::tempdir().unwrap(),
        };
        release.reinstall(values).await;
        release
    }

    /// Installs again what was uninstalled.
    pub(crate) async fn reinstall(&self, values: &[&str]) {
        let chart = chart();
        let mut args = vec![
            "install",
            self.name,
            chart.to_str().unwrap(),
            "--wait",
            WAIT,
        ];
        args.extend(set(values));
        self.helm(&args).or_panic();
        self.ready().await;
    }

    /// Upgrades with more values, those of before kept.
    pub(crate) fn upgrade(&self, values: &[&str]) {
        let chart = chart();
        let mut args = vec![
            "upgrade",
            self.name,
            chart.to_str().unwrap(),
            "--wait",
            WAIT,
            "--reuse-values",
        ];
        args.extend(set(values));
        self.helm(&args).or_panic();
    }

    /// Uninstalls.
    pub(crate) fn uninstall(&self) {
        self.helm(&["uninstall", self.name, "--wait", WAIT])
            .or_panic();
    }

    /// Runs helm in the namespace.
    pub(crate) fn helm(&self, args: &[&str]) -> Said {
        run(
            self.helm.program(),
            [&["--namespace", &self.namespace], args].concat(),
        )
    }

    /// Runs kubectl in the namespace; it must succeed.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.namespace], args].concat())
    }

    /// Runs `duet` on this installation.
    pub(crate) fn duet(&self, verb: &str, args: &[&str]) -> Said {
        let of = ["--namespace", &*self.namespace];
        let all = verb.split(' ').chain(of).chain(args.iter().copied());
        run(env!("CARGO_BIN_EXE_duet"), all)
    }

    /// Applies a manifest in the namespace.
    pub(crate) fn apply(&self, manifest: &str) -> Said {
        run_with(
            "kubectl",
            ["--namespace", &self.namespace, "apply", "-f", "-"],
            manifest,
        )
    }

    /// The name of one of its parts: `duet-reaction` where the release is `duet`.
    pub(crate) fn part(&self, component: &str) -> String {
        // As the chart's names: a release that has the chart's name in its own isn't called by both.
        if self.name.contains("duet") {
            format!("{}-{component}", self.name)
        } else {
            format!("{}-duet-{component}", self.name)
        }
    }

    /// Waits for the Channel as README says.
    pub(crate) async fn ready(&self) {
        until(PATIENCE, || async {
            let wait = [
                "wait",
                "--for=condition=Ready",
                "channel/reactions",
                "--timeout=5s",
            ];
            let said = run(
                "kubectl",
                [&["--namespace", &self.namespace], &wait[..]].concat(),
            );
            if said.success {
                Ok(())
            } else {
                Err(format!("{}\n{:#}", said.stderr, self.channel_or_null()))
            }
        })
        .await;
        // What the senders said at their start has been received: the Services' ways are there too.
        self.status(PATIENCE, |status| status.condition("Drained") == "True")
            .await;
    }

    /// The Channel as the API server has it.
    pub(crate) fn channel(&self) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "channel", "reactions", "-o", "json"])).unwrap()
    }

    fn channel_or_null(&self) -> Value {
        let get = [
            "--namespace",
            &self.namespace,
            "get",
            "channel",
            "reactions",
            "-o",
            "json",
        ];
        serde_json::from_str(&run("kubectl", get).stdout).unwrap_or_default()
    }

    /// Waits until the Channel's status is as `wanted` says; returns the Channel.
    #[track_caller]
    pub(crate) fn status(
        &self,
        within: Duration,
        wanted: impl Fn(&Status<'_>) -> bool,
    ) -> impl Future<Output = Value> {
        until(within, move || {
            let channel = self.channel_or_null();
            let holds = wanted(&Status(&channel));
            async move {
                if holds {
                    Ok(channel)
                } else {
                    Err(format!("{:#}", channel["status"]))
                }
            }
        })
    }

    /// Patches the Channel, as README says.
    pub(crate) fn patch(&self, patch: &Value) {
        let patch = patch.to_string();
        let args = [
            "patch",
            "channel",
            "reactions",
            "--type=merge",
            "-p",
            &patch,
        ];
        self.kubectl(&args);
    }

    /// Patches the mode.
    pub(crate) fn patch_mode(&self, mode: &str) {
        self.patch(&serde_json::json!({"spec": {"mode": mode}}));
    }

    /// Waits until every pod does `mode`, and status says so of the newest generation.
    pub(crate) async fn follows(&self, mode: &str, within: Duration) {
        self.status(within, |status| {
            status.is_current() && status.mode() == mode && status.is_whole()
        })
        .await;
    }

    /// The one pod of a component.
    pub(crate) fn pod(&self, component: &str) -> String {
        let selector = format!(
            "app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
            self.name
        );
        let names = self.kubectl(&[
            "get",
            "pods",
            "-l",
            &selector,
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ]);
        let mut names = names.split_whitespace();
        let (Some(name), None) = (names.next(), names.next()) else {
            panic!("{component} isn't one pod: {names:?}")
        };
        name.to_owned()
    }

    /// A port-forward to a Service's port, as README has it.
    pub(crate) async fn forward(&self, component: &str, port: u16) -> Forward {
        Forward::to(self, &format!("service/{}", self.part(component)), port).await
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for args in [
                &["get", "pods,channels", "-o", "wide"][..],
                &["get", "events", "--sort-by=.lastTimestamp"],
                &[
                    "logs",
                    "--prefix",
                    "--tail=40",
                    "--selector=app.kubernetes.io/name=duet",
                    "--max-log-requests=20",
                ],
            ] {
                let said = run(
                    "kubectl",
                    [&["--namespace", &self.namespace], args].concat(),
                );
                eprintln!(
                    "--- kubectl {}\n{}{}",
                    args.join(" "),
                    said.stdout,
                    said.stderr
                );
            }
        }
        // The hook deletes the Channels, and so ends their finalizers.
        self.helm(&["uninstall", self.name, "--wait", WAIT]);
        run(
            "kubectl",
            [
                "delete",
                "namespace",
                &self.namespace,
                "--wait=true",
                "--timeout=120s",
            ],
        );
    }
}

fn set<'a>(values: &[&'a str]) -> Vec<&'a str> {
    values.iter().flat_map(|value| ["--set", value]).collect()
}

/// A Channel, as far as tests ask.
pub(crate) struct Status<'a>(pub(crate) &'a Value);

impl Status<'_> {
    /// What the pods do.
    pub(crate) fn mode(&self) -> &str {
        self.0["status"]["mode"].as_str().unwrap_or_default()
    }

    /// Whether status is about the newest generation.
    pub(crate) fn is_current(&self) -> bool {
        self.0["status"]["observedGeneration"] == self.0["metadata"]["generation"]
    }

    /// Whether all participants are ready, and none goes its own way.
    pub(crate) fn is_whole(&self) -> bool {
        let participants = &self.0["status"]["participants"];
        participants["ready"] == participants["total"] && self.diverging().is_empty()
    }

    /// The pods that don't follow.
    pub(crate) fn diverging(&self) -> Vec<&str> {
        let pods = self.0["status"]["participants"]["diverging"]
            .as_array()
            .into_iter()
            .flatten();
        pods.filter_map(|it| it["pod"].as_str()).collect()
    }

    /// A condition's status.
    pub(crate) fn condition(&self, name: &str) -> &str {
        let conditions = self.0["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let mut named = conditions.filter(|it| it["type"] == name);
        named
            .next()
            .and_then(|it| it["status"].as_str())
            .unwrap_or("absent")
    }
}

/// A `kubectl port-forward` that runs.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) url: String,
    #[expect(dead_code, reason = "it runs as long as it is held")]
    process: Process,
}

impl Forward {
    /// To a port of a Service or a pod.
    pub(crate) async fn to(release: &Release, target: &str, port: u16) -> Self {
        let mut command = Command::new("kubectl");
        command.args([
            "--namespace",
            &release.namespace,
            "port-forward",
            target,
            &format!(":{port}"),
        ]);
        let log = tempfile::Builder::new()
            .tempfile_in(release.scratch.path())
            .unwrap();
        let (_, log) = log.keep().unwrap();
        let process = Process::spawn("port-forward", command, &log);
        let url = until(PATIENCE, || async {
            let output = process.output();
            let from = output.split("Forwarding from 127.0.0.1:").nth(1);
            let port = from.and_then(|rest| rest.split_whitespace().next());
            port.map(|port| format!("http://127.0.0.1:{port}"))
                .ok_or(output.clone())
        })
        .await;
        Self { url, process }
    }
}
