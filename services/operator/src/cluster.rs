//! The way to the Kubernetes API.

use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use duet_channel::settings::kubernetes_client;
use futures::{Stream, StreamExt, stream};
use kube::config::InferConfigError;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

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
        kubernetes_client(self.config.clone(), answer, Duration::ZERO)
    }

    /// A client for [`watch`].
    ///
    /// # Errors
    /// As [`Cluster::client`].
    pub(crate) fn watching(&self) -> Result<Client, kube::Error> {
        kubernetes_client(self.config.clone(), ANSWER, WATCH)
    }
}

/// What there is of a kind, and each change from then on. After an error it begins anew with what there is: a watch that is merely taken
/// up again says nothing while nothing changes, so that nobody would know that the API is back.
pub(crate) fn watch<K>(
    api: Api<K>,
    which: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
    let which = which.timeout(seconds);
    let until_an_error = move || {
        watcher(api.clone(), which.clone()).scan(false, |has_failed, event| {
            let told = (!*has_failed).then_some(event);
            *has_failed |= matches!(told, Some(Err(_)));
            ready(told)
        })
    };
    stream::repeat_with(until_an_error)
        .flatten()
        .default_backoff()
}

/// What the API said, or why it could not be asked; kube's own text holds the whole answer besides.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::api_server;
    use crate::stored::Stored;

    #[tokio::test]
    async fn after_an_error_a_watch_tells_all_there_is_although_nothing_changed() {
        let list = r#"{"metadata": {"resourceVersion": "1"}, "items": []}"#;
        let config = api_server(move |request, _| match request.contains("watch=true") {
            true => ("500 Internal Server Error", "{}".to_owned()),
            false => ("200 OK", list.to_owned()),
        });
        let client = Client::try_from(config.await).unwrap();
        let api: Api<Stored> = Api::namespaced(client, "demo");
        let events: Vec<_> = watch(api, watcher::Config::default())
            .map(|event| match event {
                Ok(Event::Init) => "asks",
                Ok(_) => "there is",
                Err(_) => "fails",
            })
            .take(5)
            .collect()
            .await;
        assert_eq!(events, ["asks", "there is", "fails", "asks", "there is"]);
    }
}
