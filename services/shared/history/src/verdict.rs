//! What the judge says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::history::{Answer, Did, Operation, Pair, Standing};
use crate::register::Stuck;

/// Operations shown before the one that can't be explained.
const SHOWN: usize = 40;

/// What was explained.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// Pairs.
    pub pairs: usize,
    /// Of those, pairs that stand in the end.
    pub standing: usize,
    /// Changes asked for, by what was told.
    pub writes: BTreeMap<Answer, usize>,
    /// Reads, at the sender and at receivers.
    pub reads: usize,
}

impl Explained {
    pub(crate) fn count(&mut self, operations: &[Operation], stands: bool) {
        self.pairs += 1;
        self.standing += usize::from(stands);
        for operation in operations {
            match &operation.did {
                Did::Wrote { answer, .. } => *self.writes.entry(*answer).or_default() += 1,
                Did::Read { .. } | Did::Observed { .. } => self.reads += 1,
                Did::Copied | Did::PutBack => {}
            }
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |answer| self.writes.get(&answer).copied().unwrap_or(0);
        write!(
            f,
            "{} changes ({} delivered, {} delivered before, {} accepted, {} refused, {} unknown) and {} reads of {} pairs, of which {} stand",
            self.writes.values().sum::<usize>(),
            told(Answer::Delivered),
            told(Answer::Stood),
            told(Answer::Accepted),
            told(Answer::Refused),
            told(Answer::Unknown),
            self.reads,
            self.pairs,
            self.standing,
        )
    }
}

/// Something that no order of events explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// No order explains what was told of a pair up to the last operation shown, or what the sender holds in the end.
    Unexplained {
        /// The pair.
        pair: Pair,
        /// The shortest story that can't be explained, in the order of asking: it begins where nothing was under way.
        story: Vec<Operation>,
        /// It begins with nothing at all; else it can't be explained however the pair stood before.
        from_the_beginning: bool,
        /// What the sender holds in the end, where that is what can't be explained.
        held: Option<Standing>,
    },
    /// More orders were possible than could be looked at: no verdict.
    Undecided {
        /// The pair.
        pair: Pair,
    },
    /// A receiver saw what nobody can have shown it: no change asked for by then wanted it, or a newer one was delivered before.
    Seen {
        /// The pair.
        pair: Pair,
        /// What was seen.
        read: Operation,
        /// What was asked of the pair by then.
        story: Vec<Operation>,
    },
    /// A receiver holds something else than the sender when nothing is under way.
    Differs {
        /// The pair.
        pair: Pair,
        /// The receiver.
        receiver: Arc<str>,
        /// What the sender holds.
        sender: Standing,
        /// What the receiver holds.
        held: Standing,
        /// What was asked of the pair.
        story: Vec<Operation>,
    },
    /// What an owner is shown of a post is not the sum of the reactions that stand.
    Group {
        /// The owner.
        owner: Arc<str>,
        /// The post.
        post: Arc<str>,
        /// What is wrong.
        wrong: String,
    },
    /// What an owner's event stream told is wrong.
    Stream {
        /// What is wrong.
        wrong: String,
    },
}

impl Violation {
    pub(crate) fn unexplained(pair: &Pair, stuck: Stuck) -> Self {
        let pair = pair.clone();
        match stuck {
            Stuck::TooMany => Self::Undecided { pair },
            Stuck::Seen { read, story } => Self::Seen { pair, read, story },
            Stuck::At {
                story,
                from_the_beginning,
                held,
            } => Self::Unexplained {
                pair,
                story,
                from_the_beginning,
                held,
            },
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexplained {
                pair,
                story,
                from_the_beginning,
                held,
            } => {
                let before = match from_the_beginning {
                    true => "from the beginning",
                    false => "however it stood before",
                };
                writeln!(f, "{pair}: {before}, no order explains this")?;
                tell(f, story)?;
                match held {
                    Some(held) => write!(f, "  and in the end the sender holds {}", name(held)),
                    None => Ok(()),
                }
            }
            Self::Undecided { pair } => {
                write!(f, "{pair}: too many orders are possible: not decided")
            }
            Self::Seen { pair, read, story } => {
                writeln!(f, "{pair}: nothing explains what was seen:")?;
                tell(f, std::slice::from_ref(read))?;
                writeln!(f, "  after")?;
                tell(f, story)
            }
            Self::Differs {
                pair,
                receiver,
                sender,
                held,
                story,
            } => {
                let (sender, held) = (name(sender), name(held));
                writeln!(
                    f,
                    "{pair}: the sender holds {sender}, {receiver} holds {held}"
                )?;
                tell(f, story)
            }
            Self::Group { owner, post, wrong } => write!(f, "{owner}'s group of {post}: {wrong}"),
            Self::Stream { wrong } => write!(f, "event stream: {wrong}"),
        }
    }
}

fn name(standing: &Standing) -> &str {
    standing.as_deref().unwrap_or("nothing")
}

/// The latest of them, in the order of asking.
fn tell(f: &mut fmt::Formatter<'_>, story: &[Operation]) -> fmt::Result {
    if story.len() > SHOWN {
        writeln!(f, "  … {} before", story.len() - SHOWN)?;
    }
    for operation in &story[story.len().saturating_sub(SHOWN)..] {
        let Operation {
            caller,
            invoked,
            ended,
            did,
        } = operation;
        let (from, to) = (invoked.as_secs_f64(), ended.as_secs_f64());
        write!(f, "  {from:10.4} to {to:10.4} s, caller {caller:>2}: ")?;
        match did {
            Did::Wrote { wanted, answer } => {
                writeln!(f, "wanted {}, was told {answer:?}", name(wanted))?;
            }
            Did::Read { saw } => writeln!(f, "read {}", name(saw))?,
            Did::Observed { at, saw } => writeln!(f, "read {} at {at}", name(saw))?,
            Did::Copied => writeln!(f, "the sender's store is copied")?,
            Did::PutBack => writeln!(f, "the copy takes its place")?,
        }
    }
    Ok(())
}
