//! Following a resync to its end.

use super::{
    print,
    told::{Inbox, Last, Stage, Told},
};
use crate::{
    failure::{Failure, Kind},
    place::{Pair, Place},
    signals::Signals,
};
use duet_web::words::counted;
use reqwest::Client;
use serde::Serialize;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Between two looks; longer where rows take long to count, but never longer than that.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// What following takes.
pub(super) struct Follow<'a> {
    pub(super) http: &'a Client,
    pub(super) place: &'a Place,
    /// Whether this command began it.
    pub(super) began: bool,
    /// Whether progress is not printed.
    pub(super) quiet: bool,
    pub(super) patience: Duration,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    /// Whether this command began it; else it was under way.
    began: bool,
    outcome: Outcome,
    took_ms: u128,
    /// The rows that were announced.
    announced: u64,
    receivers: Vec<Inbox>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    /// Every receiver holds what Reaction's store holds.
    Done,
    /// Ctrl-C: it goes on by itself.
    NotFollowed,
    /// It goes on by itself.
    Late,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Progress {
    last: Last,
    rows: u64,
    /// Each receiver that sweeps, and how many rows are left.
    sweeping: Vec<(String, u64)>,
    /// Receivers that do not fit, or that could not be asked, with what is wrong.
    wrong: Vec<String>,
}

impl Progress {
    fn of(told: &Told) -> Self {
        let inboxes = told.inboxes.iter();
        let sweeping = inboxes.filter_map(|it| Some((it.receiver.clone(), it.sweeping?.left)));
        let receivers = || told.sender.receivers.iter();
        let wrong = receivers().filter_map(|it| it.message.clone());
        let silent = receivers().filter_map(|it| {
            let why = told.held_by(&it.name).err()?;
            Some(format!("{} can't be asked: {why}", it.name))
        });
        Progress {
            last: told.sender.last.clone().unwrap_or_default(),
            rows: told.sender.rows,
            sweeping: sweeping.collect(),
            wrong: wrong.chain(silent).collect(),
        }
    }

    fn is_done(&self) -> bool {
        self.last.stage == Stage::Done && self.sweeping.is_empty() && self.wrong.is_empty()
    }
}

impl Follow<'_> {
    pub(super) async fn to_its_end(
        &self,
        pair: Pair,
        signals: &mut Signals,
    ) -> Result<End, Failure> {
        let since = Instant::now();
        let mut watched = Watched {
            pair,
            told: None,
            shown: None,
        };
        if !self.quiet {
            let begins = match self.began {
                true => "It is begun. Ctrl-C stops following it, and nothing else.",
                false => "One is under way already; this follows it.",
            };
            print(format_args!("{begins}\n"));
        }
        let outcome = tokio::select! {
            () = self.watch(&mut watched) => Outcome::Done,
            () = signals.stop() => Outcome::NotFollowed,
            () = tokio::time::sleep(self.patience) => Outcome::Late,
        };
        let (announced, receivers) = match watched.told {
            Some(told) => (told.sender.last.unwrap_or_default().announced, told.inboxes),
            None => (0, Vec::new()),
        };
        let end = End {
            began: self.began,
            outcome,
            took_ms: since.elapsed().as_millis(),
            announced,
            receivers,
        };
        if !self.quiet && outcome == Outcome::Done {
            print(&end);
        }
        Ok(end)
    }

    /// Ends with the resync.
    async fn watch(&self, watched: &mut Watched) {
        loop {
            let asked = Instant::now();
            let progress = match Told::of(self.http, &watched.pair.participants).await {
                Ok(told) => {
                    let progress = Progress::of(&told);
                    watched.told = Some(told);
                    progress
                }
                Err(failure) => {
                    // A process that was started again may be at another address.
                    if let Ok(pair) = self.place.pair().await {
                        watched.pair = pair;
                    }
                    Progress {
                        wrong: vec![failure.what().to_owned()],
                        ..watched.shown.clone().unwrap_or_default()
                    }
                }
            };
            if progress.is_done() {
                return;
            }
            if watched.shown.as_ref() != Some(&progress) {
                if !self.quiet {
                    print(format_args!("{progress}\n"));
                }
                watched.shown = Some(progress);
            }
            let [shortest, longest] = PAUSES;
            tokio::time::sleep((asked.elapsed() * 4).clamp(shortest, longest)).await;
        }
    }
}

struct Watched {
    pair: Pair,
    /// What was told last.
    told: Option<Told>,
    shown: Option<Progress>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress {
            last,
            rows,
            sweeping,
            wrong,
        } = self;
        match last.stage {
            Stage::Announcing => write!(f, "  announced {} of {rows}", last.announced)?,
            Stage::Sweeping | Stage::Done => write!(f, "  all announced")?,
        }
        if !last.waits_for.is_empty() {
            write!(f, "; waiting for {}", last.waits_for.join(" and "))?;
        }
        for (name, left) in sweeping {
            write!(f, "; {name} sweeps, {} left", counted(*left, "row"))?;
        }
        wrong.iter().try_for_each(|it| write!(f, "; {it}"))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let announced = counted(self.announced, "row");
        writeln!(f, "Done after {} ms: {announced} announced.", self.took_ms)?;
        for Inbox { receiver, rows, .. } in &self.receivers {
            writeln!(f, "{receiver} holds {}.", counted(*rows, "row"))?;
        }
        Ok(())
    }
}

impl End {
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let what = match self.outcome {
            Outcome::Done => return Ok(()),
            Outcome::NotFollowed => "the resync goes on, and is not followed any more",
            Outcome::Late => "the resync was not seen at its end in time; it goes on by itself",
        };
        Err(Failure::new(Kind::Late, what).hint("`duet resync` shows how far it is."))
    }
}
