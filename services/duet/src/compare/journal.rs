//! What a run has changed on a laptop and will put back, kept beside the pair: whoever finds it knows how, though the run was killed.
//!
//! It is also how a run asks `duet up` to keep a process down; `duet up` looks at it twenty times a second, and takes it for over once
//! the process that wrote it is no more.

use crate::{
    channel_file::ChannelFile,
    data_dir::{DataDir, Held},
    failure::{Doing, Failure, Kind},
    process::Process,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// In the data directory.
const FILE: &str = "compare.json";
const LOCK: &str = "compare.lock";
/// Where the document of before is put if another has its place.
const BEFORE: &str = "channel.before-compare.yaml";

/// What is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// The run.
    by: Process,
    since: jiff::Timestamp,
    /// The Channel document, as it was before the run.
    channel: PathBuf,
    before: String,
    /// What the run put in its place, the last two: any other was written by somebody else and is theirs.
    written: Vec<String>,
    /// The children of `duet up` that it is to keep down.
    pub(crate) down: BTreeSet<String>,
    /// The processes that were sent SIGSTOP.
    stopped: Vec<Process>,
}

impl Journal {
    /// Begins one, for this process alone. What an earlier run left is put back first.
    pub(crate) fn begin(data: &DataDir, channel: PathBuf) -> Result<(Self, Held), Failure> {
        let held = data.lock(LOCK)?.ok_or_else(|| {
            let by = Self::of(data).map(|it| format!(" (process {})", it.by.pid));
            let by = by.unwrap_or_default();
            let where_ = data.path().display();
            Failure::new(Kind::Taken, format!("another `duet compare`{by} runs on {where_}"))
                .hint("Each would change what the other measures. Wait for it, or stop it: it puts everything back.")
        })?;
        if let Some(left) = Self::of(data) {
            eprintln!("duet: {}", left.put_back(data)?);
        }
        let by = Process::this().ok_or_else(|| {
            Failure::new(Kind::Failed, "can't tell when this process was started")
        })?;
        let file = ChannelFile::read(&channel)?;
        let journal = Self {
            by,
            since: jiff::Timestamp::now(),
            channel,
            before: file.text().to_owned(),
            written: Vec::new(),
            down: BTreeSet::new(),
            stopped: Vec::new(),
        };
        data.keep(FILE, &journal)?;
        Ok((journal, held))
    }

