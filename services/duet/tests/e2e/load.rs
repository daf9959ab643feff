//! Load from within the cluster, as a Job with Duet's own image.

use std::time::Duration;

use duet_testkit::until;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::cli::run;
use crate::release::Release;

/// A `duet load` that runs in the cluster, or has.
pub(crate) struct Load<'a> {
    release: &'a Release,
    lasts: Duration,
}

const NAME: &str = "load";

impl<'a> Load<'a> {
    /// Begins; afterwards reactions come.
    pub(crate) async fn start(release: &'a Release, rate: u32, lasts: Duration) -> Self {
        let reaction = release.part("reaction");
        let image = release.kubectl(&[
            "get",
            "deployment",
            &reaction,
            "-o",
            "jsonpath={.spec.template.spec.containers[0].image}",
        ]);
        let service = |component| format!("http://{}:8080", release.part(component));
        let args = [
            "load",
            "--json",
            "--rate",
            &rate.to_string(),
            "--for",
            &format!("{}s", lasts.as_secs()),
            "--reaction",
            &service("reaction"),
            "--notification",
            &service("notification"),
        ]
        .map(str::to_owned);
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": NAME},
            "spec": {"backoffLimit": 0, "template": {"spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": NAME, "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                }],
            }}},
        });
        release.apply(&job.to_string()).or_panic();
        until(PATIENCE, || async {
            let phase = release.kubectl(&[
                "get",
                "pods",
                "-l",
                "job-name=load",
                "-o",
                "jsonpath={.items[*].status.phase}",
            ]);
            if phase == "Running" {
                Ok(())
            } else {
                Err(phase)
            }
        })
        .await;
        Self { release, lasts }
    }

    /// Waits for its end; returns what it counted, of which nothing may be missing or doubled.
    pub(crate) async fn sound(self) -> Value {
        let of = ["--namespace", &self.release.namespace];
        until(self.lasts + PATIENCE, || async {
            let counts = [
                "get",
                "job",
                NAME,
                "-o",
                "jsonpath={.status.succeeded}/{.status.failed}",
            ];
            let counts = run("kubectl", [&of, &counts[..]].concat()).stdout;
            if counts.len() > 1 {
                Ok(())
            } else {
                Err("the load still runs")
            }
        })
        .await;
        let said = self.release.kubectl(&["logs", "job/load"]);
        self.release
            .kubectl(&["delete", "job", NAME, "--wait=true"]);
        // Around the object are lines of progress, and of what is worth saying.
        let from = said
            .find('{')
            .unwrap_or_else(|| panic!("no JSON in {said}"));
        let mut objects = serde_json::Deserializer::from_str(&said[from..]).into_iter::<Value>();
        let counted = objects
            .next()
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(
            (&counted["missing"], &counted["doubled"]),
            (&json!(0), &json!(0)),
            "{counted:#}"
        );
        assert!(counted["sent"].as_u64().unwrap() > 0, "{counted:#}");
        counted
    }
}
