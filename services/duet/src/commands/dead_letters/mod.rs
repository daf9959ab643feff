//! `duet dead-letters`: what receivers could not apply: listed by cause, shown, tried again, given up.

mod ask; // questions to a receiver's internal port
mod discard; // given up
mod list; // by cause, or each
mod receivers; // which receivers are meant, and which have some
mod redrive; // tried again, and followed
mod show; // one, with all that is known of it
mod wanted; // which letters are meant

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what could not be applied, by cause
    List(list::Options),
    /// Show one with all that is known of it
    Show(show::Options),
    /// Try them again, and follow how far that has come
    ///
    /// Each is applied once, and only if nothing newer of its key was applied meanwhile. Ctrl-C ends the following, not the redrive.
    /// Exits with 1 if some could not be applied again.
    Redrive(redrive::Options),
    /// Give them up: they are never applied
    Discard(discard::Options),
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    super::on_one_thread(async {
        match options.verb {
            Verb::List(options) => list::run(options).await,
            Verb::Show(options) => show::run(options).await,
            Verb::Redrive(options) => redrive::run(options).await,
            Verb::Discard(options) => discard::run(options).await,
        }
    })
}
