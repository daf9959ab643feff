//! `duet compare`: the same load in both modes on this pair, what is said of each mode held against it, and which to use.

/// What a run measured: what the scenarios write and everything else reads.
pub(crate) mod measured;
