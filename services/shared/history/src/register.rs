//! Whether some order of events explains one pair: a register, whose operations took effect one after another.
//!
//! The search keeps every way in which things may stand, goes through the story in time, and lets an operation take effect only when its
//! answer asks for it (Lowe, "Testing for linearizability", 2017: just-in-time linearization). Where no way is left, the operation whose
//! answer came last can't be explained. What is remembered is how the pair stands and what is under way, so many ways fall into one, and
//! a story costs what was under way at once, not how long it is.
//!
//! A change that is told to have failed may yet stand for a while: it takes effect and is taken back, both before its answer. In between
//! it can be read, and no change that stands takes effect: one that was told success and was taken back with it would be undone.
//!
//! Where the sender's store was restored, copying it and putting the copy back are operations of every story.

use std::collections::HashSet;
use std::time::Duration;

use crate::history::{Answer, Did, Kind, Operation, Restored, Standing};
use crate::observed;

/// How many ways may be possible at once: far more than a story of a few callers has.
const WAYS: usize = 200_000;

/// Why nothing explains a pair.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// Where no way was left: the shortest story that can't be explained however the pair stood before, or from the beginning.
    At {
        story: Vec<Operation>,
        from_the_beginning: bool,
        held: Option<Standing>,
    },
    /// What a receiver was seen to hold.
    Seen {
        read: Operation,
        story: Vec<Operation>,
    },
    /// Too many ways.
    TooMany,
}

/// One way in which things may stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    stands: Name,
    /// A change that will fail and stands for now, by its index, and what it replaced.
    failing: Option<(usize, Name)>,
    /// What is under way and has not taken effect, by its index.
    waits: Vec<usize>,
    /// How the pair stands in the copy of the sender's store.
    copied: Option<Name>,
}

/// How a pair may stand, by its place in the list of all that is in its story: quicker to compare than a name.
type Name = usize;

/// What an operation does, and what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Reads(Name),
    Writes(Name),
    /// Either it writes or it does nothing.
    MayWrite(Name),
    /// Either it writes and takes it back, or it does nothing.
    WritesAndTakesBack(Name),
    /// The sender's store is copied.
    Copies,
    /// The copy takes its place. Also what a caller was told to be taken back may stand in it, if the copy was made in between.
    PutsBack,
}

impl Does {
    /// Whether it may as well never happen.
    fn may_do_nothing(self) -> bool {
        matches!(self, Does::MayWrite(_) | Does::WritesAndTakesBack(_))
    }
}

/// Explains a pair's story, which begins with nothing, and what is held in the end.
pub(crate) fn explain(
    operations: &[Operation],
    held: Option<&Kind>,
    restored: &[Restored],
) -> Result<(), Stuck> {
    let mut story: Vec<Operation> = operations.to_vec();
    story.extend(restored.iter().flat_map(senders_own));
    story.sort_by_key(|it| it.invoked);
    if let Some(read) = observed::unexplained(&story, restored) {
        let before = story
            .iter()
            .filter(|it| it.invoked <= read.ended && *it != read);
        return Err(Stuck::Seen {
            read: read.clone(),
            story: before.cloned().collect(),
        });
    }
    story.retain(|it| !matches!(it.did, Did::Observed { .. }));
    let end = story.iter().map(|it| it.ended).max().unwrap_or_default() + Duration::from_nanos(1);
    // What is held in the end is what is read after all.
    story.push(Operation {
        caller: 0,
        invoked: end,
        ended: end,
        did: Did::Read { saw: held.cloned() },
    });
    let named = Named::of(&story);
    let mut quiet = Vec::new();
    let nothing = HashSet::from([Way::of(0)]);
    let Some(last) = named.search(0, nothing, &mut quiet)? else {
        return Ok(());
    };
    // What is told begins where nothing was under way, as late as it may.
    let anything = || named.every_way();
    let mut first = 0;
    for begin in quiet.into_iter().rev() {
        if named.search(begin, anything(), &mut Vec::new())? == Some(last) {
            first = begin;
            break;
        }
    }
    let (end, at) = (story.len() - 1, story[last].ended);
    let told = story[first..end].iter().filter(|it| it.invoked <= at);
    Err(Stuck::At {
        story: told.cloned().collect(),
        from_the_beginning: first == 0,
        held: (last == end).then(|| held.cloned()),
    })
}

/// What becomes of the register by a restored store: nothing, unless it is the sender's.
fn senders_own(restored: &Restored) -> impl Iterator<Item = Operation> {
    let told = [
        (&restored.copied, Did::Copied),
        (&restored.put_back, Did::PutBack),
    ];
    let is_senders = restored.receiver.is_none();
    let told = told.into_iter().filter(move |_| is_senders);
    told.map(|(time, did)| Operation {
        caller: 0,
        invoked: time.start,
        ended: time.end,
        did,
    })
}

/// A moment of the story. Of two at the same time the beginning comes first: what touches may have overlapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Begins(usize),
    Ends(usize),
}

/// A story, with names and what each operation does.
struct Named<'a> {
    story: &'a [Operation],
    does: Vec<Does>,
    names: Vec<Standing>,
}

