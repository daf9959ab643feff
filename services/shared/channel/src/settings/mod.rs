//! Where the settings in force come from, and how the rest of the process follows them.
//!
//! Whatever the source, the document is a Channel, held to the same rules; what is wrong with a new one never takes the
//! last good one out of force.

mod file; // a watched YAML file
mod follow; // what every source does with what it shows
#[cfg(feature = "kubernetes")]
mod kubernetes; // the Channels of a namespace, watched
mod last; // the last good document, kept beside the store
mod look; // one look at a file

use std::sync::Arc;

use async_trait::async_trait;
use duet_crd::Channel;
use duet_protocol::settings::Settings;
use duet_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use file::FileSource;
#[cfg(feature = "kubernetes")]
pub use kubernetes::{KubernetesError, KubernetesSource, Side, kubernetes_client};

/// What a source knows now.
#[derive(Clone, Debug)]
pub struct SettingsState {
    /// What is in force; none if this process' store has never seen a good Channel.
    pub current: Option<InForce>,
    /// Why the newest document is not in force, or not safely. None while all is well.
    pub problem: Option<Problem>,
    /// When the source last looked. This alone changes without waking who waits for a change.
    pub observed_at: Timestamp,
}

/// Settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The settings. Their generation is this store's own count, which only grows.
    pub settings: Arc<Settings>,
    /// The resource that they are, where they come from the Kubernetes API.
    pub resource: Option<Resource>,
    /// Since when, in this process.
    pub since: Timestamp,
    /// The document that they are from.
    pub document: Arc<Channel>,
}

impl InForce {
    /// The generation that whoever wrote the document knows: the resource's own, which begins anew when a Channel is deleted and
    /// made again, or else the store's.
    pub fn generation(&self) -> u64 {
        let own = self.resource.as_ref().map(|resource| resource.generation);
        own.unwrap_or(self.settings.generation.0)
    }
}

/// One version of a resource of the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Tells it from another that had its name before.
    pub uid: String,
    /// Its own generation.
    pub generation: u64,
}

/// Why the newest document is not in force, or not safely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is.
    pub trouble: Trouble,
    /// One line for status and logs.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        let message = message.into();
        Problem { trouble, message }
    }
}

/// What can be wrong with the newest document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It says what can't be.
    Invalid,
    /// There is none.
    Missing,
    /// All that there are could be read, and none is to this receiver: it has nothing to receive.
    NotAReceiver,
    /// An older one has what it wants.
    Refused,
    /// Whether there is a newer one can't be told.
    Unreachable,
    /// It is in force, but a restart would not know it.
    NotKept,
}

impl Trouble {
    /// The word, as a condition's reason is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Trouble::Invalid => "Invalid",
            Trouble::Missing => "Missing",
            Trouble::NotAReceiver => "NotAReceiver",
            Trouble::Refused => "Refused",
            Trouble::Unreachable => "Unreachable",
            Trouble::NotKept => "NotKept",
        }
    }

    /// Whether the newest document is in force; none if that can't be told.
    pub fn is_in_force(self) -> Option<bool> {
        match self {
            Trouble::Invalid | Trouble::Missing | Trouble::NotAReceiver | Trouble::Refused => {
                Some(false)
            }
            Trouble::Unreachable => None,
            Trouble::NotKept => Some(true),
        }
    }
}

impl SettingsState {
    /// The settings in force.
    pub fn settings(&self) -> Option<&Arc<Settings>> {
        self.current.as_ref().map(|current| &current.settings)
    }

    /// Why a process with these settings can't serve yet; none if it can. A bad document is no reason while an older one is in force.
    /// Nor is it one that no Channel is to a receiver: it serves its reads, and its Service leads to it before it joins.
    pub fn not_ready(&self) -> Option<&str> {
        match (&self.current, &self.problem) {
            (Some(_), _) => None,
            (None, Some(problem)) if problem.trouble == Trouble::NotAReceiver => None,
            (None, Some(problem)) => Some(&problem.message),
            (None, None) => Some(NEVER_SEEN),
        }
    }

    /// Whether the two differ in anything but when they were observed.
    fn differs(&self, other: &SettingsState) -> bool {
        self.current != other.current || self.problem != other.problem
    }
}

const NEVER_SEEN: &str = "no Channel has been seen yet";

/// A source of settings. It knows its first state when it is made, so that a process can start from it at once.
#[async_trait]
pub trait SettingsSource: Send {
    /// The state now and each change of it from here on.
    fn states(&self) -> watch::Receiver<SettingsState>;

    /// Follows the source until it is told to stop. Its owner awaits it; the states stay readable afterwards.
    async fn run(self: Box<Self>, stop: CancellationToken);
}
