//! What is given to be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::register;
use crate::verdict::{Explained, Violation};

/// A kind of reaction, by its name.
pub type Kind = Arc<str>;

/// How a pair stands: its kind, or none.
pub type Standing = Option<Kind>;

/// The reactions that stand at one end.
pub type Rows = BTreeMap<Pair, Kind>;

/// Whose reaction to what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The post.
    pub post: Arc<str>,
    /// The user.
    pub user: Arc<str>,
}

impl Pair {
    /// That user's reaction to that post.
    pub fn new(post: &str, user: &str) -> Self {
        Self {
            post: post.into(),
            user: user.into(),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.post, self.user)
    }
}

/// One request and what became of it. Times are of one monotonic clock, since the run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub caller: usize,
    /// When, before anything of it was sent.
    pub invoked: Duration,
    /// When the answer was there. Of a request without one: when it can take effect no more, because who was asked has ended; see
    /// [`History::end_unanswered`].
    pub ended: Duration,
    /// What was asked and told.
    pub did: Did,
}

/// What a request asked for, and what was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// To change how the pair stands.
    Wrote {
        /// How it should stand.
        wanted: Standing,
        /// What the caller was told.
        answer: Answer,
    },
    /// To read at the sender how it stands.
    Read {
        /// How it did.
        saw: Standing,
    },
    /// To read at a receiver.
    Observed {
        /// The receiver's name.
        at: Arc<str>,
        /// How it stood there.
        saw: Standing,
    },
    /// The sender's store was copied, as it was at one instant in that time. [`History::restored`] adds it to each pair's story.
    Copied,
    /// That copy took its place: what had come about since is gone.
    PutBack,
}

/// A store that was put back as it was before, and then healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The receiver whose store it is; none: the sender's.
    pub receiver: Option<Arc<str>>,
    /// The copy was made at an instant in this time.
    pub copied: Range<Duration>,
    /// It was put back at an instant in this time: from the last moment in which the process may have served that had the store until
    /// then, to the first in which another serves.
    pub put_back: Range<Duration>,
    /// By then every receiver had what the sender's store has, and nothing else.
    pub healed: Duration,
}

impl Restored {
    /// Whether the copy lacks for certain what was done then.
    pub(crate) fn lacks(&self, operation: &Operation) -> bool {
        operation.invoked >= self.copied.end && operation.ended <= self.put_back.start
    }

    /// Whether the copy may lack what was done then.
    pub(crate) fn may_lack(&self, operation: &Operation) -> bool {
        operation.ended > self.copied.start && operation.invoked < self.put_back.end
    }
}

/// What the caller of a change was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// 200: it stands, and every receiver has it.
    Delivered,
    /// The same, of a change that changed nothing and was sent to nobody: every receiver had it.
    Stood,
    /// 202: it stands, and every receiver will have it.
    Accepted,
    /// It does not stand.
    Refused,
    /// No answer, or one that says that nobody knows.
    Unknown,
}

/// Everything that was asked, by pair.
#[derive(Debug, Clone, Default)]
pub struct History {
    operations: BTreeMap<Pair, Vec<Operation>>,
    restored: Vec<Restored>,
}

/// What there is in the end, when nothing is under way.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// At the sender.
    pub sender: Rows,
    /// At each receiver, by its name.
    pub receivers: BTreeMap<Arc<str>, Rows>,
}

impl History {
    /// Remembers a request.
    pub fn add(&mut self, pair: &Pair, operation: Operation) {
        self.operations
            .entry(pair.clone())
            .or_default()
            .push(operation);
    }

    /// Remembers that a store was restored. Of one end's copies each was put back before the next was made.
    pub fn restored(&mut self, restored: Restored) {
        self.restored.push(restored);
    }

    /// Says of every request without an answer when it can take effect no more, given when its caller gave up.
    pub fn end_unanswered(&mut self, until: impl Fn(Duration) -> Duration) {
        for operation in self.operations.values_mut().flatten() {
            if operation.is_unanswered() {
                operation.ended = operation.ended.max(until(operation.ended));
            }
        }
    }

    /// Whether some order explains every answer and what is held in the end.
    ///
    /// # Errors
    /// What can't be explained, at most one violation for each pair and end.
    pub fn check(&self, held: &Held) -> Result<Explained, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut explained = Explained::default();
        for pair in self.every_pair(held) {
            let operations = self.operations.get(pair).map_or(&[][..], Vec::as_slice);
            let sender = held.sender.get(pair);
            match register::explain(operations, sender, &self.restored) {
                Ok(()) => explained.count(operations, sender.is_some()),
                Err(stuck) => violations.push(Violation::unexplained(pair, stuck)),
            }
            for (receiver, rows) in &held.receivers {
                let there = rows.get(pair);
                if there != sender {
                    violations.push(Violation::Differs {
                        pair: pair.clone(),
                        receiver: receiver.clone(),
                        sender: sender.cloned(),
                        held: there.cloned(),
                        story: operations.to_vec(),
                    });
                }
            }
        }
        match violations.is_empty() {
            true => Ok(explained),
            false => Err(violations),
        }
    }

    /// Those that were asked for, and those that somebody holds.
    fn every_pair<'a>(&'a self, held: &'a Held) -> BTreeSet<&'a Pair> {
        let receivers = held.receivers.values().flat_map(BTreeMap::keys);
        let ends = held.sender.keys().chain(receivers);
        self.operations.keys().chain(ends).collect()
    }
}

impl Operation {
    fn is_unanswered(&self) -> bool {
        matches!(
            self.did,
            Did::Wrote {
                answer: Answer::Unknown,
                ..
            }
        )
    }
}
