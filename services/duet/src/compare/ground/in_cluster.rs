//! A release: the Channel is a resource, a part is a Deployment or a StatefulSet. What the run has changed is noted on the Channel itself, so
//! that whoever finds it knows how to put it back.

use super::{PairPlace, Upset, Wanted};
use crate::{
    cluster::{Cluster, Component, Options, Standing},
    compare::wanted::{Faults, undoing},
    failure::{Doing, Failure, Kind},
    place::Pair,
    process::Process,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// How long pods may take to follow the Channel.
const FOLLOWED: Duration = Duration::from_secs(30);
/// How long a part may take to go or to come back: an image is there already, a volume may be moved.
const PATIENCE: Duration = Duration::from_secs(120);
/// A note that was not renewed for so long is that of a run that was killed.
const RENEWED: jiff::SignedDuration = jiff::SignedDuration::from_mins(4);
/// The parts that a run takes away.
const PARTS: [Component; 2] = [Component::Notification, Component::Nats];

/// The release, held by this run.
pub(in crate::compare) struct InCluster {
    cluster: Cluster,
    channel: Standing,
    before: Value,
    yaml: String,
    note: Note,
    now: Wanted,
}

/// What is changed, as an annotation of the Channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    by: Process,
    host: String,
    renewed: jiff::Timestamp,
    /// A merge patch that puts the spec back.
    undo: Value,
    /// How many pods each part had, by its component.
    replicas: BTreeMap<String, i64>,
}

impl Note {
    /// Whether the run is still there. One on another machine is believed to be for a while.
    fn is_under_way(&self, now: jiff::Timestamp) -> bool {
        match self.host == host() {
            true => self.by.is_running(),
            false => now.duration_since(self.renewed) < RENEWED,
        }
    }

    fn line(&self) -> String {
        let (host, pid) = (&self.host, self.by.pid);
        match self.is_under_way(jiff::Timestamp::now()) {
            true => format!(
                "a `duet compare` (process {pid} on {host}) runs and changes the Channel; it puts everything back"
            ),
            false => format!(
                "a `duet compare` (process {pid} on {host}) was killed before it put everything back; `duet compare --put-back` does"
            ),
        }
    }
}

/// What a run has changed in this release, for `duet status`.
pub(crate) async fn line(cluster: &Cluster, channel: &str) -> Option<String> {
    let (_, note) = cluster.document(channel).await.ok()?;
    Some(serde_json::from_str::<Note>(&note?).ok()?.line())
}

/// Puts back what a run left that was killed.
pub(super) async fn put_back_what_was_left(options: &Options) -> Result<String, Failure> {
    let cluster = Cluster::connect(options).await?;
    let channel = cluster.channel().await?;
    let left = left(&cluster, &channel).await?;
    Ok(
        left.unwrap_or_else(|| {
            format!("nothing is left of a `duet compare` on {}", channel.path())
        }),
    )
}

async fn left(cluster: &Cluster, channel: &Standing) -> Result<Option<String>, Failure> {
    let (_, note) = cluster.document(&channel.name).await?;
    let Some(note) = note else { return Ok(None) };
    let note: Note = serde_json::from_str(&note)
        .doing(|| format!("read what a `duet compare` noted on {}", channel.path()))?;
    if note.is_under_way(jiff::Timestamp::now()) {
        return Err(Failure::new(Kind::Taken, note.line())
            .hint("Each would change what the other measures. Wait for it, or stop it."));
    }
    put_back(cluster, channel, &note).await.map(Some)
}

async fn put_back(cluster: &Cluster, channel: &Standing, note: &Note) -> Result<String, Failure> {
    // All is tried, whatever fails; the note stays until all is done.
    let patched = cluster.patch_channel(&channel.name, &note.undo).await;
    let mut outcome = patched.map(|_| ());
    for part in PARTS {
        if let Some(replicas) = note.replicas.get(part.label()) {
            let scaled = give_back(cluster, part, *replicas).await;
            outcome = outcome.and(scaled);
        }
    }
    outcome?;
    cluster.note(&channel.name, None).await?;
    Ok(format!(
        "{} is put back as it was before `duet compare`",
        channel.path()
    ))
}

async fn give_back(cluster: &Cluster, part: Component, replicas: i64) -> Result<(), Failure> {
    if cluster.replicas(part).await? != Some(replicas) {
        cluster.scale(part, replicas).await?;
    }
    cluster.whole(part, PATIENCE).await
}

/// This machine, as others know it.
fn host() -> String {
    let name = nix::unistd::gethostname().ok();
    name.and_then(|it| it.into_string().ok())
        .unwrap_or_default()
}

