//! `duet compare`: does the same to the pair in both modes, and says what it came to.

use super::{on_one_thread, print, print_json};
use crate::{
    compare::{self, Asked, Name, measured::Length},
    failure::{Doing, Failure},
    place::Place,
    signals::Signals,
};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Two minutes instead of ten: fewer requests, so the figures are coarser
    #[arg(long)]
    quick: bool,
    /// Only these, for a second look; can be given several times
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Name>,
    /// Write the figures and the report into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure nothing; put back what a run left that was killed
    #[arg(long, conflicts_with_all = ["quick", "only", "out", "json"])]
    put_back: bool,
    #[command(flatten)]
    place: Place,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Seconds instead of minutes, for tests
    #[arg(long, hide = true)]
    tiny: bool,
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    if options.put_back {
        let told = on_one_thread(compare::put_back(&options.place))?;
        print(format_args!("{told}\n"));
        return Ok(());
    }
    let asked = Asked {
        place: &options.place,
        length: match options.quick || options.tiny {
            true => Length::Quick,
            false => Length::Full,
        },
        tiny: options.tiny,
        only: &options.only,
        command: command(std::env::args().skip(1)),
        command_here: command(options.here()),
    };
    let done = on_one_thread(async {
        let mut signals = Signals::listen()?;
        compare::run(&asked, &mut signals).await
    })?;
    if let Some(dir) = &options.out {
        let write = || {
            std::fs::create_dir_all(dir)?;
            let text = serde_json::to_string_pretty(&done.measured)?;
            std::fs::write(dir.join("measured.json"), text + "\n")
        };
        write().doing(|| format!("write into {}", dir.display()))?;
    }
    if options.json {
        print_json(&done.measured)?;
    }
    done.cut_short.map_or(Ok(()), Err)
}

impl Options {
    /// As much of the command line as leads to the same pair.
    fn here(&self) -> impl Iterator<Item = String> {
        let quick = self.quick.then(|| "--quick".to_owned());
        let place = self.place.flags();
        ["compare".to_owned()].into_iter().chain(quick).chain(place)
    }
}

/// As a person types it.
fn command(words: impl Iterator<Item = String>) -> String {
    let quoted = words.map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    });
    let words: Vec<_> = ["duet".to_owned()].into_iter().chain(quoted).collect();
    words.join(" ")
}
