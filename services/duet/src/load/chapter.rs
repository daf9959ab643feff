//! What callers were told of one owner's posts, and what the owner sees of it.

use super::words::User;
use duet_reaction::domain::Kind;
use duet_web::told::{Answer, Possible};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a user's reaction to a post stands: its kind, or none.
pub(super) type Standing = Option<Kind>;

/// One owner's posts, and what callers did to them.
#[derive(Debug)]
pub(super) struct Chapter {
    pub(super) owner: String,
    pub(super) posts: Vec<Post>,
}

/// A post, and everybody who reacted to it.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) number: u64,
    pub(super) id: String,
    /// Of how many users it is meant to hear.
    pub(super) room: usize,
    pub(super) pairs: Vec<Pair>,
}

/// One user's reaction to the post.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) user: User,
    pub(super) standing: Possible<Standing>,
    /// A request for it has not been answered yet.
    pub(super) under_way: bool,
}

/// One post's reactions, as Notification tells them to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Group {
    post: String,
    count: u64,
    kinds: BTreeMap<Kind, u64>,
    /// The latest who reacted.
    actors: Vec<String>,
}

/// The most actors that a group names.
const ACTORS: u64 = 3;

/// How many reactions one sees and the other doesn't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Accepted and not shown.
    pub(super) missing: u64,
    /// Shown without having been accepted, or once more than it was.
    pub(super) doubled: u64,
}

impl Pair {
    pub(super) fn of(user: User) -> Self {
        Self {
            user,
            standing: Possible::only(None),
            under_way: true,
        }
    }

    /// Whether a caller may change it: nobody else does, and it is known how it stands.
    pub(super) fn rests(&self) -> bool {
        !self.under_way && self.standing.certain().is_some()
    }
}

impl Chapter {
    /// How many pairs it has.
    pub(super) fn pairs(&self) -> usize {
        self.posts.iter().map(|post| post.pairs.len()).sum()
    }

    /// Pairs of which an answer was lost: Reaction is to be asked how they stand.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = (usize, usize)> {
        let posts = self.posts.iter().enumerate();
        posts.flat_map(|(post, it)| {
            let pairs = it.pairs.iter().enumerate();
            pairs
                .filter(|(_, it)| it.standing.certain().is_none())
                .map(move |(pair, _)| (post, pair))
        })
    }

    /// Reaction's own row of a pair, which decides if it is one of those that are possible.
    pub(super) fn decide(&mut self, (post, pair): (usize, usize), row: Standing) {
        let standing = &mut self.posts[post].pairs[pair].standing;
        if standing.contains(&row) {
            standing.told(row, Answer::Accepted);
        }
    }

    /// Compares what callers were told with the owner's inbox. A pair that is still in doubt can't be right.
    pub(super) fn compare(&self, inbox: &[Group]) -> Difference {
        let mut all = Difference::default();
        for post in &self.posts {
            let mut groups = inbox.iter().filter(|group| group.post == post.id);
            all.add(post.compare(groups.next()));
            all.doubled += groups.map(|group| group.count).sum::<u64>();
        }
        let nobodys = inbox
            .iter()
            .filter(|group| !self.posts.iter().any(|post| post.id == group.post));
        all.doubled += nobodys.map(|group| group.count).sum::<u64>();
        all
    }
}

impl Post {
    fn compare(&self, group: Option<&Group>) -> Difference {
        let mut expected: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut actors = Vec::new();
        let mut doubtful = 0;
        for pair in &self.pairs {
            match pair.standing.certain() {
                Some(Some(kind)) => {
                    *expected.entry(*kind).or_default() += 1;
                    actors.push(pair.user.to_string());
                }
                Some(None) => {}
                None => doubtful += 1,
            }
        }
        let nothing = BTreeMap::new();
        let shown = group.map_or(&nothing, |group| &group.kinds);
        let mut difference = Difference {
            missing: doubtful,
            doubled: 0,
        };
        for kind in Kind::ALL {
            let [expected, shown] =
                [&expected, shown].map(|of| of.get(&kind).copied().unwrap_or_default());
            difference.missing += expected.saturating_sub(shown);
            difference.doubled += shown.saturating_sub(expected);
        }
        let count = group.map_or(0, |group| group.count);
        if difference == Difference::default() && count == actors.len() as u64 {
            // As many of each kind can still be the wrong ones; those that are named tell.
            let named = group.map_or(&[][..], |group| &group.actors);
            let right = named.iter().filter(|name| actors.contains(name)).count() as u64;
            let wrong = count.min(ACTORS).saturating_sub(right);
            return Difference {
                missing: wrong,
                doubled: wrong,
            };
        }
        difference.add(Difference {
            missing: (actors.len() as u64)
                .saturating_sub(count)
                .saturating_sub(difference.missing),
            doubled: count
                .saturating_sub(actors.len() as u64)
                .saturating_sub(difference.doubled),
        });
        difference
    }
}

impl Difference {
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    pub(super) fn add(&mut self, more: Self) {
        self.missing += more.missing;
        self.doubled += more.doubled;
    }
}

#[cfg(test)]
mod tests;
