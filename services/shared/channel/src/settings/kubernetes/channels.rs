//! The Channels of a namespace as the API tells of them, and what that shows a process: which of them is its Service's, that there is
//! none, that an older one keeps it from being in force, or that the API is away.

use std::collections::BTreeMap;
use std::time::Duration;

use duet_crd::kubernetes::{Claim, Rival, rival};
use duet_crd::names::ServiceName;
use duet_crd::{API_VERSION, Channel, KIND};
use duet_protocol::time::{Moment, Timestamp};
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use crate::settings::follow::Document;
use crate::settings::{Problem, Resource as Version, Trouble};

/// For how long the API may be away before that is a problem: a restart of it is none.
const AWAY: Duration = Duration::from_secs(10);

/// On which side of a Channel a Service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It sends: the Channel is `from` it.
    From,
    /// It receives: it is among the Channel's `to`.
    To,
}

/// Whose Channel is looked for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) service: ServiceName,
    pub(super) side: Side,
    pub(super) namespace: String,
}

impl Ours {
    fn missing(&self) -> String {
        let Ours {
            service,
            side,
            namespace,
        } = self;
        let has = match side {
            Side::From => format!("from: {service}"),
            Side::To => format!("{service} under `to`"),
        };
        format!(
            "the namespace {namespace} has no Channel with {has}: apply one (kubectl get channels --namespace {namespace} lists what there is)"
        )
    }

    fn is(&self, spec: &Value) -> bool {
        let service = self.service.as_str();
        match self.side {
            Side::From => spec["from"] == service,
            Side::To => spec["to"]
                .as_array()
                .is_some_and(|to| to.iter().any(|receiver| receiver["name"] == service)),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Channels {
    ours: Ours,
    /// All of the namespace, by name; none before the first whole answer.
    there: Option<BTreeMap<String, Resource>>,
    /// The same of an answer that is not whole yet.
    listed: BTreeMap<String, Resource>,
    away: Option<Away>,
    /// The uid of the one that was ours last. It is followed still when it does not name a receiver any more: that it is to receive
    /// nothing is what it says.
    followed: Option<String>,
}

/// A Channel as the API has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    claim: Claim,
    version: Version,
    /// As much of it as is a document.
    document: Value,
}

/// Fields that the cluster's definition has and this version does not know.
type Unknown = Vec<duet_crd::Problem>;

/// The API can't be asked.
#[derive(Debug)]
struct Away {
    since: (Moment, Timestamp),
    cause: String,
}

/// What there is for a process to follow.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Nothing is known yet.
    Nothing,
    /// This Channel.
    Ours(Resource),
    /// There is none that is ours.
    Missing,
    /// The one of this name is ours, and not in force: an older one has what it wants.
    Refused(String, Rival),
    /// The API has been away since then, for longer than is usual.
    Away(Timestamp, String),
}

impl Channels {
    pub(super) fn of(ours: Ours) -> Self {
        Channels {
            ours,
            there: None,
            listed: BTreeMap::new(),
            away: None,
            followed: None,
        }
    }

    /// The API told of something.
    pub(super) fn take(&mut self, event: Event<DynamicObject>) {
        match event {
            // Said before anything is asked.
            Event::Init => return self.listed.clear(),
            Event::InitApply(object) => apply(&mut self.listed, object),
            Event::InitDone => self.there = Some(std::mem::take(&mut self.listed)),
            Event::Apply(object) => {
                apply(self.there.get_or_insert_default(), object);
            }
            Event::Delete(object) => {
                let there = self.there.get_or_insert_default();
                there.remove(&object.name_any());
            }
        }
        self.away = None;
        if let Some(Shown::Ours(resource)) = self.there.as_ref().map(|there| self.in_force(there)) {
            self.followed = Some(resource.version.uid);
        }
    }

    /// The API could not be asked. Whether that is news.
    pub(super) fn failed(&mut self, cause: &str, now: Moment, wall: Timestamp) -> bool {
        match &mut self.away {
            Some(away) => {
                // Once it is told, the sentence stays.
                if now.since(away.since.0) < AWAY {
                    cause.clone_into(&mut away.cause);
                }
                false
            }
            away => {
                *away = Some(Away {
                    since: (now, wall),
                    cause: cause.to_owned(),
                });
                true
            }
        }
    }

