//! `duet bench`: what each mode costs here, beside what the machine could do without it.

pub(crate) mod baseline; // bare web servers, in processes of their own
mod broker; // what the broker takes by itself
mod child; // a process that is measured
mod commit; // what one commit takes by itself
mod count; // what both stores hold afterwards
mod cpu; // CPU time of processes
mod disk; // the file system and what a flush costs
mod latency; // what callers wait
mod load; // requests, in a closed or an open loop
mod memory; // what processes hold
mod options; // what every question is told
mod outage; // Notification is away
mod pair; // the pair, over new stores
mod report; // what all reports are made of
mod resident; // how much of a process is in memory
mod sample; // one measurement
mod stage; // a pair whose stores are counted at the end
mod surge; // ten times the usual rate
mod switch; // another mode, under load
mod throughput; // reactions a second
mod volume; // what a store that is large costs

use crate::{
    commands::{on_one_thread, print, print_json},
    failure::{Doing, Failure, Kind},
    pictures::Picture,
    signals::Signals,
};
use clap::Subcommand;
use options::Common;
use serde::Serialize;
use std::{fmt::Display, path::Path};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Reactions a second from the caller to both stores, beside a bare web server's requests
    Throughput(throughput::Options),
    /// What callers wait, beside what a commit and a round trip take by themselves
    Latency(latency::Options),
    /// What callers notice while the mode is switched time after time
    Switch(switch::Options),
    /// What callers wait while ten times as many come, and how long it takes to drain
    Surge(surge::Options),
    /// What callers notice while Notification is away, and how long it takes to catch up
    Outage(outage::Options),
    /// What it costs that much is stored, or waits
    Volume(volume::Options),
    /// What each service holds in memory, at rest and under load
    Memory(memory::Options),
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    match options.question {
        Question::Throughput(it) => {
            let report = measured(&it.common, async |home| it.measure(home).await)?;
            tell(it.common.json, &report)?;
            draw(it.picture.as_deref(), report.picture())
        }
        Question::Latency(it) => {
            let (report, picture) = measured(&it.common, async |home| it.measure(home).await)?;
            tell(it.common.json, &report)?;
            draw(it.picture.as_deref(), picture)
        }
        Question::Switch(it) => show(&it.common, async |home| it.measure(home).await),
        Question::Surge(it) => show(&it.common, async |home| it.measure(home).await),
        Question::Outage(it) => show(&it.common, async |home| it.measure(home).await),
        Question::Volume(it) => show(&it.common, async |home| it.measure(home).await),
        Question::Memory(it) => show(&it.common, async |home| it.measure(home).await),
    }
}

fn show<R: Serialize + Display>(
    common: &Common,
    measure: impl AsyncFnOnce(&Path) -> Result<R, Failure>,
) -> Result<(), Failure> {
    tell(common.json, &measured(common, measure)?)
}

fn measured<R>(
    common: &Common,
    measure: impl AsyncFnOnce(&Path) -> Result<R, Failure>,
) -> Result<R, Failure> {
    on_one_thread(unless_interrupted(common.within(measure)))
}

fn tell<R: Serialize + Display>(json: bool, report: &R) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    print(report);
    Ok(())
}

/// Writes the picture, if one was asked for.
fn draw(file: Option<&Path>, picture: Option<Picture>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let svg = picture.and_then(|it| it.alone());
    let svg = svg.ok_or_else(|| Failure::new(Kind::Failed, "a picture needs both modes"))?;
    std::fs::write(file, svg + "\n").doing(|| format!("write {}", file.display()))
}

/// What is dropped then ends what it had started and removes what it had made.
async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = work => done,
        () = signals.stop() => Err(Failure::new(Kind::Failed, "interrupted")),
    }
}
