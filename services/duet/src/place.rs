//! Where the pair is: on this laptop, under a `duet up`, or in a cluster. The verbs ask here, and see the same either way.

use crate::{
    channel_file::ChannelFile,
    cluster::{self, Cluster, Forwards},
    data_dir::DataDir,
    failure::Failure,
    running::Running,
};
use std::{path::Path, time::Duration};

/// Services send their spans this often under `duet up`; what they made last is surely there after twice that.
const EXPORTED: Duration = Duration::from_millis(1_000);

/// Which pair a verb is about.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) data: DataDir,
    #[command(flatten)]
    cluster: cluster::Options,
}

/// A pair as this process reaches it.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The base URLs of the two public ports.
    pub(crate) reaction: String,
    pub(crate) notification: String,
    /// Every process that takes part in the channel.
    pub(crate) participants: Vec<Participant>,
    /// None if there is no Jaeger.
    pub(crate) jaeger: Option<JaegerAt>,
    /// What leads there; the addresses are good as long as this is kept.
    #[allow(dead_code, reason = "kept, not read")]
    pub(crate) way: Option<Forwards>,
}

/// A process of one of the services.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    /// The service; in a cluster the pod.
    pub(crate) name: String,
    /// The service, as it is called on a laptop.
    pub(crate) service: String,
    /// The base URL of its internal port, or why it can't be asked.
    pub(crate) internal: Result<String, String>,
}

/// Jaeger, for this process and for a person.
#[derive(Debug, Clone)]
pub(crate) struct JaegerAt {
    /// The query API's base URL.
    pub(crate) query: String,
    /// The pages' base URL.
    pub(crate) page: String,
    /// The command that leads there, where one is needed first.
    pub(crate) way: Option<String>,
    /// After this time a request's spans have surely arrived.
    pub(crate) exported: Duration,
}

impl Place {
    /// The cluster, if the pair is in one.
    pub(crate) fn cluster(&self) -> Option<&cluster::Options> {
        Some(&self.cluster).filter(|it| it.are_given())
    }

    /// The flags that lead there.
    pub(crate) fn flags(&self) -> Vec<String> {
        let dir = self.data.given().map(|it| it.display().to_string());
        let dir = dir.map(|dir| ["--data-dir".to_owned(), dir]);
        let mut flags: Vec<_> = dir.into_iter().flatten().collect();
        flags.extend(self.cluster.flags());
        flags
    }

    /// On a laptop: the Channel document, this one or the one that the data directory names; and what runs here, if it watches that.
    pub(crate) fn channel_file(
        &self,
        named: Option<&Path>,
    ) -> Result<(ChannelFile, Option<Running>), Failure> {
        let running = self.data.running();
        let path = named
            .map(Path::to_owned)
            .or_else(|| running.as_ref().map(|it| it.channel.clone()))
            .unwrap_or_else(|| self.data.channel());
        let file = ChannelFile::read(&path).map_err(|failure| match path.exists() {
            true => failure,
            false => failure.hint("`duet up` makes one; or name one with --channel FILE. If the pair is in a Kubernetes cluster, say where with --namespace."),
        })?;
        // Another document than the one that the pair watches changes nothing there.
        let watched = running.filter(|it| {
            let watched = it.channel.canonicalize();
            watched.is_ok_and(|channel| channel == file.path())
        });
        Ok((file, watched))
    }

    /// The pair, which must run.
    pub(crate) async fn pair(&self) -> Result<Pair, Failure> {
        match self.cluster() {
            Some(options) => Cluster::connect(options).await?.pair().await,
            None => Ok(self.data.must_run()?.into()),
        }
    }
}

impl JaegerAt {
    /// The one that is named.
    pub(crate) fn named(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self {
            query: base.clone(),
            page: base,
            way: None,
            exported: EXPORTED,
        }
    }
}

impl From<Running> for Pair {
    fn from(running: Running) -> Self {
        let services = running.services().into_iter();
        let participants = services.map(|(name, at)| Participant {
            name: name.to_owned(),
            service: name.to_owned(),
            internal: Ok(at.internal.clone()),
        });
        Self {
            participants: participants.collect(),
            jaeger: running.jaeger.as_deref().map(JaegerAt::named),
            reaction: running.reaction.public,
            notification: running.notification.public,
            way: None,
        }
    }
}
