use std::collections::BTreeMap;

use duet_protocol::time::Timestamp;
use duet_web::ids::{PostId, Title, UserId};

use super::ReactionKind;

/// Orders all changes of all groups, newest highest: no two have the same, and it grows in the order of their commits, also across
/// restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newness(pub i64);

impl Newness {
    /// How many of its bits one opening of the store has for itself: more than a hundred thousand changes a second for a year.
    const BITS: u32 = 42;

    /// What lies below all that an opening of the store gives out.
    pub const fn first_of(opening: i64) -> Self {
        Newness(opening << Self::BITS)
    }

    /// The opening of the store that gave it out.
    pub const fn opening(self) -> i64 {
        self.0 >> Self::BITS
    }
}

/// The reactions to one post, as its owner sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which post.
    pub post: PostId,
    /// Its title, as the newest reaction knew it.
    pub title: Title,
    /// How many reactions stand.
    pub count: u64,
    /// How many of each kind; none that is zero.
    pub kinds: BTreeMap<ReactionKind, u64>,
    /// The latest who reacted, the newest first: at most [`Group::ACTORS`].
    pub actors: Vec<UserId>,
    /// Whether something in it was not read yet.
    pub unread: bool,
    /// When the newest reaction was made.
    pub at: Timestamp,
    /// Where it stands among the owner's groups.
    pub newness: Newness,
}

impl Group {
    /// The most actors that are named.
    pub const ACTORS: usize = 3;

    /// The group in a sentence.
    pub fn text(&self) -> String {
        let title = &self.title;
        match (self.count, &*self.actors) {
            (_, []) => format!("{} people reacted to {title}", self.count),
            (..=1, [one, ..]) => format!("{one} reacted to {title}"),
            (2, [one, two, ..]) => format!("{one} and {two} reacted to {title}"),
            (2, [one]) => format!("{one} and 1 other reacted to {title}"),
            (count, [one, ..]) => format!("{one} and {} others reacted to {title}", count - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told_by_its_latest_and_the_number_of_the_others() {
        let says = |count, actors: &[&str]| {
            Group {
                post: "p1".parse().unwrap(),
                title: "First light".parse().unwrap(),
                count,
                kinds: BTreeMap::new(),
                actors: actors.iter().map(|name| name.parse().unwrap()).collect(),
                unread: true,
                at: Timestamp::default(),
                newness: Newness(0),
            }
            .text()
        };
        assert_eq!(says(1, &["ana"]), "ana reacted to First light");
        assert_eq!(
            says(2, &["ana", "bob"]),
            "ana and bob reacted to First light"
        );
        assert_eq!(
            says(3, &["ana", "bob", "cy"]),
            "ana and 2 others reacted to First light"
        );
        assert_eq!(
            says(4, &["ana", "bob", "cy"]),
            "ana and 3 others reacted to First light"
        );
    }
}
