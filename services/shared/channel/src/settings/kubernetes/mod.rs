//! Settings from the Kubernetes API: the Channel of this namespace that is this Service's, watched.
//!
//! [`Channels`] folds what the API says into what there is, and decides nothing on the way; the watcher here only carries. While the
//! API can't be asked, what is in force stays, and a process that starts goes on from what it kept.

mod channels; // which Channel is ours, and how long the API has been away
mod client; // the way to the API
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use duet_crd::names::ServiceName;
use duet_crd::{API_VERSION, GROUP, KIND, VERSION};
use futures::{Stream, StreamExt};
use kube::Config;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::channels::{Channels, Ours, Shown};
use super::follow::{Document, Follow, blocking};
use super::{SettingsSource, SettingsState};
use crate::clock::Clock;
use crate::pause::Pauses;

pub use self::channels::Side;
pub use self::client::kubernetes_client;

/// How long one watch lasts before it is asked for anew. One that says nothing for longer is given up: so long can a connection be
/// dead unnoticed.
const WATCH: Duration = Duration::from_secs(20);
/// What an answer may take, beyond what a watch lasts.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts to reach the API.
const PAUSES: Pauses = Pauses {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(3),
};
/// How often it is tried to keep a document that could not be kept.
const KEEP_AGAIN: Duration = Duration::from_secs(1);

/// The watched Channels of a namespace. A change of the one that is ours is in force well within a second.
pub struct KubernetesSource {
    api: Api<DynamicObject>,
    channels: Channels,
    clock: Clock,
    follow: Follow,
}

/// Why the Kubernetes API can't be known.
#[derive(Debug, thiserror::Error)]
#[error(
    "--service needs the Kubernetes API: run in a pod with a service account, or with KUBECONFIG ({cause})"
)]
pub struct KubernetesError {
    cause: String,
}

impl KubernetesError {
    fn because(error: impl Error) -> Self {
        let cause = error.to_string();
        KubernetesError { cause }
    }
}

impl KubernetesSource {
    /// Starts from what was kept in the data directory. The Channel is that of `service`, on this side of it, in the pod's namespace,
    /// or the one that KUBECONFIG names. It asks nothing yet.
    ///
    /// # Errors
    /// If it can't be told where the API is.
    pub async fn open(
        service: ServiceName,
        side: Side,
        data_dir: &Path,
        clock: Clock,
    ) -> Result<Self, KubernetesError> {
        let config = Config::infer().await.map_err(KubernetesError::because)?;
        let client = kubernetes_client(config, ANSWER, WATCH).map_err(KubernetesError::because)?;
        let namespace = client.default_namespace().to_owned();
        let channel = ApiResource {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            plural: "channels".to_owned(),
        };
        Ok(KubernetesSource {
            api: Api::namespaced_with(client, &namespace, &channel),
            channels: Channels::of(Ours {
                service,
                side,
                namespace,
            }),
            clock,
            follow: Follow::begin(data_dir),
        })
    }

    /// What the API says from now on, from everything there is now.
    fn events(&self) -> Events {
        let config =
            watcher::Config::default().timeout(u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX));
        watcher(self.api.clone(), config).boxed()
    }
}

type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event<DynamicObject>>> + Send>>;

#[async_trait]
impl SettingsSource for KubernetesSource {
    fn states(&self) -> watch::Receiver<SettingsState> {
        self.follow.states()
    }

    async fn run(mut self: Box<Self>, stop: CancellationToken) {
        let mut attempts = 0;
        let (mut events, mut from) = (self.events(), Instant::now());
        let mut judged = Shown::Nothing;
        loop {
            let next = async {
                sleep_until(from).await;
                events.next().await
            };
            let alarm = async {
                match self.channels.wake_at(self.clock.now()) {
                    Some(at) => sleep_until(self.clock.instant(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            let unkept = self.follow.is_unkept();
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = next => event,
                () = alarm => None,
                () = tokio::time::sleep(KEEP_AGAIN), if unkept => None,
            };
            let now = self.clock.now();
            match event {
                None => {}
                Some(Ok(event)) => self.channels.take(event),
                Some(Err(error)) => {
                    // A watch that lasted had reached the API: what ended it is news.
                    attempts = if from.elapsed() > WATCH {
                        1
                    } else {
                        attempts + 1
                    };
                    if let Some(cause) = absence(&error)
                        && self.channels.failed(&cause, now, self.clock.wall())
                    {
                        tracing::warn!("the Kubernetes API can't be asked for Channels: {cause}");
                    }
                    // Asked for everything anew: its answer is the sign that the API is back, where a mere watch says nothing.
                    (events, from) = (self.events(), Instant::now() + PAUSES.after(attempts));
                }
            }
            let shown = self.channels.shown(now);
            if shown == judged && !unkept {
                continue;
            }
            let shows = (shown != judged)
                .then(|| self.channels.document(&shown))
                .flatten();
            judged = shown;
            let following = blocking(move || {
                match shows {
                    Some(shows) => self.follow.judge(shows.map(known)),
                    None => self.follow.looked(),
                }
                self
            });
            self = match following.await {
                Some(source) => source,
                None => return,
            };
            self.follow.tell();
        }
    }
}

/// The document, after what in it is not known is told.
fn known((document, unknown): (Document, Vec<duet_crd::Problem>)) -> Document {
    let name = &document.channel.metadata.name;
    for field in unknown {
        tracing::warn!("channel/{name}: {field}; it is left aside");
    }
    document
}

/// Why the API can't be asked, for a person. None if it can, and only no longer knows what was watched: it tells all of it anew.
fn absence(error: &watcher::Error) -> Option<String> {
    let answer = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        watcher::Error::WatchError(status) => Some(status),
        _ => None,
    };
    match answer {
        Some(status) if status.code == 410 => None,
        Some(status) if status.code == 404 => {
            let says = "it knows no Channels: the definition channels.duet.dev is not installed";
            Some(says.to_owned())
        }
        Some(status) => Some(status.message.clone()),
        None => Some(why(error)),
    }
}

/// The innermost reason: "Connection refused" rather than that a request failed.
fn why(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => innermost.to_string(),
    }
}
