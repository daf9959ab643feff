//! What callers were told of one owner's posts, and what the owner sees of it.

use super::words::User;
use duet_reaction::domain::Kind;
use duet_web::told::Possible;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a user's reaction to a post stands: its kind, or none.
pub(super) type Standing = Option<Kind>;

/// One owner's posts, and what callers did to them.
#[derive(Debug, Clone)]
pub(super) struct Chapter {
    pub(super) owner: String,
    pub(super) posts: Vec<Post>,
}

/// A post, and everybody who reacted to it.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) number: u64,
    pub(super) id: String,
    /// Of how many users it is meant to hear.
    pub(super) room: usize,
    pub(super) pairs: Vec<Pair>,
}

/// One user's reaction to the post.
#[derive(Debug, Clone)]
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

/// How many may be shown.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    least: u64,
    most: u64,
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

    /// Pairs of which an answer was lost: nobody was told how they stand.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = (usize, usize)> {
        let posts = self.posts.iter().enumerate();
        posts.flat_map(|(post, it)| {
            let pairs = it.pairs.iter().enumerate();
            pairs
                .filter(|(_, it)| it.standing.certain().is_none())
                .map(move |(pair, _)| (post, pair))
        })
    }

    /// Compares what callers were told with the owner's inbox. Of a pair in doubt each way that is possible is right.
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

    /// Whether the owner's inbox shows the pairs in doubt as Reaction's rows have them; each row is one that somebody asked for.
    /// A row alone decides nothing: a call may still be under way that takes it back.
    pub(super) fn agrees(&self, rows: &[((usize, usize), Standing)], inbox: &[Group]) -> bool {
        let mut as_in_rows = self.clone();
        for ((post, pair), row) in rows {
            let standing = &mut as_in_rows.posts[*post].pairs[*pair].standing;
            if !standing.contains(row) {
                return false;
            }
            *standing = Possible::only(*row);
        }
        as_in_rows.compare(inbox).is_none()
    }
}

impl Post {
    fn compare(&self, group: Option<&Group>) -> Difference {
        let mut bounds: BTreeMap<Kind, Bounds> = BTreeMap::new();
        let mut all = Bounds::default();
        let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
        for pair in &self.pairs {
            let kinds: Vec<_> = pair.standing.ways().flatten().collect();
            let certain = pair.standing.certain().is_some();
            for kind in &kinds {
                bounds.entry(**kind).or_default().add(certain);
            }
            let stands = !pair.standing.contains(&None);
            if !kinds.is_empty() {
                all.add(stands);
                perhaps.push(pair.user.to_string());
            }
            if stands {
                surely.push(pair.user.to_string());
            }
        }
        let nothing = BTreeMap::new();
        let shown = group.map_or(&nothing, |group| &group.kinds);
        let mut difference = Difference::default();
        for kind in Kind::ALL {
            let bounds = bounds.get(&kind).copied().unwrap_or_default();
            difference.add(bounds.compare(shown.get(&kind).copied().unwrap_or_default()));
        }
        let count = group.map_or(0, |group| group.count);
        let in_all = all.compare(count);
        if difference.is_none() && in_all.is_none() {
            // As many of each kind can still be the wrong ones; those that are named tell.
            let named = group.map_or(&[][..], |group| &group.actors);
            let right = named.iter().filter(|name| perhaps.contains(name)).count() as u64;
            let wrong = count.min(ACTORS).saturating_sub(right);
            let unnamed = surely.iter().filter(|name| !named.contains(name)).count() as u64;
            return Difference {
                // Of few each is named.
                missing: match count <= ACTORS {
                    true => unnamed,
                    false => all.least.saturating_sub(count - wrong),
                },
                doubled: wrong,
            };
        }
        difference.add(Difference {
            missing: in_all.missing.saturating_sub(difference.missing),
            doubled: in_all.doubled.saturating_sub(difference.doubled),
        });
        difference
    }
}

impl Bounds {
    /// One more, that surely stands or perhaps.
    fn add(&mut self, surely: bool) {
        self.least += u64::from(surely);
        self.most += 1;
    }

    fn compare(self, shown: u64) -> Difference {
        Difference {
            missing: self.least.saturating_sub(shown),
            doubled: shown.saturating_sub(self.most),
        }
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