    /// What a run has changed, or one that was killed.
    pub(crate) fn of(data: &DataDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.path().join(FILE)).ok()?).ok()
    }

    /// Whether the run is still there to put it back itself.
    pub(crate) fn is_under_way(&self) -> bool {
        self.by.is_running()
    }

    /// One line about it, for `duet status`.
    pub(crate) fn line(&self) -> String {
        let since = self.since.strftime("%H:%M:%SZ");
        match self.is_under_way() {
            true => format!(
                "a `duet compare` (process {}) runs since {since} and changes the Channel; it puts everything back",
                self.by.pid
            ),
            false => format!(
                "a `duet compare` that began at {since} was killed before it put everything back; a `duet up` here does so, or `duet compare --put-back`"
            ),
        }
    }

    /// The Channel document, as it was before.
    pub(super) fn before(&self) -> &str {
        &self.before
    }

    /// Writes a document in place of the one that was there.
    pub(super) fn write_channel(&mut self, data: &DataDir, text: String) -> Result<(), Failure> {
        let mut file = ChannelFile::read(&self.channel)?;
        if file.text() != self.before && !self.is_ours(file.text()) {
            let shown = self.channel.display();
            return Err(Failure::new(
                Kind::Failed,
                format!("{shown} was changed by somebody else during the run"),
            ));
        }
        // Known as ours before it is there, and the one that still is as well.
        self.written.drain(..self.written.len().saturating_sub(1));
        self.written.push(text.clone());
        data.keep(FILE, self)?;
        file.write(text)
    }

    /// Asks `duet up` to keep a child down.
    pub(crate) fn keep_down(&mut self, data: &DataDir, child: &str) -> Result<(), Failure> {
        self.down.insert(child.to_owned());
        data.keep(FILE, self)
    }

    /// Sends SIGSTOP to a process, which is noted first.
    pub(super) fn stop(&mut self, data: &DataDir, process: Process) -> Result<(), Failure> {
        self.stopped.push(process.clone());
        data.keep(FILE, self)?;
        process.stop_group();
        Ok(())
    }

    /// All that were stopped go on, and nothing is kept down; the Channel stays.
    pub(crate) fn go_on(&mut self, data: &DataDir) -> Result<(), Failure> {
        self.stopped.drain(..).for_each(|it| it.continue_group());
        self.down.clear();
        data.keep(FILE, self)
    }

    /// Puts all of it back and removes the file. Says what was done.
    pub(crate) fn put_back(&self, data: &DataDir) -> Result<String, Failure> {
        self.stopped.iter().for_each(Process::continue_group);
        let channel = self.put_channel_back(data)?;
        // A process that is kept down is started once this is gone.
        let _ = std::fs::remove_file(data.path().join(FILE));
        Ok(channel)
    }

    fn is_ours(&self, text: &str) -> bool {
        self.written.iter().any(|it| it == text)
    }

    fn put_channel_back(&self, data: &DataDir) -> Result<String, Failure> {
        let shown = self.channel.display();
        let now = std::fs::read_to_string(&self.channel).unwrap_or_default();
        if now == self.before {
            return Ok(format!("{shown} is as it was before `duet compare`"));
        }
        if !self.is_ours(&now) {
            let kept = data.path().join(BEFORE);
            std::fs::write(&kept, &self.before).doing(|| format!("write {}", kept.display()))?;
            return Ok(format!(
                "{shown} was changed by somebody else during `duet compare` and is left as it is; what it was before is in {}",
                kept.display()
            ));
        }
        ChannelFile::read(&self.channel)?.write(self.before.clone())?;
        Ok(format!(
            "{shown} is put back as it was before `duet compare`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        dir: tempfile::TempDir,
        data: DataDir,
    }

    impl Pair {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("channel.yaml"), duet_crd::EXAMPLE).unwrap();
            let data = DataDir::at(dir.path());
            Self { dir, data }
        }

        fn channel(&self) -> PathBuf {
            self.dir.path().join("channel.yaml")
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.channel()).unwrap()
        }
    }

    fn other(nth: usize) -> String {
        format!("# {nth}\n{}", duet_crd::EXAMPLE)
    }

    #[test]
    fn what_a_run_wrote_is_put_back_byte_for_byte_by_whoever_finds_the_journal() {
        let pair = Pair::new();
        let (mut journal, held) = Journal::begin(&pair.data, pair.channel()).unwrap();
        for nth in 0..4 {
            journal.write_channel(&pair.data, other(nth)).unwrap();
            assert_eq!(pair.text(), other(nth));
        }
        drop((journal, held));
        let left = Journal::of(&pair.data).unwrap();
        assert!(left.put_back(&pair.data).unwrap().contains("is put back"));
        assert_eq!(pair.text(), duet_crd::EXAMPLE);
        assert!(Journal::of(&pair.data).is_none());
    }

    #[test]
    fn one_that_was_killed_between_its_note_and_the_document_is_put_back_too() {
        let pair = Pair::new();
        let (mut journal, _held) = Journal::begin(&pair.data, pair.channel()).unwrap();
        journal.write_channel(&pair.data, other(1)).unwrap();
        journal.written.push(other(2));
        pair.data.keep(FILE, &journal).unwrap();
        Journal::of(&pair.data)
            .unwrap()
            .put_back(&pair.data)
            .unwrap();
        assert_eq!(pair.text(), duet_crd::EXAMPLE);
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_theirs() {
        let pair = Pair::new();
        let (mut journal, _held) = Journal::begin(&pair.data, pair.channel()).unwrap();
        journal.write_channel(&pair.data, other(1)).unwrap();
        std::fs::write(pair.channel(), other(7)).unwrap();
        journal.write_channel(&pair.data, other(2)).unwrap_err();
        let told = journal.put_back(&pair.data).unwrap();
        assert!(told.contains("somebody else"), "{told}");
        assert_eq!(pair.text(), other(7));
        let kept = std::fs::read_to_string(pair.dir.path().join(BEFORE)).unwrap();
        assert_eq!(kept, duet_crd::EXAMPLE);
    }

    #[test]
    fn two_runs_on_one_pair_are_one_too_many() {
        let pair = Pair::new();
        let first = Journal::begin(&pair.data, pair.channel()).unwrap();
        let second = Journal::begin(&pair.data, pair.channel()).unwrap_err();
        assert_eq!(second.kind(), Kind::Taken);
        assert!(second.to_string().contains("(process "), "{second}");
        drop(first);
        assert!(Journal::begin(&pair.data, pair.channel()).is_ok());
    }
}
