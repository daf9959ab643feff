//! The way to the Kubernetes API.

use std::time::Duration;

use kube::config::InferConfigError;
use kube::runtime::watcher;
use kube::{Client, Config};

/// How long the API server may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
/// How long one watch lasts before it is begun anew: what a connection that died unheard costs.
const WATCH: Duration = Duration::from_secs(60);

/// A cluster, and a namespace in it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    config: Config,
    pub(crate) namespace: String,
}

impl Cluster {
    /// The one that the pod is in, or that KUBECONFIG names; and its namespace, unless another is given. It asks nothing yet.
    ///
    /// # Errors
    /// If it can't be told where the API is.
    pub(crate) async fn find(namespace: Option<String>) -> Result<Cluster, InferConfigError> {
        let config = Config::infer().await?;
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        Ok(Cluster { config, namespace })
    }

    /// A client whose every request ends within this time.
    ///
    /// # Errors
    /// If what the configuration says makes no client.
    pub(crate) fn client(&self, answer: Duration) -> Result<Client, kube::Error> {
        let mut config = self.config.clone();
        config.connect_timeout = Some(answer);
        config.read_timeout = Some(answer);
        config.write_timeout = Some(answer);
        // The time that a connection was idle before is not the request's.
        config.reset_reader_on_write = true;
        Client::try_from(config)
    }

    /// A client for watches by [`watch`].
    ///
    /// # Errors
    /// As [`Cluster::client`].
    pub(crate) fn watching(&self) -> Result<Client, kube::Error> {
        self.client(WATCH + ANSWER)
    }
}

/// How to watch.
pub(crate) fn watch() -> watcher::Config {
    let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
    watcher::Config::default().timeout(seconds)
}

/// What the API said, or why it could not be asked; kube's own text holds the whole answer besides.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
