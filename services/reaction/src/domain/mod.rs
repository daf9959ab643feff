//! What Reaction is about, without HTTP and without tables.

/// What a reaction tells the receivers.
mod event;
/// The kinds of reactions, and counts of them.
mod kind;
/// Posts, and who may change one.
mod post;
/// Reactions, and the pair of post and user that names one.
mod reaction;

pub use event::Told;
pub use kind::{Counts, Kind};
pub use post::{AnotherOwner, Post, Put};
pub use reaction::{Pair, Reaction, Stand};
