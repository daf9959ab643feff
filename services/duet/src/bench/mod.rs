//! `duet bench`: what each mode costs here, beside what the machine could do without it.

pub(crate) mod baseline; // a bare web server, in a process of its own
mod child; // a process that is measured
mod count; // what both stores hold afterwards
mod cpu; // CPU time of processes
mod disk; // the file system and what a flush costs
mod load; // requests in a closed loop
mod pair; // the pair, over new stores
mod report; // numbers and text
mod sample; // one measurement
mod throughput; // reactions a second

use crate::{
    commands::{on_one_thread, print, print_json},
    failure::{Failure, Kind},
    signals::Signals,
};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Reactions a second from the caller to both stores, beside a bare web server's requests
    Throughput(throughput::Options),
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let Question::Throughput(options) = options.question;
    let report = on_one_thread(unless_interrupted(options.measure()))?;
    if options.json {
        return print_json(&report);
    }
    print(report);
    Ok(())
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
