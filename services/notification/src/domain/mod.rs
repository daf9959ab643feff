//! What Notification is about, without HTTP and without tables.

/// What a post's owner sees: reactions grouped by post.
mod group;
/// What an event about a reaction tells.
mod told;

pub use group::{Group, Newness};
pub use told::{ReactionKind, Told};
