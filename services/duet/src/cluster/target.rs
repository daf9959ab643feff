//! A port of a pod's: which pod, and how its port is opened.

use super::{
    connect::Cluster,
    pods::{self, Component},
    problem::Problem,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, Portforwarder},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// How long a connection waits for a pod that can be forwarded to.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Things that went wrong with one target that are told.
const TOLD: usize = 20;

/// What a port is forwarded to.
pub(super) struct Target {
    /// As a person knows it.
    what: String,
    pods: Api<Pod>,
    of: Of,
    pub(super) port: u16,
    /// What went wrong and was told.
    told: Mutex<BTreeSet<String>>,
}

enum Of {
    /// The pod that `what` names, and no other.
    Pod,
    /// Any that is selected.
    Any {
        selected: ListParams,
        /// The one that was chosen last.
        last: Mutex<Option<String>>,
    },
}

impl Target {
    /// This pod alone.
    pub(super) fn pod(cluster: &Cluster, pod: &str, port: u16) -> Self {
        Self::of(cluster, pod, Of::Pod, port)
    }

    /// Any pod of the component: always one that is there.
    pub(super) fn any(cluster: &Cluster, component: Component, port: u16) -> Self {
        let of = Of::Any {
            selected: cluster.of(component),
            last: Mutex::new(None),
        };
        Self::of(cluster, cluster.release.service(component), of, port)
    }

    fn of(cluster: &Cluster, what: &str, of: Of, port: u16) -> Self {
        Self {
            what: what.to_owned(),
            pods: cluster.pods(),
            of,
            port,
            told: Mutex::default(),
        }
    }

    /// Opens the port in a pod. Another one is chosen where the last has gone.
    pub(super) async fn open(&self) -> Result<Portforwarder, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let opened = timeout(PATIENCE, self.open_once()).await;
            let why = match opened {
                Ok(Ok(forwarder)) => return Ok(forwarder),
                Ok(Err(why)) => why,
                Err(_) => NotOpened::passing(format!("no answer within {PATIENCE:?}")),
            };
            self.forget();
            if matches!(self.of, Of::Pod) || !why.may_pass || Instant::now() >= deadline {
                return Err(why.told);
            }
            sleep(PAUSE).await;
        }
    }

    async fn open_once(&self) -> Result<Portforwarder, NotOpened> {
        let pod = self.chosen().await?;
        let opened = self.pods.portforward(&pod, &[self.port]).await;
        opened.map_err(|error| NotOpened::by(error, "open a port of a pod"))
    }

    async fn chosen(&self) -> Result<String, NotOpened> {
        let Of::Any { selected, last } = &self.of else {
            return Ok(self.what.clone());
        };
        if let Some(pod) = last.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(pod);
        }
        let pods = self.pods.list(selected).await;
        let pods = pods.map_err(|error| NotOpened::by(error, "list pods"))?;
        let chosen = pods::choose(&pods.items);
        let chosen = chosen.ok_or_else(|| NotOpened::passing("no pod of it runs".to_owned()))?;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(chosen.clone());
        Ok(chosen)
    }

    /// What the node says where a pod can't be connected to names namespaces, sandboxes and both families of addresses.
    pub(super) fn refused(&self, why: &str) -> String {
        match why.contains("connection refused") {
            true => format!("nothing listens on port {} of the pod", self.port),
            false => why.to_owned(),
        }
    }

    /// The same is told once, however many connections it meets.
    pub(super) fn tell(&self, why: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD && !told.contains(&why) {
            eprintln!("duet: forwarding to {}: {why}", self.what);
            told.insert(why);
        }
    }

    /// Another pod may be chosen the next time.
    pub(super) fn forget(&self) {
        if let Of::Any { last, .. } = &self.of {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Why a port could not be opened.
struct NotOpened {
    told: String,
    /// Whether it may be otherwise a moment later.
    may_pass: bool,
}

impl NotOpened {
    fn passing(told: String) -> Self {
        Self {
            told,
            may_pass: true,
        }
    }

    fn by(error: kube::Error, doing: &str) -> Self {
        let problem = Problem::from(error);
        Self {
            may_pass: problem.may_pass(),
            told: problem.failure(doing).to_string(),
        }
    }
}
