//! Settings from a YAML file that is watched: what a laptop has, and what a mounted ConfigMap is.
//!
//! The file's content is compared, not its times: it may be written in place, renamed into place or be a link that is
//! turned to another file. A change counts once two looks in a row agree on it, so that a half-written file is seldom
//! judged; where it is, the last good settings stay, as they do for any bad document.

use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duet_crd::Problems;
use duet_protocol::settings::Settings;
use duet_protocol::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::last::LastDocument;
use super::look::Look;
use super::{SettingsSource, SettingsState};

/// How long after a look that showed nothing new the next one is.
const POLL: Duration = Duration::from_millis(100);
/// How long after a look that showed something new the one is that must agree with it.
const SETTLE: Duration = Duration::from_millis(20);

/// A watched file. A good change is in force well within a second.
pub struct FileSource {
    follow: Follow,
    states: watch::Sender<SettingsState>,
}

impl FileSource {
    /// Reads the file, or what was kept in the data directory if there is no good one, or neither: then the state says so.
    ///
    /// Blocks for as long as reading two small files takes.
    pub fn open(file: impl Into<PathBuf>, data_dir: &Path) -> FileSource {
        let follow = Follow::begin(file.into(), data_dir);
        announce(None, &follow.state);
        let states = watch::Sender::new(follow.state.clone());
        FileSource { follow, states }
    }

    fn publish(&self) {
        self.states.send_if_modified(|state| {
            let new = &self.follow.state;
            let changed = new.differs(state);
            if changed {
                announce(Some(state), new);
            }
            *state = new.clone();
            changed
        });
    }
}

#[async_trait]
impl SettingsSource for FileSource {
    fn states(&self) -> watch::Receiver<SettingsState> {
        self.states.subscribe()
    }

    async fn run(mut self: Box<Self>, stop: CancellationToken) {
        loop {
            let pause = if self.follow.is_settled() {
                POLL
            } else {
                SETTLE
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let mut follow = self.follow;
            let looked = tokio::task::spawn_blocking(move || {
                follow.look();
                follow
            });
            self.follow = match looked.await {
                Ok(follow) => follow,
                Err(error) => match error.try_into_panic() {
                    Ok(cause) => panic::resume_unwind(cause),
                    // The runtime is shutting down.
                    Err(_) => return,
                },
            };
            self.publish();
        }
    }
}

/// What has been seen, and what follows from it. All its calls block.
struct Follow {
    file: PathBuf,
    last: LastDocument,
    /// Why what an earlier process kept is lost, if it is.
    lost: Option<String>,
    /// Why the last document is not on disk, if it isn't.
    unkept: Option<String>,
    /// What the newest look showed.
    seen: Look,
    /// What two looks in a row agreed on: what the state is about.
    settled: Look,
    /// What is wrong with that.
    refused: Option<String>,
    state: SettingsState,
}

impl Follow {
    fn begin(file: PathBuf, data_dir: &Path) -> Follow {
        let (last, lost) = LastDocument::open(data_dir);
        let seen = Look::at(&file);
        let current = last
            .channel()
            .and_then(|channel| Settings::try_from(channel).ok());
        let mut follow = Follow {
            file,
            last,
            lost,
            unkept: None,
            settled: seen.clone(),
            seen,
            refused: None,
            state: SettingsState {
                current: current.map(Arc::new),
                problem: None,
                not_kept: false,
                observed_at: now(),
            },
        };
        follow.judge();
        follow
    }

    fn is_settled(&self) -> bool {
        self.seen == self.settled
    }

    fn look(&mut self) {
        let look = Look::at(&self.file);
        let steady = look == self.seen;
        self.seen = look;
        self.state.observed_at = now();
        if steady && !self.is_settled() {
            self.settled = self.seen.clone();
            self.judge();
        } else if self.unkept.is_some() {
            self.keep();
            self.tell();
        }
    }

    /// Puts in force what was agreed on, or says why not.
    fn judge(&mut self) {
        self.refused = self.take().err();
        self.tell();
    }

    fn take(&mut self) -> Result<(), String> {
        let document = self.last.number(self.settled.channel()?);
        let settings = Settings::try_from(&document)
            .map_err(|problems: Problems| format!("is no good: {problems}"))?;
        if self.last.channel() != Some(&document) {
            self.last.replace(document);
            self.keep();
        }
        if self.state.current.as_deref() != Some(&settings) {
            self.state.current = Some(Arc::new(settings));
        }
        Ok(())
    }

    fn keep(&mut self) {
        let kept = self.last.keep();
        self.unkept = kept
            .err()
            .map(|error| format!("can't write {}: {error}", self.last.path().display()));
    }

    fn tell(&mut self) {
        let file = self.file.display();
        self.state.not_kept = self.refused.is_none() && self.unkept.is_some();
        self.state.problem = match (&self.refused, &self.state.current) {
            (Some(why), Some(current)) => {
                let generation = current.generation;
                Some(format!(
                    "{file} {why}; generation {generation} stays in force"
                ))
            }
            (Some(why), None) => {
                let lost = self.lost.iter().map(|lost| format!("; {lost}"));
                Some(format!(
                    "no Channel has been seen yet: {file} {why}{}",
                    lost.collect::<String>()
                ))
            }
            (None, _) => self.unkept.as_ref().map(|unkept| {
                format!("the Channel is in force, but a restart would not know it: {unkept}")
            }),
        };
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// Logs what is new, once.
fn announce(before: Option<&SettingsState>, now: &SettingsState) {
    let current_before = before.and_then(|state| state.current.as_ref());
    let problem_before = before.and_then(|state| state.problem.as_ref());
    if let Some(current) = now
        .current
        .as_ref()
        .filter(|current| Some(*current) != current_before)
    {
        tracing::info!(
            channel = current.channel,
            generation = current.generation.0,
            mode = current.mode.as_str(),
            "Channel in force"
        );
    }
    match &now.problem {
        Some(problem) if problem_before != Some(problem) => tracing::warn!("{problem}"),
        None if problem_before.is_some() => tracing::info!("the Channel is good again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use duet_crd::EXAMPLE;
    use duet_protocol::settings::Mode;

    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_judged_when_two_looks_agree() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("channel.yaml");
        fs::write(&file, EXAMPLE).unwrap();
        let mut follow = Follow::begin(file.clone(), directory.path());
        let new = EXAMPLE.replace("mode: Sync ", "mode: Async ");

        // Every beginning of the document, each seen once.
        for end in (0..new.len()).step_by(100) {
            fs::write(&file, &new[..end]).unwrap();
            follow.look();
            assert!(!follow.is_settled());
            assert_eq!(follow.state.problem, None, "{end}");
        }
        fs::write(&file, &new).unwrap();
        follow.look();
        assert_eq!(follow.state.current.as_ref().unwrap().mode, Mode::Sync);
        follow.look();
        assert_eq!(follow.state.current.as_ref().unwrap().mode, Mode::Async);
        assert!(follow.is_settled());
    }

    #[test]
    fn whatever_bytes_are_there_a_look_never_panics() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("channel.yaml");
        let mut random = StdRng::seed_from_u64(4);
        fs::write(&file, EXAMPLE).unwrap();
        let mut follow = Follow::begin(file.clone(), directory.path());
        for _ in 0..200 {
            let noise: Vec<u8> = (0..random.random_range(0..300))
                .map(|_| random.random())
                .collect();
            fs::write(&file, noise).unwrap();
            follow.look();
            follow.look();
            assert_eq!(follow.state.current.as_ref().unwrap().generation.0, 1);
        }
    }
}
