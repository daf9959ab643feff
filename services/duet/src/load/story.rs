//! What callers do next, and what they were told: decisions alone, without a clock or a network.
//!
//! A few owners post side by side, and users react to their posts. Now and then one changes the kind or takes the reaction back, which
//! waits for the answer to what that user asked before: of two requests that overtake each other nobody could tell which stands. When
//! every post of an owner has been reacted to, the owner's chapter ends and can be compared.

use super::{
    chapter::{Chapter, Pair, Post, Standing},
    words::{self, User},
};
use duet_reaction::domain::Kind;
use duet_web::told::Answer;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom, seq::IteratorRandom};
use std::collections::{BTreeMap, VecDeque};

/// Reactions a second for each owner that posts side by side with others.
const EACH_OWNER: u32 = 20;
/// The fewest and the most owners that post side by side.
const OWNERS: std::ops::RangeInclusive<u32> = 3..=200;
/// How many posts an owner writes.
const POSTS: std::ops::RangeInclusive<u64> = 2..=4;
/// How many users react to a post.
const ROOM: std::ops::RangeInclusive<usize> = 1..=14;
/// In a hundred requests, how many change a kind, and how many take a reaction back.
const CHANGED: u32 = 8;
const UNDONE: u32 = 4;
/// The kinds, each with its share in a hundred.
const KINDS: [(Kind, u32); 6] = [
    (Kind::Like, 45),
    (Kind::Love, 25),
    (Kind::Laugh, 12),
    (Kind::Wow, 9),
    (Kind::Sad, 6),
    (Kind::Angry, 3),
];

/// Everything under way.
#[derive(Debug)]
pub(super) struct Story {
    run: String,
    dice: StdRng,
    side_by_side: usize,
    owners: BTreeMap<u64, Owner>,
    ended: VecDeque<Chapter>,
    /// Owners and posts that there ever were.
    pub(super) begun: Begun,
}

/// How many there ever were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    pub(super) owners: u64,
    pub(super) posts: u64,
}

#[derive(Debug)]
struct Owner {
    chapter: Chapter,
    /// The posts are made, so that they can be reacted to.
    open: bool,
}

/// An owner whose posts are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) number: u64,
    pub(super) owner: String,
    /// Ids and titles.
    pub(super) posts: Vec<(String, &'static str)>,
}

/// A change for a caller to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    place: Place,
    pub(super) post: String,
    pub(super) user: String,
    pub(super) wanted: Standing,
}

/// Where a pair is in the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    owner: u64,
    post: usize,
    pair: usize,
}

impl Story {
    /// `run` is in every id that it makes; the same seed tells the same story.
    pub(super) fn new(run: String, seed: u64, per_second: u32) -> Self {
        let side_by_side = (per_second / EACH_OWNER).clamp(*OWNERS.start(), *OWNERS.end());
        Self {
            run,
            dice: StdRng::seed_from_u64(seed),
            side_by_side: side_by_side as usize,
            owners: BTreeMap::new(),
            ended: VecDeque::new(),
            begun: Begun::default(),
        }
    }

    /// The next owner whose posts are to be made, if another one is wanted.
    pub(super) fn opening(&mut self) -> Option<Opening> {
        let with_room = self.owners.values().filter(|owner| owner.has_room());
        if with_room.count() >= self.side_by_side {
            return None;
        }
        let number = self.begun.owners;
        let owner = words::owner(&self.run, number);
        let numbers = self.begun.posts..self.begun.posts + self.dice.random_range(POSTS);
        self.begun.owners += 1;
        self.begun.posts = numbers.end;
        let posts: Vec<_> = numbers
            .clone()
            .map(|post| words::post(&self.run, post))
            .collect();
        let written = numbers.zip(&posts).map(|(number, (id, _))| Post {
            number,
            id: id.clone(),
            room: self.dice.random_range(ROOM),
            pairs: Vec::new(),
        });
        let chapter = Chapter {
            owner: owner.clone(),
            posts: written.collect(),
        };
        self.owners.insert(
            number,
            Owner {
                chapter,
                open: false,
            },
        );
        Some(Opening {
            number,
            owner,
            posts,
        })
    }

    /// That owner's posts are made.
    pub(super) fn opened(&mut self, number: u64) {
        if let Some(owner) = self.owners.get_mut(&number) {
            owner.open = true;
        }
        // Those that were reacted to for want of another may end now.
        let full: Vec<_> = self.owners.keys().copied().collect();
        full.into_iter().for_each(|number| self.end_if_told(number));
    }

    /// The next request; none before the first owner's posts are made. Where no post has room for another user (no new ones
    /// could be made for a while), those that there are take more.
    pub(super) fn next(&mut self) -> Option<Step> {
        let open = || self.owners.iter().filter(|(_, owner)| owner.open);
        let with_room = open().filter(|(_, owner)| owner.has_room());
        let number = with_room.map(|(number, _)| *number).choose(&mut self.dice);
        let number = number.or_else(|| open().map(|(number, _)| *number).choose(&mut self.dice))?;
        let owner = self.owners.get_mut(&number)?;
        let (post, pair, wanted) = owner
            .changed(&mut self.dice)
            .or_else(|| owner.new_pair(&mut self.dice))?;
        let it = &mut owner.chapter.posts[post];
        it.pairs[pair].under_way = true;
        Some(Step {
            place: Place {
                owner: number,
                post,
                pair,
            },
            post: it.id.clone(),
            user: it.pairs[pair].user.to_string(),
            wanted,
        })
    }

    /// What a request came to.
    pub(super) fn answered(&mut self, step: &Step, answer: Answer) {
        let Place { owner, post, pair } = step.place;
        if let Some(owner) = self.owners.get_mut(&owner) {
            let pair = &mut owner.chapter.posts[post].pairs[pair];
            pair.under_way = false;
            pair.standing.told(step.wanted, answer);
        }
        self.end_if_told(owner);
    }