    pub(super) fn shown(&self, now: Moment) -> Shown {
        match (&self.away, &self.there) {
            (Some(Away { since, cause }), _) if now.since(since.0) >= AWAY => {
                Shown::Away(since.1, cause.clone())
            }
            (_, None) => Shown::Nothing,
            (_, Some(there)) => self.in_force(there),
        }
    }

    /// Of several that are ours the oldest that is in force.
    fn in_force(&self, there: &BTreeMap<String, Resource>) -> Shown {
        let mut ours: Vec<_> = there
            .values()
            .filter(|resource| self.ours.is(&resource.document["spec"]))
            .collect();
        ours.sort_by_key(|resource| &resource.claim);
        let mut refused = None;
        for resource in ours {
            let name = resource.claim.name();
            let claims = there.values().map(|resource| resource.claim.clone());
            match rival(name, claims.collect()) {
                None => return Shown::Ours(resource.clone()),
                Some(rival) => {
                    refused.get_or_insert_with(|| Shown::Refused(name.to_owned(), rival));
                }
            }
        }
        let is_followed = |resource: &&Resource| {
            self.ours.side == Side::To && self.followed.as_ref() == Some(&resource.version.uid)
        };
        let left = || there.values().find(is_followed).cloned().map(Shown::Ours);
        refused.or_else(left).unwrap_or(Shown::Missing)
    }

    /// When time alone changes what is shown.
    pub(super) fn wake_at(&self, now: Moment) -> Option<Moment> {
        let told = self.away.as_ref()?.since.0 + AWAY;
        (now < told).then_some(told)
    }

    /// What is shown as a document, with what in it this version does not know; or what is wrong with it.
    pub(super) fn document(&self, shown: &Shown) -> Option<Result<(Document, Unknown), Problem>> {
        Some(match shown {
            Shown::Nothing => return None,
            Shown::Ours(resource) => resource.document(),
            Shown::Missing => {
                let trouble = match self.ours.side {
                    Side::From => Trouble::Missing,
                    Side::To => Trouble::NotAReceiver,
                };
                Err(Problem::new(trouble, self.ours.missing()))
            }
            Shown::Refused(name, rival) => {
                let message = format!("channel/{name} is not in force: {rival}");
                Err(Problem::new(Trouble::Refused, message))
            }
            Shown::Away(since, cause) => {
                let since = jiff::Timestamp::from_second(since.micros() / 1_000_000)
                    .map(|since| format!(" since {since}"))
                    .unwrap_or_default();
                let message =
                    format!("the Kubernetes API can't be asked for Channels{since}: {cause}");
                Err(Problem::new(Trouble::Unreachable, message))
            }
        })
    }
}

fn apply(there: &mut BTreeMap<String, Resource>, object: DynamicObject) {
    there.insert(object.name_any(), Resource::from(object));
}

impl From<DynamicObject> for Resource {
    fn from(mut object: DynamicObject) -> Self {
        let claim = Claim::of(&object.metadata, &object.data["spec"]);
        let generation = object.metadata.generation;
        let version = Version {
            uid: object.metadata.uid.unwrap_or_default(),
            generation: generation.map_or(0, i64::cast_unsigned),
        };
        let document = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": claim.name(), "uid": version.uid, "generation": version.generation},
            "spec": object.data["spec"].take(),
        });
        Resource {
            claim,
            version,
            document,
        }
    }
}

impl Resource {
    fn document(&self) -> Result<(Document, Unknown), Problem> {
        let (channel, unknown) = Channel::from_cluster(&self.document).map_err(|problems| {
            let message = format!("channel/{} is no good: {problems}", self.claim.name());
            Problem::new(Trouble::Invalid, message)
        })?;
        let resource = Some(self.version.clone());
        Ok((Document { channel, resource }, unknown))
    }
}
