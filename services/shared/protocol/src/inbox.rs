//! What a receiver has received of one lane: for each open epoch a watermark and the runs above it.
//!
//! It does not grow with traffic: an epoch is one watermark once its gaps are filled, and goes when the next one is linked to it.

use std::collections::BTreeMap;

use crate::event::{Body, Event, RollingHash, Seal};
use crate::receipt::{Receipt, ReceiverName};
use crate::rules::{Rule, Rules};
use crate::runs::{Place, Run, Runs};
use crate::sequence::{Epoch, Incarnation, Lane, Sequence, Version};

/// What lies before an epoch, as its `opened` event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// `opened` has not been received.
    #[default]
    Unknown,
    /// Nothing: it is the store's first.
    First,
    /// The epoch before.
    After(Epoch),
}

/// What is held of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochInbox {
    /// What lies before it.
    pub link: Link,
    /// Its last sequence, once a later epoch has told.
    pub end: Option<Sequence>,
    /// All up to here are received.
    pub watermark: Sequence,
    /// The sum of the hashes up to the watermark.
    pub hash: RollingHash,
    /// What is received above it.
    pub runs: Runs,
}

impl EpochInbox {
    /// Whether the event at `sequence` has been received.
    pub fn holds(&self, sequence: Sequence) -> bool {
        sequence <= self.watermark || self.runs.contains(sequence)
    }

    fn is_complete(&self) -> bool {
        self.end == Some(self.watermark) && self.runs.is_empty()
    }

    fn insert(&mut self, sequence: Sequence, hash: RollingHash) {
        if sequence == self.watermark.next() {
            self.watermark = sequence;
            self.hash += hash;
            while let Some(run) = self.runs.take_adjacent(self.watermark) {
                self.watermark = run.last;
                self.hash += run.hash;
            }
        } else {
            self.runs.insert(sequence, hash);
        }
    }
}

/// How an event stands to an inbox before it is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not seen yet.
    New,
    /// Received before.
    Copy,
    /// Its epoch is complete and gone from the inbox: received before, or from a store that is gone.
    Closed,
    /// Beyond its epoch's end or between linked epochs: from a store that is gone.
    Gone,
    /// It would open a run over the cap.
    OverCap,
}

/// The inbox of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbox {
    /// Every epoch below this is complete.
    pub floor: Epoch,
    /// The open ones.
    pub epochs: BTreeMap<Epoch, EpochInbox>,
}

impl Inbox {
    /// The most runs that are kept above a watermark.
    pub const MAX_RUNS: usize = 1024;

    /// How `event` stands to what has been received.
    pub fn standing(&self, event: &Event, max_runs: usize, rules: &Rules) -> Standing {
        let epoch = event.source.epoch;
        if epoch < self.floor {
            return Standing::Closed;
        }
        let known = self.epochs.get(&epoch);
        if known.is_some_and(|inbox| inbox.holds(event.sequence)) {
            return if rules.holds(Rule::InboxOnce) {
                Standing::Copy
            } else {
                Standing::New
            };
        }
        let beyond = known
            .and_then(|inbox| inbox.end)
            .is_some_and(|end| event.sequence > end);
        if (beyond || self.is_between(epoch)) && rules.holds(Rule::RefuseBeyondSeal) {
            return Standing::Gone;
        }
        if let Some(inbox) = known
            && event.sequence != inbox.watermark.next()
            && inbox.runs.len() >= max_runs
            && inbox.runs.place(event.sequence) == Place::Opens
            && rules.holds(Rule::DropOverRunCap)
        {
            return Standing::OverCap;
        }
        Standing::New
    }

    /// Whether a later epoch is linked to an earlier one, over this.
    fn is_between(&self, epoch: Epoch) -> bool {
        self.epochs.range(epoch..).any(|(&later, inbox)| {
            later > epoch
                && match inbox.link {
                    Link::Unknown => false,
                    Link::First => true,
                    Link::After(previous) => previous < epoch,
                }
        })
    }

    /// Marks a new event as received, and closes what it completes.
    pub fn insert(&mut self, event: &Event) {
        let inbox = self.epochs.entry(event.source.epoch).or_default();
        inbox.insert(event.sequence, event.hash());
        if let Body::Opened { previous } = &event.body {
            inbox.link = match previous {
                None => Link::First,
                Some(Seal { epoch, .. }) => Link::After(*epoch),
            };
            if let Some(Seal { epoch, last }) = *previous
                && epoch >= self.floor
            {
                self.epochs.entry(epoch).or_default().end = Some(last);
            }
        }
        self.close();
    }

    /// Drops the lowest epochs while they are complete and nothing unknown can lie before them.
    fn close(&mut self) {
        while let Some((epoch, inbox)) = self.lowest()
            && inbox.is_complete()
        {
            self.floor = Epoch(epoch.0 + 1);
            self.epochs.remove(&epoch);
        }
    }

    /// The lowest open epoch, if it is known that nothing open lies before it.
    fn lowest(&self) -> Option<(Epoch, &EpochInbox)> {
        let (&epoch, inbox) = self.epochs.first_key_value()?;
        let linked = match inbox.link {
            Link::Unknown => false,
            Link::First => true,
            Link::After(previous) => previous < self.floor,
        };
        linked.then_some((epoch, inbox))
    }

    /// Of this lane, everything under epochs below this one is received.
    pub fn lowest_open(&self) -> Epoch {
        self.lowest().map_or(self.floor, |(epoch, _)| epoch)
    }

    /// Every event of the lane up to this version is received: what is needed no longer to tell an old one from a new.
    pub fn complete_up_to(&self) -> Version {
        match self.lowest() {
            Some((epoch, inbox)) => Version {
                epoch,
                sequence: inbox.watermark,
            },
            None => Version {
                epoch: Epoch(self.floor.0.saturating_sub(1)),
                sequence: Sequence(u64::MAX),
            },
        }
    }

    /// A receipt for each open epoch, ascending.
    pub fn receipts(
        &self,
        lane: Lane,
        receiver: &ReceiverName,
        incarnation: Incarnation,
    ) -> Vec<Receipt> {
        let lowest_open = self.lowest_open();
        let receipt = |(&epoch, inbox): (&Epoch, &EpochInbox)| Receipt {
            source: lane.source(epoch),
            lowest_open,
            receiver: receiver.clone(),
            incarnation,
            watermark: inbox.watermark,
            hash: inbox.hash,
            runs: inbox
                .runs
                .iter()
                .take(Receipt::MAX_RUNS)
                .map(Run::range)
                .collect(),
        };
        self.epochs.iter().map(receipt).collect()
    }
}