impl<'a> Named<'a> {
    fn of(story: &'a [Operation]) -> Self {
        let mut names = vec![None];
        let mut name = |standing: &Standing| {
            let known = names.iter().position(|it| it == standing);
            known.unwrap_or_else(|| {
                names.push(standing.clone());
                names.len() - 1
            })
        };
        let does = story.iter().map(|it| match &it.did {
            Did::Read { saw } | Did::Observed { saw, .. } => Does::Reads(name(saw)),
            Did::Wrote { wanted, answer } => match answer {
                Answer::Delivered | Answer::Stood | Answer::Accepted => Does::Writes(name(wanted)),
                Answer::Unknown => Does::MayWrite(name(wanted)),
                Answer::Refused => Does::WritesAndTakesBack(name(wanted)),
            },
            Did::Copied => Does::Copies,
            Did::PutBack => Does::PutsBack,
        });
        let does = does.collect();
        Self { story, does, names }
    }

    /// However the pair may stand, also in a copy that was made before.
    fn every_way(&self) -> HashSet<Way> {
        let names = 0..self.names.len();
        let stands = names.clone().map(Way::of);
        let with_copy = stands.flat_map(|way| {
            let copied = std::iter::once(None).chain(names.clone().map(Some));
            copied.map(move |copied| Way {
                copied,
                ..way.clone()
            })
        });
        with_copy.collect()
    }

    /// Looks for an order from this operation on, and says after which operation's end there is none. Adds where nothing was under way.
    fn search(
        &self,
        first: usize,
        ways: HashSet<Way>,
        quiet: &mut Vec<usize>,
    ) -> Result<Option<usize>, Stuck> {
        let mut moments: Vec<(Duration, Moment)> = Vec::new();
        for (index, operation) in self.story.iter().enumerate().skip(first) {
            moments.push((operation.invoked, Moment::Begins(index)));
            moments.push((operation.ended, Moment::Ends(index)));
        }
        moments.sort();
        let mut search = Search {
            does: &self.does,
            ways,
        };
        let mut under_way = 0_usize;
        for (_, moment) in moments {
            match moment {
                Moment::Begins(index) => {
                    if under_way == 0 {
                        quiet.push(index);
                    }
                    under_way += 1;
                    search.begins(index);
                }
                Moment::Ends(index) => {
                    under_way -= 1;
                    search.ends(index)?;
                    if search.ways.is_empty() {
                        return Ok(Some(index));
                    }
                }
            }
        }
        Ok(None)
    }
}

struct Search<'a> {
    does: &'a [Does],
    ways: HashSet<Way>,
}

impl Search<'_> {
    fn begins(&mut self, index: usize) {
        let ways = std::mem::take(&mut self.ways);
        self.ways = ways
            .into_iter()
            .map(|mut way| {
                way.waits.push(index);
                way
            })
            .collect();
    }

    /// Keeps the ways in which this answer is true. Whatever need not have happened before it may still happen later.
    fn ends(&mut self, index: usize) -> Result<(), Stuck> {
        let mut seen = HashSet::new();
        let mut left: Vec<Way> = std::mem::take(&mut self.ways).into_iter().collect();
        let may_do_nothing = self.does[index].may_do_nothing();
        while let Some(way) = left.pop() {
            if way.is_done_with(index) {
                self.ways.insert(way);
                continue;
            }
            if !seen.insert(way.clone()) {
                continue;
            }
            if seen.len() + self.ways.len() > WAYS {
                return Err(Stuck::TooMany);
            }
            left.extend(way.next(self.does));
            let place = way.waits.iter().position(|it| *it == index);
            if let Some(place) = place.filter(|_| may_do_nothing) {
                let mut without = way;
                without.waits.remove(place);
                self.ways.insert(without);
            }
        }
        Ok(())
    }
}

impl Way {
    /// It stands so, and nothing is under way.
    fn of(stands: Name) -> Self {
        Self {
            stands,
            failing: None,
            waits: Vec::new(),
            copied: None,
        }
    }

    /// Whether it took effect, and is taken back if it fails.
    fn is_done_with(&self, index: usize) -> bool {
        let fails = self.failing.is_some_and(|(it, _)| it == index);
        !fails && !self.waits.contains(&index)
    }

    /// What may happen next.
    fn next(&self, does: &[Does]) -> Vec<Way> {
        let mut ways = Vec::new();
        if let Some((_, before)) = self.failing {
            ways.push(Way {
                stands: before,
                failing: None,
                ..self.clone()
            });
        }
        for (place, index) in self.waits.iter().enumerate() {
            let mut copied = self.copied;
            let (stands, failing) = match (does[*index], self.failing) {
                (Does::Reads(saw), failing) if saw == self.stands => (saw, failing),
                (Does::Writes(wanted) | Does::MayWrite(wanted), None) => (wanted, None),
                (Does::WritesAndTakesBack(wanted), None) => (wanted, Some((*index, self.stands))),
                (Does::Copies, failing) => {
                    copied = Some(self.stands);
                    (self.stands, failing)
                }
                (Does::PutsBack, _) => match copied.take() {
                    Some(stands) => (stands, None),
                    None => continue,
                },
                _ => continue,
            };
            let mut waits = self.waits.clone();
            waits.remove(place);
            ways.push(Way {
                stands,
                failing,
                waits,
                copied,
            });
        }
        ways
    }
}
