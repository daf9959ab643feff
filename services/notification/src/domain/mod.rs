//! What Notification is about, without HTTP and without tables.

/// What an event comes to for the post's owner.
mod decision;
/// What a post's owner sees: reactions grouped by post.
mod group;
/// What a user doesn't want to be notified of.
mod mute;

pub use decision::{Effect, Standing, TakenBack, Turn, Verdict, decide};
pub use duet_web::reaction_event::{ReactionKind, Told};
pub use group::{Group, Newness};
pub use mute::{Kind, Mute};
