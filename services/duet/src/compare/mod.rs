//! `duet compare`: the same load in both modes on this pair, what is said of each mode held against it, and which to use.

/// What is said of each mode, held against a run.
pub(crate) mod claims;
/// What a run measured: what the scenarios write and everything else reads.
pub(crate) mod measured;
/// Figures as reports print them.
pub(crate) mod printed;
/// Which mode to use, and the Channel document for it.
pub(crate) mod recommend;
/// The report: text, Markdown, HTML and JSON.
pub(crate) mod report;

mod brief; // figures in a few words
mod clock; // when a load began, and that it is over
mod connections; // open connections of a process
#[cfg(test)]
mod fixture; // runs to judge in tests
mod ground; // the pair, and what is done to it
mod journal; // what a run has changed on a laptop, and how it is put back
mod load_on; // load while something is done to the pair
mod plan; // how much a run does
mod probes; // how fresh an owner's inbox is
mod reads; // reads at the sender beside the load
mod run; // from the first look to the last thing put back
mod scenarios; // what is done, one module each
mod shown; // what is told while it works
mod stage; // what every scenario needs
mod wanted; // what a scenario wants of the Channel

/// What a run has changed in a release, for `duet status`.
pub(crate) use ground::line_in_cluster;
/// What a run has changed on a laptop and will put back.
pub(crate) use journal::Journal;
/// Does a run, or puts back what one left.
pub(crate) use run::{Asked, put_back, run};
/// A scenario, as `--only` takes it.
pub(crate) use scenarios::Name;
