//! Settings from a YAML file that is watched: what a laptop has, and what a mounted ConfigMap is.
//!
//! The file's content is compared, not its times: it may be written in place, renamed into place or be a link that is
//! turned to another file. A change counts once two looks in a row agree on it, so that a half-written file is seldom
//! judged; where it is, the last good settings stay, as they do for any bad document.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use duet_crd::Channel;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::follow::{Document, Follow, blocking};
use super::look::Look;
use super::{Problem, SettingsSource, SettingsState, Trouble};

/// How long after a look that showed nothing new the next one is.
const POLL: Duration = Duration::from_millis(100);
/// How long after a look that showed something new the one is that must agree with it.
const SETTLE: Duration = Duration::from_millis(20);

/// A watched file. A good change is in force well within a second.
pub struct FileSource {
    file: PathBuf,
    /// What the newest look showed.
    seen: Look,
    /// What two looks in a row agreed on: what is judged.
    settled: Look,
    follow: Follow,
}

impl FileSource {
    /// Reads the file, or what was kept in the data directory if there is no good one, or neither: then the state says so.
    ///
    /// Blocks for as long as reading two small files takes.
    pub fn open(file: impl Into<PathBuf>, data_dir: &Path) -> FileSource {
        let file = file.into();
        let seen = Look::at(&file);
        let mut source = FileSource {
            file,
            settled: seen.clone(),
            seen,
            follow: Follow::begin(data_dir),
        };
        source.follow.judge(source.document());
        source.follow.tell();
        source
    }

    fn is_settled(&self) -> bool {
        self.seen == self.settled
    }

    /// Looks once. Blocks.
    fn look(&mut self) {
        let look = Look::at(&self.file);
        let steady = look == self.seen;
        self.seen = look;
        if steady && !self.is_settled() {
            self.settled = self.seen.clone();
            self.follow.judge(self.document());
        } else {
            self.follow.looked();
        }
    }

    fn document(&self) -> Result<Document, Problem> {
        let problem = |why| {
            let trouble = match &self.settled {
                Look::Missing => Trouble::Missing,
                Look::Unreadable(_) => Trouble::Unreachable,
                Look::Content(_) => Trouble::Invalid,
            };
            Problem::new(trouble, format!("{} {why}", self.file.display()))
        };
        let text = self.settled.text().map_err(problem)?;
        let channel = Channel::from_yaml(text)
            .and_then(|channel| {
                let last = self.follow.last();
                last.map_or(Ok(()), |last| channel.may_follow(last))?;
                Ok(channel)
            })
            .map_err(|why| problem(format!("is no good: {why}")))?;
        let resource = None;
        Ok(Document { channel, resource })
    }
}

#[async_trait]
impl SettingsSource for FileSource {
    fn states(&self) -> watch::Receiver<SettingsState> {
        self.follow.states()
    }

    async fn run(mut self: Box<Self>, stop: CancellationToken) {
        loop {
            let pause = if self.is_settled() { POLL } else { SETTLE };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let looked = blocking(move || {
                self.look();
                self
            });
            self = match looked.await {
                Some(source) => source,
                None => return,
            };
            self.follow.tell();
        }
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
        let mut source = FileSource::open(&file, directory.path());
        let new = EXAMPLE.replace("mode: Sync ", "mode: Async ");

        // Every beginning of the document, each seen once.
        for end in (0..new.len()).step_by(100) {
            fs::write(&file, &new[..end]).unwrap();
            source.look();
            assert!(!source.is_settled());
            assert_eq!(source.follow.state().problem, None, "{end}");
        }
        fs::write(&file, &new).unwrap();
        source.look();
        let mode = |source: &FileSource| source.follow.state().settings().unwrap().mode;
        assert_eq!(mode(&source), Mode::Sync);
        source.look();
        assert_eq!(mode(&source), Mode::Async);
        assert!(source.is_settled());
    }

    #[test]
    fn whatever_bytes_are_there_a_look_never_panics() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("channel.yaml");
        let mut random = StdRng::seed_from_u64(4);
        fs::write(&file, EXAMPLE).unwrap();
        let mut source = FileSource::open(&file, directory.path());
        for _ in 0..200 {
            let noise: Vec<u8> = (0..random.random_range(0..300))
                .map(|_| random.random())
                .collect();
            fs::write(&file, noise).unwrap();
            source.look();
            source.look();
            let generation = source.follow.state().settings().unwrap().generation;
            assert_eq!(generation.0, 1);
        }
    }
}
