//! Which pods a component has, and which one to forward to.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// The services' ports, and that of Jaeger's pages.
pub(super) const PUBLIC: u16 = 8080;
pub(super) const INTERNAL: u16 = 8081;
pub(super) const JAEGER: u16 = 16686;

/// A part of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Reaction,
    Notification,
    Trending,
    Nats,
    Jaeger,
}

impl Component {
    /// As the label `app.kubernetes.io/component` has it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Reaction => "reaction",
            Self::Notification => "notification",
            Self::Trending => "trending",
            Self::Nats => "nats",
            Self::Jaeger => "jaeger",
        }
    }
}

/// The pods that take part, by name, and why one can't be asked. Those that have ended don't take part any more.
pub(super) fn participants(pods: &[Pod]) -> Vec<(String, Result<(), String>)> {
    let alive = pods
        .iter()
        .filter(|pod| !matches!(phase(pod), "Succeeded" | "Failed"));
    let mut told: Vec<_> = alive.map(|pod| (pod.name_any(), reachable(pod))).collect();
    told.sort();
    told
}

/// The pod to forward to: one that is ready, else one that runs; the newest of several.
pub(super) fn choose(pods: &[Pod]) -> Option<String> {
    let usable = pods
        .iter()
        .filter(|pod| reachable(pod).is_ok() && pod.metadata.deletion_timestamp.is_none());
    let chosen = usable.max_by_key(|pod| {
        let age = pod.creation_timestamp().map(|at| at.0);
        (is_ready(pod), age, pod.name_any())
    });
    chosen.map(ResourceExt::name_any)
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|it| it.phase.as_deref())
        .unwrap_or("Unknown")
}

/// Only what runs can be asked. Otherwise the reason, as `kubectl get pods` has it.
fn reachable(pod: &Pod) -> Result<(), String> {
    if phase(pod) == "Running" {
        return Ok(());
    }
    let containers = pod
        .status
        .iter()
        .flat_map(|it| it.container_statuses.iter().flatten());
    let mut waiting =
        containers.filter_map(|it| it.state.as_ref()?.waiting.as_ref()?.reason.clone());
    Err(waiting.next().unwrap_or_else(|| phase(pod).to_owned()))
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod
        .status
        .iter()
        .flat_map(|it| it.conditions.iter().flatten());
    conditions.any(|it| it.type_ == "Ready" && it.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, created: &str, status: Value) -> Pod {
        let pod =
            json!({"metadata": {"name": name, "creationTimestamp": created}, "status": status});
        serde_json::from_value(pod).unwrap()
    }

    fn ready(is: &str) -> Value {
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": is}]})
    }

    const EARLY: &str = "2026-11-24T10:00:00Z";
    const LATE: &str = "2026-11-24T11:00:00Z";

    #[test]
    fn a_ready_pod_is_forwarded_to_and_never_one_that_goes() {
        let old = pod("old", EARLY, ready("True"));
        let new = pod("new", LATE, ready("True"));
        let starting = pod("starting", LATE, ready("False"));
        let pending = pod("pending", LATE, json!({"phase": "Pending"}));
        let mut going = new.clone();
        going.metadata.deletion_timestamp = new.metadata.creation_timestamp.clone();
        for (pods, chosen) in [
            (vec![old.clone(), starting.clone()], Some("old")),
            (vec![old.clone(), new.clone()], Some("new")),
            (vec![going.clone(), old], Some("old")),
            (vec![pending.clone(), starting], Some("starting")),
            (vec![pending, going], None),
            (vec![], None),
        ] {
            assert_eq!(choose(&pods).as_deref(), chosen);
        }
    }

    #[test]
    fn a_pod_that_does_not_run_says_why() {
        let image = json!([{"name": "reaction", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull"}}}]);
        let pods = [
            pod(
                "b",
                EARLY,
                json!({"phase": "Pending", "containerStatuses": image}),
            ),
            pod("a", EARLY, ready("False")),
            pod("c", EARLY, json!({"phase": "Failed"})),
            pod("d", EARLY, json!({"phase": "Pending"})),
        ];
        let told: Vec<_> = participants(&pods)
            .into_iter()
            .map(|(name, reachable)| format!("{name} {}", reachable.err().unwrap_or_default()))
            .collect();
        assert_eq!(told, ["a ", "b ErrImagePull", "d Pending"]);
    }
}
