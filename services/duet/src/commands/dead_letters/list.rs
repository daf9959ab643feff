//! `duet dead-letters list`: by cause, or each.

use super::{
    ask::Receiver,
    receivers::{At, Holding, counted},
    wanted::{Wanted, now},
};
use crate::{
    commands::{print, print_json},
    failure::Failure,
};
use duet_web::{
    dead_letters::{Cause, Filter, Letter},
    time::text,
};
use serde::Serialize;
use std::fmt;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// Each by itself, the oldest first, instead of by cause
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: At,
    /// Print JSON; with --all, one object a line
    #[arg(long)]
    json: bool,
}

/// What one receiver has.
#[derive(Debug, Serialize)]
struct Told<'a> {
    receiver: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<&'a [Cause]>,
    /// Why it can't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// One letter, and whose it is.
#[derive(Serialize)]
struct Line<'a> {
    receiver: &'a str,
    letter: &'a Letter,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    let filter = options.wanted.filter(now());
    let asked = options.at.ask(&filter).await?;
    if !options.all {
        let told: Vec<_> = asked.receivers.iter().map(Told::of).collect();
        match options.json {
            true => print_json(&told)?,
            false => told.iter().for_each(print),
        }
        return asked.all_told();
    }
    for holding in &asked.receivers {
        match (&holding.receiver, &holding.causes) {
            (Some(receiver), Ok(_)) => each(receiver, &filter, options.json).await?,
            (_, told) if !options.json => print(format_args!(
                "{}  down: {}\n",
                holding.name,
                told.as_ref().err().map_or("", String::as_str)
            )),
            _ => {}
        }
    }
    asked.all_told()
}

/// Prints a receiver's letters, page by page.
async fn each(receiver: &Receiver, filter: &Filter, json: bool) -> Result<(), Failure> {
    let mut cursor = None;
    loop {
        let page = receiver.page(filter, cursor.as_deref()).await;
        let page = page.map_err(|why| why.failure(&receiver.name))?;
        for letter in &page.items {
            let receiver = &receiver.name;
            if json {
                let line = serde_json::to_string(&Line { receiver, letter });
                print(line.unwrap_or_default() + "\n");
            } else {
                let last = text(letter.last_failure);
                print(format_args!(
                    "{receiver}  {}  {}  attempts {}  {last}  {}  {}\n",
                    letter.id,
                    letter.state.as_str(),
                    letter.attempts,
                    letter.key,
                    letter.cause,
                ));
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
}

impl<'a> Told<'a> {
    fn of(holding: &'a Holding) -> Self {
        Told {
            receiver: &holding.name,
            causes: holding.causes.as_deref().ok(),
            error: holding.causes.as_ref().err().map(String::as_str),
        }
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(causes) = self.causes else {
            let why = self.error.unwrap_or_default();
            return writeln!(f, "{}  down: {why}", self.receiver);
        };
        let sum = |of: fn(&Cause) -> u64| causes.iter().map(of).sum();
        let all = counted(sum(|it| it.dead), sum(|it| it.parked));
        writeln!(f, "{}  {all}", self.receiver)?;
        for cause in causes {
            let (first, last) = (text(cause.first_failure), text(cause.last_failure));
            let number = counted(cause.dead, cause.parked);
            writeln!(
                f,
                "  {}  {number}, first {first}, last {last}",
                cause.fingerprint
            )?;
            writeln!(f, "    {}", cause.cause)?;
            if let Some(example) = &cause.example {
                writeln!(f, "    as in {example}")?;
            }
        }
        Ok(())
    }
}