impl InCluster {
    pub(super) async fn take(options: &Options) -> Result<Self, Failure> {
        let cluster = Cluster::connect(options).await?;
        let channel = cluster.channel().await?;
        if let Some(told) = left(&cluster, &channel).await? {
            eprintln!("duet: {told}");
        }
        let (before, _) = cluster.document(&channel.name).await?;
        let mut replicas = BTreeMap::new();
        for part in PARTS {
            if let Some(pods) = cluster.replicas(part).await? {
                replicas.insert(part.label().to_owned(), pods);
            }
        }
        let by = Process::this().ok_or_else(|| {
            Failure::new(Kind::Failed, "can't tell when this process was started")
        })?;
        let note = Note {
            by,
            host: host(),
            renewed: jiff::Timestamp::now(),
            undo: undoing(&before),
            replicas,
        };
        let yaml = serde_yaml_ng::to_string(&before).doing(|| "write a Channel".to_owned())?;
        let now = Wanted::calm(channel.mode);
        let mut held = Self {
            cluster,
            channel,
            before,
            yaml,
            note,
            now,
        };
        held.renew().await?;
        Ok(held)
    }

    /// Says that this run is still there, and what it will put back.
    async fn renew(&mut self) -> Result<(), Failure> {
        self.note.renewed = jiff::Timestamp::now();
        let note = serde_json::to_string(&self.note).doing(|| "write a note".to_owned())?;
        self.cluster.note(&self.channel.name, Some(&note)).await
    }

    pub(super) fn before(&self) -> (&str, &Value) {
        (&self.yaml, &self.before)
    }

    pub(super) async fn place(&self) -> Result<PairPlace, Failure> {
        let mut pods = BTreeMap::new();
        for part in [
            Component::Reaction,
            Component::Notification,
            Component::Nats,
        ] {
            if let Some(number) = self.cluster.replicas(part).await? {
                pods.insert(
                    part.label().to_owned(),
                    u32::try_from(number).unwrap_or_default(),
                );
            }
        }
        let (context, namespace) = self.cluster.named();
        Ok(PairPlace::Cluster {
            context,
            namespace,
            pods,
        })
    }

    pub(super) async fn versions(&self) -> BTreeMap<String, String> {
        let told = [
            ("kubernetes", self.cluster.version().await.ok()),
            (
                "nats-server",
                self.cluster.tag(Component::Nats).await.ok().flatten(),
            ),
        ];
        let told = told
            .into_iter()
            .filter_map(|(name, version)| Some((name.to_owned(), version?)));
        told.collect()
    }

    /// The name of a part of the release, as its Service has it.
    pub(super) fn part(&self, component: &str) -> String {
        self.cluster.part(component)
    }

    pub(super) async fn pair(&self) -> Result<Pair, Failure> {
        self.cluster.pair().await
    }

    pub(super) async fn apply(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        self.renew().await?;
        self.now = wanted.clone();
        self.set(wanted).await
    }

    async fn set(&self, wanted: &Wanted) -> Result<(), Failure> {
        let patch = wanted.patch(jiff::Timestamp::now());
        let patched = self
            .cluster
            .patch_channel(&self.channel.name, &patch)
            .await?;
        self.cluster.all_follow(&patched, FOLLOWED).await
    }

    pub(super) async fn upset(&mut self, what: Upset) -> Result<(), Failure> {
        self.renew().await?;
        match what {
            Upset::Hung => {
                let hung = Faults {
                    hang_percent: 100,
                    ..Faults::default()
                };
                self.set(&Wanted::with(self.now.mode, hung)).await
            }
            Upset::Absent => {
                self.keeps(Component::Notification).await?;
                self.take_down(Component::Notification).await
            }
            Upset::BrokerDown => self.take_down(self.broker()?).await,
            Upset::BrokerWiped => {
                let broker = self.broker()?;
                if self.cluster.keeps_its_store(broker).await? {
                    let what = "NATS' storage is on a volume, which a run doesn't touch";
                    return Err(Failure::new(Kind::Failed, what));
                }
                self.cluster.delete_pods(broker).await
            }
        }
    }

    pub(super) async fn mend(&mut self) -> Result<(), Failure> {
        self.renew().await?;
        for part in PARTS {
            if let Some(replicas) = self.note.replicas.get(part.label()) {
                give_back(&self.cluster, part, *replicas).await?;
            }
        }
        self.set(&self.now).await
    }

    pub(super) async fn redeploy(&mut self) -> Result<(), Failure> {
        self.keeps(Component::Notification).await?;
        self.cluster.restart(Component::Notification).await?;
        self.cluster.whole(Component::Notification, PATIENCE).await
    }

    /// A part whose store would be lost is not taken away.
    async fn keeps(&self, part: Component) -> Result<(), Failure> {
        if self.cluster.keeps_its_store(part).await? {
            return Ok(());
        }
        let what = format!(
            "{}'s store ends with its pod, and would be lost",
            part.label()
        );
        Err(Failure::new(Kind::Failed, what))
    }

    fn broker(&self) -> Result<Component, Failure> {
        let part = Component::Nats;
        let known = self.note.replicas.contains_key(part.label());
        known
            .then_some(part)
            .ok_or_else(|| Failure::new(Kind::NotRunning, "the broker is not the release's own"))
    }

    async fn take_down(&self, part: Component) -> Result<(), Failure> {
        self.cluster.scale(part, 0).await?;
        self.cluster.gone(part, PATIENCE).await
    }

    pub(super) async fn put_back(self) -> Result<String, Failure> {
        put_back(&self.cluster, &self.channel, &self.note).await
    }
}
