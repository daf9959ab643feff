//! `duet dead-letters discard`: gives letters up, once it was said twice.

use super::{
    receivers::{At, counted},
    wanted::{Wanted, now},
};
use crate::{
    commands::{print, print_json},
    failure::{Failure, Kind},
};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// All of them: where nothing says which, this must
    #[arg(long)]
    all: bool,
    /// Do it; without this it only tells how many would be discarded
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    receiver: Option<&'a str>,
    /// How many fit when it was asked.
    found: u64,
    discarded: u64,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    if options.wanted.is_all() != options.all {
        let what = match options.all {
            true => "--all is all of them: it takes no filter beside it",
            false => "say which: by a filter, or --all",
        };
        return Err(Failure::new(Kind::Usage, what)
            .hint("`duet dead-letters discard --help` lists the filters."));
    }
    let filter = options.wanted.filter(now());
    let asked = options.at.ask(&filter).await?;
    let Some(holding) = asked.one()? else {
        return told(options.json, None, (0, 0));
    };
    let (name, found) = (holding.name.as_str(), holding.count());
    let Some(receiver) = holding.receiver.as_ref().filter(|_| options.yes) else {
        let sum = |of: fn(&duet_web::dead_letters::Cause) -> u64| {
            holding.causes.iter().flatten().map(of).sum()
        };
        let numbers = counted(sum(|it| it.dead), sum(|it| it.parked));
        let what = format!("{name}: {numbers}; nothing was discarded");
        return Err(Failure::new(Kind::Failed, what)
            .hint("What is discarded is never applied. Say --yes to discard them."));
    };
    let discarded = receiver.discard(filter).await;
    let discarded = discarded.map_err(|why| why.failure(name))?.discarded;
    told(options.json, Some(name), (found, discarded))
}

fn told(json: bool, receiver: Option<&str>, (found, discarded): (u64, u64)) -> Result<(), Failure> {
    if json {
        return print_json(&Report {
            receiver,
            found,
            discarded,
        });
    }
    match receiver {
        Some(name) => print(format_args!("{name}: {discarded} discarded\n")),
        None => print("none fit: nothing was discarded\n"),
    }
    Ok(())
}
