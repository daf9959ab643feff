//! A port of a pod's, on loopback, as `kubectl port-forward` does it: each connection is a WebSocket to the API server, which the node
//! carries on into the pod. Where the pod is gone, the next connection goes to its successor.

use super::{
    connect::Cluster,
    pods::{self, Component},
    problem::Problem,
};
use crate::failure::{Doing, Failure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, Portforwarder},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Connections that one port carries at a time; more are closed at once.
const CONNECTIONS: usize = 1_024;
/// How long a connection waits for a pod that can be forwarded to.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Ports that are forwarded. Dropped, they are closed, with every connection that they carry.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    listening: JoinSet<()>,
}

impl Forwards {
    /// To this pod alone. Returns the base URL here.
    pub(super) async fn pod(
        &mut self,
        cluster: &Cluster,
        pod: &str,
        port: u16,
    ) -> Result<String, Failure> {
        let to = Target {
            what: pod.to_owned(),
            pods: cluster.pods(),
            of: Of::Pod,
            port,
        };
        self.listen(to).await
    }

    /// To any pod of the component: always one that is there.
    pub(super) async fn any(
        &mut self,
        cluster: &Cluster,
        component: Component,
        port: u16,
    ) -> Result<String, Failure> {
        let of = Of::Any {
            selected: cluster.of(component),
            last: Mutex::new(None),
        };
        let what = cluster.release.service(component).to_owned();
        self.listen(Target {
            what,
            pods: cluster.pods(),
            of,
            port,
        })
        .await
    }

    async fn listen(&mut self, to: Target) -> Result<String, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.doing(|| "listen on 127.0.0.1".to_owned())?;
        let address = listener
            .local_addr()
            .doing(|| "listen on 127.0.0.1".to_owned())?;
        self.listening.spawn(carry_all(listener, Arc::new(to)));
        Ok(format!("http://{address}"))
    }
}

/// Carries every connection, until it is dropped.
async fn carry_all(listener: TcpListener, to: Arc<Target>) {
    let mut carried = JoinSet::new();
    let mut told = BTreeSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) if carried.len() < CONNECTIONS => {
                    carried.spawn(carry(connection, to.clone()));
                }
                Ok(_) => {}
                // This process has no file left for it; a moment later it may.
                Err(_) => sleep(PAUSE).await,
            },
            Some(ended) = carried.join_next() => {
                if let Ok(Err(why)) = ended && told.insert(why.clone()) {
                    eprintln!("duet: forwarding to {}: {why}", to.what);
                }
            }
        }
    }
}

/// One connection, to its end.
async fn carry(mut here: TcpStream, to: Arc<Target>) -> Result<(), String> {
    // Small requests and answers: none waits for another to fill a segment.
    let _ = here.set_nodelay(true);
    let mut forwarder = to.open().await?;
    let stream = forwarder.take_stream(to.port);
    let failed = forwarder.take_error(to.port);
    let (Some(mut there), Some(failed)) = (stream, failed) else {
        return Err(format!("port {} was not opened", to.port));
    };
    let failed = async {
        match failed.await {
            Some(why) => why,
            // Nothing was wrong, and nothing will be told any more.
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        // That either side hung up is for whoever uses the connection to judge.
        _ = copy_bidirectional(&mut here, &mut there) => Ok(()),
        why = failed => {
            to.forget();
            Err(to.refused(&why))
        }
    };
    forwarder.abort();
    outcome
}

/// What a port is forwarded to.
struct Target {
    /// As a person knows it.
    what: String,
    pods: Api<Pod>,
    of: Of,
    port: u16,
}

enum Of {
    /// The pod that `what` names.
    Pod,
    /// Any that is selected.
    Any {
        selected: ListParams,
        /// The one that was chosen last.
        last: Mutex<Option<String>>,
    },
}

impl Target {
    /// Opens the port in a pod. Another one is chosen where the last has gone.
    async fn open(&self) -> Result<Portforwarder, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let opened = timeout(PATIENCE, self.open_once()).await;
            let why = match opened {
                Ok(Ok(forwarder)) => return Ok(forwarder),
                Ok(Err(why)) => why,
                Err(_) => format!("no answer within {PATIENCE:?}"),
            };
            self.forget();
            if Instant::now() >= deadline {
                return Err(why);
            }
            sleep(PAUSE).await;
        }
    }

    async fn open_once(&self) -> Result<Portforwarder, String> {
        let pod = self.pod().await?;
        let opened = self.pods.portforward(&pod, &[self.port]).await;
        opened.map_err(|error| told(error, "open a port of a pod"))
    }

    async fn pod(&self) -> Result<String, String> {
        let Of::Any { selected, last } = &self.of else {
            return Ok(self.what.clone());
        };
        if let Some(pod) = last.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(pod);
        }
        let pods = self
            .pods
            .list(selected)
            .await
            .map_err(|error| told(error, "list pods"))?;
        let chosen = pods::choose(&pods.items).ok_or("no pod of it runs")?;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(chosen.clone());
        Ok(chosen)
    }

    /// What the node says where a pod can't be connected to names namespaces, sandboxes and both families of addresses.
    fn refused(&self, why: &str) -> String {
        match why.contains("connection refused") {
            true => format!("nothing listens on port {} of the pod", self.port),
            false => why.to_owned(),
        }
    }

    fn forget(&self) {
        if let Of::Any { last, .. } = &self.of {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn told(error: kube::Error, doing: &str) -> String {
    Problem::from(error).failure(doing).to_string()
}
