//! What Notification is about, without HTTP and without tables.

/// What is decided about a reaction: a word that its caller is told.
mod decision;
/// What a post's owner sees: reactions grouped by post.
mod group;

pub use decision::decision;
pub use duet_web::reaction_event::{ReactionKind, Told};
pub use group::{Group, Newness};
