//! One module a verb: its options, and what it does.

pub(crate) mod audit; // whether what both ends store balances
pub(crate) mod compare; // the same load in both modes, and what it came to
pub(crate) mod dead_letters; // what receivers could not apply
pub(crate) mod faults; // what goes wrong on purpose: shown, set, taken away
mod following; // waits until each process follows a change of the Channel
pub(crate) mod load; // traffic at a fixed rate, and whether all of it arrived
pub(crate) mod mode; // shows the mode, or edits the Channel document and waits until it is followed
pub(crate) mod resync; // makes what every receiver holds what Reaction's store holds
pub(crate) mod serve; // one service in this process
pub(crate) mod status; // what each service says of the channel
pub(crate) mod tether; // a program that ends when its parent does
pub(crate) mod trace; // one trace as a tree
pub(crate) mod up; // the whole pair, supervised
pub(crate) mod why; // the life of a reaction's latest event

use crate::failure::{Doing, Failure};

/// For verbs that ask a few questions: one thread is enough.
pub(crate) fn on_one_thread<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(|| "start the async runtime".to_owned())?
        .block_on(work)
}

/// Prints to stdout; a reader that has gone (`duet status | head -1`) is no failure.
pub(crate) fn print(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = write!(std::io::stdout(), "{text}");
}

/// Prints data for programs: one JSON document, indented.
pub(crate) fn print_json(data: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(data).doing(|| "print JSON".to_owned())?;
    print(text + "\n");
    Ok(())
}
