//! What every source does with what it shows: a document is judged, put in force, kept and told of in one way.

use std::panic;
use std::path::Path;
use std::sync::Arc;

use duet_crd::{Channel, Problems};
use duet_protocol::settings::Settings;
use duet_protocol::time::Timestamp;
use tokio::sync::watch;

use super::last::LastDocument;
use super::{InForce, NEVER_SEEN, Problem, Resource, SettingsState, Trouble};

/// A document, and which version of which resource it is, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) channel: Channel,
    pub(super) resource: Option<Resource>,
}

/// What is in force, and what is wrong with what is newer. Its calls block where nothing else is said: on disk, not for long.
pub(super) struct Follow {
    last: LastDocument,
    /// Why what an earlier process kept is lost, if it is.
    lost: Option<String>,
    /// Why the last document is not on disk, if it isn't.
    unkept: Option<String>,
    /// What is wrong with what was shown last.
    refused: Option<Problem>,
    state: SettingsState,
    states: watch::Sender<SettingsState>,
}

impl Follow {
    /// Begins with what an earlier process kept in the data directory.
    pub(super) fn begin(data_dir: &Path) -> Follow {
        let (last, lost) = LastDocument::open(data_dir);
        let now = now();
        let in_force = |document: &Document| {
            Some(InForce {
                settings: Arc::new(Settings::try_from(&document.channel).ok()?),
                resource: document.resource.clone(),
                since: now,
                document: Arc::new(document.channel.clone()),
            })
        };
        let state = SettingsState {
            current: last.document().and_then(in_force),
            problem: None,
            observed_at: now,
        };
        announce(None, &state);
        Follow {
            last,
            lost,
            unkept: None,
            refused: None,
            states: watch::Sender::new(state.clone()),
            state,
        }
    }

    /// The states from here on.
    pub(super) fn states(&self) -> watch::Receiver<SettingsState> {
        self.states.subscribe()
    }

    /// The last good Channel.
    pub(super) fn last(&self) -> Option<&Channel> {
        self.last.document().map(|last| &last.channel)
    }

    /// What is to be told.
    #[cfg(test)]
    pub(super) fn state(&self) -> &SettingsState {
        &self.state
    }

    /// Whether the last document is still to be kept.
    pub(super) fn is_unkept(&self) -> bool {
        self.unkept.is_some()
    }

    /// Puts in force what the source shows now, or says why not.
    pub(super) fn judge(&mut self, shown: Result<Document, Problem>) {
        self.refused = shown.and_then(|document| self.take(document)).err();
        self.looked();
    }

    /// The source has looked, and shows what it showed before.
    pub(super) fn looked(&mut self) {
        self.state.observed_at = now();
        if self.is_unkept() {
            self.keep();
        }
        self.state.problem = self.problem();
    }

    fn take(&mut self, document: Document) -> Result<(), Problem> {
        let document = self.last.number(document);
        let settings = Settings::try_from(&document.channel).map_err(|problems: Problems| {
            let name = &document.channel.metadata.name;
            let message = format!("the Channel {name} is no good: {problems}");
            Problem::new(Trouble::Invalid, message)
        })?;
        let resource = document.resource.clone();
        let channel = Arc::new(document.channel.clone());
        if self.last.document() != Some(&document) {
            self.last.replace(document);
            self.keep();
        }
        match &mut self.state.current {
            Some(current) if *current.settings == settings => current.resource = resource,
            current => {
                *current = Some(InForce {
                    settings: Arc::new(settings),
                    resource,
                    since: now(),
                    document: channel,
                });
            }
        }
        Ok(())
    }

    fn keep(&mut self) {
        let kept = self.last.keep();
        self.unkept = kept
            .err()
            .map(|error| format!("can't write {}: {error}", self.last.path().display()));
    }

    fn problem(&self) -> Option<Problem> {
        let Some(Problem { trouble, message }) = &self.refused else {
            let unkept = self.unkept.as_ref()?;
            let message =
                format!("the Channel is in force, but a restart would not know it: {unkept}");
            return Some(Problem::new(Trouble::NotKept, message));
        };
        let message = match &self.state.current {
            Some(current) => {
                let generation = current.generation();
                format!("{message}; generation {generation} stays in force")
            }
            None => {
                let lost = self.lost.iter().map(|lost| format!("; {lost}"));
                format!("{NEVER_SEEN}: {message}{}", lost.collect::<String>())
            }
        };
        Some(Problem::new(*trouble, message))
    }

    /// Tells what came of it: to whoever follows, and to the log. Does not block.
    pub(super) fn tell(&self) {
        let before = self.states.borrow().clone();
        let changed = self.state.differs(&before);
        self.states.send_if_modified(|state| {
            state.clone_from(&self.state);
            changed
        });
        if changed {
            announce(Some(&before), &self.state);
        }
    }
}

/// Runs what blocks where that holds nothing up; none if the runtime is shutting down.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(cause) => panic::resume_unwind(cause),
            Err(_) => None,
        },
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// Logs what is new, once.
fn announce(before: Option<&SettingsState>, now: &SettingsState) {
    let settings_before = before.and_then(SettingsState::settings);
    if let Some(current) = now
        .current
        .as_ref()
        .filter(|current| Some(&current.settings) != settings_before)
    {
        tracing::info!(
            channel = current.settings.channel,
            generation = current.generation(),
            mode = current.settings.mode.as_str(),
            "Channel in force"
        );
    }
    let problem_before = before.and_then(|state| state.problem.as_ref());
    match &now.problem {
        Some(problem) if problem_before != Some(problem) => tracing::warn!("{}", problem.message),
        None if problem_before.is_some() => tracing::info!("the Channel is good again"),
        _ => {}
    }
}