    /// A chapter that has ended since.
    pub(super) fn ended(&mut self) -> Option<Chapter> {
        self.ended.pop_front()
    }

    /// Ends every chapter: nothing more will be asked.
    pub(super) fn end(&mut self) {
        let begun = std::mem::take(&mut self.owners).into_values();
        self.ended
            .extend(begun.map(|owner| owner.chapter).filter(|it| it.pairs() > 0));
    }

    /// An owner stays while it is the only one with posts to react to.
    fn end_if_told(&mut self, number: u64) {
        let others = self
            .owners
            .iter()
            .any(|(other, it)| *other != number && it.open && it.has_room());
        if others && self.owners.get(&number).is_some_and(Owner::is_told) {
            self.ended
                .extend(self.owners.remove(&number).map(|owner| owner.chapter));
        }
    }
}

impl Owner {
    fn has_room(&self) -> bool {
        self.chapter
            .posts
            .iter()
            .any(|post| post.pairs.len() < post.room)
    }

    fn is_told(&self) -> bool {
        let mut pairs = self.chapter.posts.iter().flat_map(|post| &post.pairs);
        self.open && !self.has_room() && pairs.all(|pair| !pair.under_way)
    }

    /// Now and then somebody who has reacted changes their mind.
    fn changed(&mut self, dice: &mut StdRng) -> Option<(usize, usize, Standing)> {
        let roll = dice.random_range(0..100);
        if roll >= CHANGED + UNDONE {
            return None;
        }
        let posts = self.chapter.posts.iter().enumerate();
        let resting = posts.flat_map(|(post, it)| {
            let pairs = it.pairs.iter().enumerate().filter(|(_, pair)| pair.rests());
            pairs.map(move |(pair, it)| (post, pair, it.standing.certain().copied().flatten()))
        });
        let (post, pair, standing) = resting.choose(dice)?;
        let wanted = match standing {
            Some(_) if roll >= CHANGED => None,
            _ => Some(other_kind(standing, dice)),
        };
        Some((post, pair, wanted))
    }

    fn new_pair(&mut self, dice: &mut StdRng) -> Option<(usize, usize, Standing)> {
        let posts = || 0..self.chapter.posts.len();
        let with_room = posts().filter(|post| {
            let post = &self.chapter.posts[*post];
            post.pairs.len() < post.room
        });
        let post = with_room.choose(dice).or_else(|| posts().choose(dice))?;
        let it = &mut self.chapter.posts[post];
        it.pairs.push(Pair::of(User::of(it.number, it.pairs.len())));
        Some((post, it.pairs.len() - 1, Some(other_kind(None, dice))))
    }
}

fn other_kind(than: Standing, dice: &mut StdRng) -> Kind {
    let others: Vec<_> = KINDS
        .into_iter()
        .filter(|(kind, _)| Some(*kind) != than)
        .collect();
    others
        .choose_weighted(dice, |(_, share)| *share)
        .map_or(Kind::Like, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn story(per_second: u32) -> Story {
        let mut story = Story::new("k3f9q".to_owned(), 7, per_second);
        while let Some(opening) = story.opening() {
            story.opened(opening.number);
        }
        story
    }

    #[test]
    fn no_pair_has_two_requests_under_way_and_none_in_doubt_is_asked_again() {
        let mut story = story(5);
        let mut under_way: Vec<Step> = Vec::new();
        let mut doubtful = HashSet::new();
        let mut undone = 0;
        for number in 0..2_000 {
            let step = story.next().unwrap();
            let key = (step.post.clone(), step.user.clone());
            assert!(
                !under_way
                    .iter()
                    .any(|it| (&it.post, &it.user) == (&key.0, &key.1)),
                "{step:?}"
            );
            assert!(!doubtful.contains(&key), "{step:?}");
            undone += usize::from(step.wanted.is_none());
            under_way.push(step);
            if under_way.len() > 8 {
                let step = under_way.remove(number % 8);
                let answer = match number % 50 {
                    0 => Answer::Unknown,
                    1 => Answer::Refused,
                    _ => Answer::Accepted,
                };
                story.answered(&step, answer);
                if answer == Answer::Unknown {
                    doubtful.insert((step.post, step.user));
                }
            }
            while let Some(opening) = story.opening() {
                story.opened(opening.number);
            }
        }
        assert!(
            (20..200).contains(&undone),
            "{undone} of 2000 are taken back"
        );
        let ended = std::iter::from_fn(|| story.ended()).count();
        assert!(ended > 20, "{ended}");
    }

    #[test]
    fn every_pair_is_in_one_chapter_when_all_has_ended() {
        let mut story = story(100);
        let mut asked = HashSet::new();
        for _ in 0..500 {
            let step = story.next().unwrap();
            story.answered(&step, Answer::Accepted);
            asked.insert((step.post, step.user));
            while let Some(opening) = story.opening() {
                story.opened(opening.number);
            }
        }
        story.end();
        let mut found = HashSet::new();
        while let Some(chapter) = story.ended() {
            for post in &chapter.posts {
                for pair in &post.pairs {
                    assert!(found.insert((post.id.clone(), pair.user.to_string())));
                }
            }
        }
        assert_eq!(found, asked);
    }

    #[test]
    fn while_no_posts_can_be_made_those_there_are_take_more() {
        let mut story = story(5);
        for _ in 0..1_000 {
            let step = story.next().unwrap();
            story.answered(&step, Answer::Accepted);
        }
        assert!(story.opening().is_some());
        assert!(story.next().is_some());
    }
}
