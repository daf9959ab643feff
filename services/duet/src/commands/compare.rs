//! `duet compare`: does the same to the pair in both modes, and says what it came to.

use super::{on_one_thread, print, print_json};
use crate::{
    compare::{
        self, Asked, Name,
        measured::Length,
        recommend::Answers,
        report::{Report, Style},
    },
    failure::Failure,
    place::Place,
    signals::Signals,
};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Two minutes instead of ten: fewer requests, so the figures are coarser
    #[arg(long)]
    quick: bool,
    /// Only these, for a second look; can be given several times
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Name>,
    /// Write report.html, report.md, report.json and the recommended channel.yaml into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure nothing; make the report of an earlier run again, from its report.json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    answers: Answers,
    /// Measure nothing; put back what a run left that was killed
    #[arg(long, conflicts_with_all = ["quick", "only", "out", "json", "from"])]
    put_back: bool,
    #[command(flatten)]
    place: Place,
    /// Print the report as JSON
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
    if let Some(path) = &options.from {
        return tell(
            &Report::read(path, options.answers)?,
            options.out.as_deref(),
            options.json,
        );
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
    let report = Report::of(done.measured, options.answers)?;
    tell(&report, options.out.as_deref(), options.json)?;
    done.cut_short.map_or(Ok(()), Err)
}

/// Prints a report, and writes it where that is asked for.
fn tell(report: &Report, out: Option<&Path>, json: bool) -> Result<(), Failure> {
    match json {
        true => print_json(report)?,
        false => print(report.text(Style::of_stdout())),
    }
    for path in out.map_or(Ok(Vec::new()), |dir| report.write_to(dir))? {
        eprintln!("duet: wrote {}", path.display());
    }
    Ok(())
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
