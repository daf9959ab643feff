//! What Notification is about, without HTTP and without tables.

/// What a post's owner sees: reactions grouped by post.
mod group;

pub use duet_web::reaction_event::{ReactionKind, Told};
pub use group::{Group, Newness};
