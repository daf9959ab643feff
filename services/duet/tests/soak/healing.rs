use crate::{common::duet_command_on, stores::Backup};
use duet_history::Restored;
use duet_testkit::{Exit, Pair, Process, Service};
use serde_json::Value;
use std::{ops::Range, path::PathBuf, time::Duration};

/// Stores that are put back as they were, and `duet resync`, which makes all fit again.
#[derive(Default)]
pub(crate) struct Healing {
    copy: Option<(Backup, Range<Duration>)>,
    /// What was put back and is not healed; `healed` is yet to be known.
    open: Option<Restored>,
    resync: Option<Resync>,
    begun: usize,
}

/// A `duet resync` that runs.
struct Resync {
    process: Process,
    log: PathBuf,
}

impl Healing {
    /// Whether nothing is to be healed, and nothing is about to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.copy.is_none() && self.open.is_none() && self.resync.is_none()
    }

    /// Keeps a copy of a store that is in use.
    pub(crate) fn copy(&mut self, service: &Service, now: impl Fn() -> Duration) {
        let before = now();
        let copy = Backup::of(service);
        self.copy = Some((copy, before..now()));
    }

    /// Puts the copy in the place of the store of a service that does not run. What `duet resync` was about is gone, if it was about this.
    pub(crate) fn put_back(&mut self, service: &Service, put_back: Range<Duration>) {
        let (copy, copied) = self.copy.take().unwrap();
        copy.put_back(service);
        self.resync = None;
        let receiver = (service.name() != "reaction").then(|| service.name().into());
        self.open = Some(Restored {
            receiver,
            copied,
            healed: put_back.end,
            put_back,
        });
    }

    /// It serves again.
    pub(crate) fn serves(&mut self, now: Duration) {
        if let Some(open) = &mut self.open {
            open.put_back.end = open.put_back.end.max(now);
        }
    }

    /// Begins a resync, or follows one that is under way.
    pub(crate) fn resync(&mut self, pair: &Pair) {
        if self.resync.is_some() {
            return;
        }
        self.begun += 1;
        let log = format!("resync-{}.log", self.begun);
        let log = pair.channel().with_file_name(log);
        let flags = ["--yes", "--sweep-most", "--json"];
        let process = Process::spawn("duet resync", duet_command_on(pair, "resync", &flags), &log);
        self.resync = Some(Resync { process, log });
    }

    /// Looks whether a resync ended; what it healed, if something was to be. One that did not begin since then, or that could not be
    /// begun, is followed by another.
    pub(crate) fn look(&mut self, pair: &Pair, now: Duration) -> Option<Restored> {
        let resync = self.resync.as_mut()?;
        let exit = resync.process.exit()?;
        let said = resync.said();
        self.resync = None;
        let is_done = exit == Exit::Code(0)
            && said.is_some_and(|it| it["outcome"] == "done" && it["began"] == true);
        match is_done {
            true => self.open.take().map(|open| Restored {
                healed: now,
                ..open
            }),
            false => {
                if self.open.is_some() {
                    self.resync(pair);
                }
                None
            }
        }
    }
}

impl Resync {
    /// What it printed for programs.
    fn said(&self) -> Option<Value> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        let json = text.get(text.find('{')?..=text.rfind('}')?)?;
        serde_json::from_str(json).ok()
    }
}
