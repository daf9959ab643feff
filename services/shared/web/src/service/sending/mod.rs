//! What a service that a Channel is `from` tells and is asked, beside its own routes.

/// What is said of a receiver that does not fit this store.
mod regressed;

pub use regressed::{HEAL, regressed};
