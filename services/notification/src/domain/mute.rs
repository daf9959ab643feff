use std::collections::BTreeSet;

use duet_web::ids::{PostId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ReactionKind;

/// A kind of reaction that can be muted: one that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Kind {
    Like,
    Love,
    Laugh,
    Wow,
    Sad,
    Angry,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [
        Kind::Like,
        Kind::Love,
        Kind::Laugh,
        Kind::Wow,
        Kind::Sad,
        Kind::Angry,
    ];

    /// Its name, which is that of the [`ReactionKind`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Like => "like",
            Kind::Love => "love",
            Kind::Laugh => "laugh",
            Kind::Wow => "wow",
            Kind::Sad => "sad",
            Kind::Angry => "angry",
        }
    }

    /// The kind of this name.
    pub fn of(name: &ReactionKind) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name.as_str())
    }
}

/// What a user doesn't want to be notified of. It holds for what comes from now on: what is in a group stays, and what was muted does
/// not come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// Reactions to these posts.
    pub posts: BTreeSet<PostId>,
    /// Reactions of these kinds.
    pub kinds: BTreeSet<Kind>,
    /// Reactions of these users.
    pub users: BTreeSet<UserId>,
}

impl Mute {
    /// The most posts, and the most users.
    pub const MAX: usize = 1_000;
}
