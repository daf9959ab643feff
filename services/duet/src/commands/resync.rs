//! `duet resync`: makes what every receiver holds what Reaction's store holds, after one of the stores was restored or lost. Without `--yes`
//! it only tells what that would come to.

mod follow;
mod preview;
mod told;

use super::{on_one_thread, print, print_json};
use crate::{
    failure::{Failure, Kind},
    internal::client_within,
    place::Place,
    signals::Signals,
};
use preview::Preview;
use std::time::Duration;
use told::Told;

/// How long one answer may take: rows are counted for it.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only show what it would come to, and how one under way stands; so it does without --yes
    #[arg(long, conflicts_with = "yes")]
    preview: bool,
    /// Begin it, or join one that is under way, and follow it to its end; Ctrl-C only stops following
    #[arg(long)]
    yes: bool,
    /// Begin it also where most of what a receiver holds would go, or where a receiver can't be asked
    #[arg(long, requires = "yes")]
    sweep_most: bool,
    #[command(flatten)]
    place: Place,
    /// Seconds to follow it for
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    wait: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    on_one_thread(resync(&options))
}

async fn resync(options: &Options) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let http = client_within(ANSWER);
    let pair = options.place.pair().await?;
    let told = Told::of(&http, &pair.participants).await?;
    let preview = Preview::of(&told);
    if !options.yes {
        return match options.json {
            true => print_json(&preview),
            false => {
                print(&preview);
                Ok(())
            }
        };
    }
    let goes_on = told.sender.is_under_way();
    if !goes_on && preview.sweeps_most && !options.sweep_most {
        if !options.json {
            print(&preview);
        }
        let what = format!("nothing was begun: {}", preview.why_most());
        return Err(Failure::new(Kind::Failed, what)
            .hint("If that is meant: `duet resync --yes --sweep-most`."));
    }
    if !options.json {
        print(&preview);
        print("\n");
    }
    let began = told::begin(&http, &told.reaction).await?;
    let follow = follow::Follow {
        http: &http,
        place: &options.place,
        began,
        quiet: options.json,
        patience: Duration::from_secs(options.wait.into()),
    };
    let end = follow.to_its_end(pair, &mut signals).await?;
    if options.json {
        print_json(&end)?;
    }
    end.verdict()
}
