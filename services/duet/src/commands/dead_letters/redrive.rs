//! `duet dead-letters redrive`: tries letters again, and follows how far that has come.

use super::{
    ask::{Receiver, Refused},
    receivers::At,
    wanted::{Wanted, now},
};
use crate::{
    commands::{print, print_json},
    failure::{Failure, Kind},
    signals::Signals,
};
use duet_web::dead_letters::{Filter, Preview, Progress, Redriving};
use serde::Serialize;
use std::{
    fmt,
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// Between two questions while it is followed.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two lines about it.
const TOLD: Duration = Duration::from_secs(2);
/// A receiver that does not answer is waited for this long: it may be starting anew.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// At most so many a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Only tell what it would come to: each is tried, and all of it rolled back
    #[arg(long, conflicts_with_all = ["rate", "cancel", "follow"])]
    dry_run: bool,
    /// Cancel the redrive that is under way; what it applied stays applied
    #[arg(long, conflicts_with_all = ["rate", "follow"])]
    cancel: bool,
    /// Follow the redrive that is under way, or tell what came of the last one
    #[arg(long, conflicts_with = "rate")]
    follow: bool,
    #[command(flatten)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a, T> {
    receiver: Option<&'a str>,
    #[serde(flatten)]
    came_to: Option<T>,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    // From here on Ctrl-C ends the following, and not the redrive.
    let mut signals = Signals::listen()?;
    let filter = options.wanted.filter(now());
    let asked = options.at.ask(&filter).await?;
    if options.cancel || options.follow {
        return under_way(&options, &asked.receivers, &mut signals).await;
    }
    let Some(holding) = asked.one()? else {
        return match options.json {
            true => print_json(&Report::<Progress> {
                receiver: None,
                came_to: None,
            }),
            false => {
                print("none fit: there is nothing to redrive\n");
                Ok(())
            }
        };
    };
    let Some(receiver) = &holding.receiver else {
        return Ok(());
    };
    if options.dry_run {
        let preview = receiver.preview(filter).await;
        let preview = preview.map_err(|why| why.failure(&receiver.name))?;
        return match options.json {
            true => print_json(&Report {
                receiver: Some(&receiver.name),
                came_to: Some(preview),
            }),
            false => {
                print(Previewed(&receiver.name, &preview));
                Ok(())
            }
        };
    }
    begin(&options, receiver, filter, &mut signals).await
}

async fn begin(
    options: &Options,
    receiver: &Receiver,
    filter: Filter,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let begun = receiver.redrive(filter, options.rate).await;
    let begun = begun.map_err(|why| {
        let is_under_way = why.is_under_way();
        let failure = why.failure(&receiver.name);
        match is_under_way {
            true => {
                failure.hint("`duet dead-letters redrive --follow` shows it, `--cancel` ends it.")
            }
            false => failure,
        }
    })?;
    follow(options, receiver, begun, signals).await
}

/// What is done to the redrive that is under way, wherever one is.
async fn under_way(
    options: &Options,
    receivers: &[super::receivers::Holding],
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut last = Vec::new();
    for receiver in receivers.iter().filter_map(|it| it.receiver.as_ref()) {
        let progress = receiver.progress().await;
        let progress = progress.map_err(|why| why.failure(&receiver.name))?;
        if progress.state == Redriving::Running {
            if options.follow {
                return follow(options, receiver, progress, signals).await;
            }
            let cancelled = receiver.cancel().await;
            let cancelled = cancelled.map_err(|why| why.failure(&receiver.name))?;
            return told(options, receiver, &cancelled);
        }
        last.push((receiver, progress));
    }
    match last.as_slice() {
        [(receiver, progress)] if options.follow && progress.state != Redriving::Never => {
            told(options, receiver, progress)
        }
        _ => Err(Failure::new(Kind::NotFound, "no redrive is under way")),
    }
}

/// Follows it to its end, or to Ctrl-C.
async fn follow(
    options: &Options,
    receiver: &Receiver,
    mut progress: Progress,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let (mut heard, mut line) = (Instant::now(), Instant::now());
    while progress.state == Redriving::Running {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = signals.stop() => {
                let what = format!("{}: not followed any more; the redrive goes on", receiver.name);
                return Err(Failure::new(Kind::Late, what)
                    .hint("`duet dead-letters redrive --follow` follows it again, `--cancel` ends it."));
            }
        }
        progress = match receiver.progress().await {
            Ok(now) => now,
            Err(Refused::Away(_)) if heard.elapsed() < PATIENCE => continue,
            Err(why) => return Err(why.failure(&receiver.name)),
        };
        heard = Instant::now();
        if progress.state == Redriving::Running && !options.json && line.elapsed() >= TOLD {
            line = Instant::now();
            eprintln!("duet: {}: {}", receiver.name, Numbers(&progress));
        }
    }
    told(options, receiver, &progress)
}

/// What came of it; a failure if not all of it could be applied.
fn told(options: &Options, receiver: &Receiver, progress: &Progress) -> Result<(), Failure> {
    let name = &receiver.name;
    match options.json {
        true => print_json(&Report {
            receiver: Some(name),
            came_to: Some(progress),
        })?,
        false => print(format_args!("{name}: {}\n", Numbers(progress))),
    }
    match progress.failed + progress.passed_over {
        0 => Ok(()),
        not => Err(
            Failure::new(Kind::Failed, format!("{name}: {not} could not be applied")).hint(
                "`duet dead-letters list` says why. What died of the same cause time after time is passed over, unless it is named with --id.",
            ),
        ),
    }
}

/// How far it has come, in words.
struct Numbers<'a>(&'a Progress);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress {
            state,
            matching,
            applied,
            superseded,
            failed,
            queued,
            passed_over,
            ..
        } = self.0;
        write!(
            f,
            "{applied} applied, {superseded} superseded, {failed} failed"
        )?;
        f.write_str(&others(*queued, *passed_over))?;
        write!(f, " of {matching}")?;
        match state {
            Redriving::Cancelled => f.write_str(", cancelled"),
            _ => Ok(()),
        }
    }
}

/// What only some redrives have; nothing where there is none of it.
fn others(queued: u64, passed_over: u64) -> String {
    let numbers = [(queued, "queued"), (passed_over, "passed over")];
    let some = numbers.iter().filter(|(number, _)| *number > 0);
    some.map(|(number, what)| format!(", {number} {what}"))
        .collect()
}

/// What it would come to, in words.
struct Previewed<'a>(&'a str, &'a Preview);

impl fmt::Display for Previewed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, preview) = self;
        let fails: u64 = preview.still_fails.iter().map(|it| it.count).sum();
        writeln!(
            f,
            "{name}: would apply {}, superseded {}, would fail again {fails}{}",
            preview.would_apply,
            preview.superseded,
            others(preview.queued, preview.passed_over)
        )?;
        for it in &preview.still_fails {
            writeln!(f, "  {}  {}  {}", it.fingerprint, it.count, it.cause)?;
        }
        match preview.matching.saturating_sub(preview.tried) {
            0 => Ok(()),
            more => writeln!(f, "  {more} more were not tried"),
        }
    }
}
