//! Where the settings in force come from, and how the rest of the process follows them.
//!
//! Whatever the source, the document is a Channel, held to the same rules; what is wrong with a new one never takes the
//! last good one out of force. A cluster's source, the Kubernetes API, is one more implementation of [`SettingsSource`].

mod file; // a watched YAML file
mod last; // the last good document, kept beside the store
mod look; // one look at a file

use std::sync::Arc;

use async_trait::async_trait;
use duet_protocol::settings::Settings;
use duet_protocol::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use file::FileSource;

/// What a source knows now.
#[derive(Clone, Debug)]
pub struct SettingsState {
    /// The settings in force; none if this process' store has never seen a good Channel.
    pub current: Option<Arc<Settings>>,
    /// Why the newest document is not in force, or not safely: one line for status and logs. None while all is well.
    pub problem: Option<String>,
    /// The newest document is in force, but a restart would not know it: that is the problem.
    pub not_kept: bool,
    /// When the source last looked. This alone changes without waking who waits for a change.
    pub observed_at: Timestamp,
}

impl SettingsState {
    /// Why a process with these settings can't serve yet; none if it can. A bad document is no reason while an older one is in force.
    pub fn not_ready(&self) -> Option<&str> {
        match (&self.current, &self.problem) {
            (Some(_), _) => None,
            (None, Some(problem)) => Some(problem),
            (None, None) => Some("no Channel has been seen yet"),
        }
    }

    /// Whether the two differ in anything but when they were observed.
    fn differs(&self, other: &SettingsState) -> bool {
        self.current != other.current || self.problem != other.problem
    }
}

/// A source of settings. It knows its first state when it is made, so that a process can start from it at once.
#[async_trait]
pub trait SettingsSource: Send {
    /// The state now and each change of it from here on.
    fn states(&self) -> watch::Receiver<SettingsState>;

    /// Follows the source until it is told to stop. Its owner awaits it; the states stay readable afterwards.
    async fn run(self: Box<Self>, stop: CancellationToken);
}
