//! `duet load`: traffic at a fixed rate, and whether all of it arrived.

use super::{on_one_thread, print, print_json};
use crate::{
    failure::Failure,
    load::{self, Audience, Plan, Rate, Services},
    place::Place,
    signals::Signals,
};
use std::{io::IsTerminal, time::Duration};

/// Between two lines about the progress: for somebody who watches, and for a log.
const WATCHED: Duration = Duration::from_secs(5);
const LOGGED: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Requests a second, evenly
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// For how long, such as 90s or 5m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<duet_crd::duration::Duration>,
    #[command(flatten)]
    place: Place,
    /// Reaction's public address, for a pair that neither --data-dir nor --namespace leads to
    #[arg(
        long,
        value_name = "URL",
        requires = "notification",
        conflicts_with_all = ["path", "context", "namespace", "release"]
    )]
    reaction: Option<String>,
    /// Notification's public address
    #[arg(long, value_name = "URL", requires = "reaction")]
    notification: Option<String>,
    /// How long Notification may take after the last answer to show everything
    #[arg(long, value_name = "TIME", default_value = "2m")]
    wait: duet_crd::duration::Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Somebody who reads what is told.
struct Watching;

impl Audience for Watching {
    fn told(&mut self, line: String) {
        eprintln!("duet: {line}");
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let watched = std::io::stderr().is_terminal();
    let plan = Plan {
        rates: vec![Rate {
            per_second: options.rate,
            lasts: Duration::MAX,
        }],
        length: options.length.map(Into::into),
        patience: options.wait.into(),
        tells_every: if watched { WATCHED } else { LOGGED },
    };
    let report = on_one_thread(async {
        let mut signals = Signals::listen()?;
        let (at, _way) = match (&options.reaction, &options.notification) {
            (Some(reaction), Some(notification)) => (Services::at(reaction, notification), None),
            _ => {
                let pair = options.place.pair().await?;
                (Services::at(&pair.reaction, &pair.notification), Some(pair))
            }
        };
        load::run(&plan, &at, &mut signals, &mut Watching).await
    })?;
    match options.json {
        true => print_json(&report)?,
        false => print(&report),
    }
    report.verdict()
}
