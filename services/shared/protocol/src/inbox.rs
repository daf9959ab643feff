//! What a receiver has received of one lane: for each open epoch a watermark and the runs above it.
//!
//! It does not grow with traffic: an epoch is one watermark once its gaps are filled, and goes when the next one is linked to it.

use std::collections::BTreeMap;

use crate::event::{Body, Event, EventId, RollingHash, Seal};
use crate::ledger::{Closed, Ending, Endings};
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
    /// How what is received ended, but for what is parked or dead.
    pub endings: Endings,
    /// The sum of the hashes of the service's rows that its events wrote and that stand.
    pub digest: RollingHash,
}

impl EpochInbox {
    /// Whether the event at `sequence` has been received.
    pub fn holds(&self, sequence: Sequence) -> bool {
        sequence <= self.watermark || self.runs.contains(sequence)
    }

    /// How many events have been received.
    pub fn received(&self) -> u64 {
        let runs = self.runs.iter().map(|run| run.last.0 - run.first.0 + 1);
        runs.fold(self.watermark.0, u64::saturating_add)
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
    /// A sweep that was received, and waits for what lies before it.
    pub sweep: Option<PendingSweep>,
    /// The epoch of the last sweep that was carried out; zero before the first.
    pub swept: Epoch,
    /// What the closed ones come to.
    pub closed: Closed,
    /// What the service's rows come to that the lane's events wrote.
    pub state: State,
    /// Epochs that were closed since this was last taken, and what they came to.
    pub just_closed: Vec<(Epoch, EpochInbox)>,
}

/// A sweep that was received and is not carried out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingSweep {
    /// The resync's epoch: what is older is to go.
    pub below: Epoch,
    /// The event that says so.
    pub at: Version,
}

/// What a service's rows come to that the events of one lane's closed epochs wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Rows of older events are not in it: they are from before the receiver joined.
    pub since: Epoch,
    /// The sum of their hashes.
    pub digest: RollingHash,
    /// Whether the service says what it has.
    pub is_told: bool,
    /// How many of the lane's events were discarded since: the rows are not what the sender's are, and are not meant to be.
    pub discarded: u64,
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

    /// Whether the event has been received: what lies in a closed epoch has, or is from a store that is gone.
    pub fn holds(&self, event: EventId) -> bool {
        let EventId { source, sequence } = event;
        let open = self.epochs.get(&source.epoch);
        source.epoch < self.floor || open.is_some_and(|inbox| inbox.holds(sequence))
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

    /// Marks a new event as received by the receiver of this name, and closes what it completes.
    pub fn insert(&mut self, event: &Event, receiver: &ReceiverName, rules: &Rules) {
        let inbox = self.epochs.entry(event.source.epoch).or_default();
        inbox.insert(event.sequence, event.hash());
        if let Body::Sweep { below } = event.body {
            let at = event.version();
            if self.sweep.is_none_or(|other| other.at < at) {
                self.sweep = Some(PendingSweep { below, at });
            }
        }
        if let Body::Opened { previous, joined } = &event.body {
            if joined.contains(receiver) && rules.holds(Rule::JoinBeginsAnew) {
                self.begin(event.source.epoch);
                return;
            }
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

    /// Counts how an event ended that is then [inserted](Inbox::insert), or was parked until now. `false` if its epoch is closed.
    pub fn count(&mut self, event: &Event, ending: Ending, received: bool) -> bool {
        let epoch = event.source.epoch;
        let inbox = match received {
            false => Some(self.epochs.entry(epoch).or_default()),
            true => self.epochs.get_mut(&epoch),
        };
        let is_open = inbox.is_some();
        if let Some(inbox) = inbox {
            inbox.endings.count(ending);
        }
        is_open
    }

    /// A row's hash was added or taken away: one that the event of a source wrote.
    pub fn state_changed(&mut self, epoch: Epoch, change: RollingHash) {
        match self.epochs.get_mut(&epoch) {
            Some(inbox) => inbox.digest += change,
            None if epoch >= self.state.since => self.state.digest += change,
            None => {}
        }
    }

    /// The digest of the state, if the service says what it has and is meant to have all that its sender has.
    pub fn digest(&self) -> Option<RollingHash> {
        let is_comparable = self.state.is_told && self.state.discarded == 0;
        is_comparable.then(|| self.written())
    }

    /// The digest of the rows that were written.
    pub fn written(&self) -> RollingHash {
        let open = self.epochs.values().map(|inbox| inbox.digest);
        open.fold(self.state.digest, |sum, digest| sum + digest)
    }

    /// It joined with this epoch: what lies before was not, or is no more, for it.
    fn begin(&mut self, epoch: Epoch) {
        self.closed = Closed {
            since: epoch,
            ..Closed::default()
        };
        self.state = State {
            since: epoch,
            is_told: self.state.is_told,
            ..State::default()
        };
        self.sweep = self.sweep.filter(|sweep| sweep.at.epoch >= epoch);
        self.floor = self.floor.max(epoch);
        self.epochs = self.epochs.split_off(&epoch);
        if let Some(inbox) = self.epochs.get_mut(&epoch) {
            inbox.link = Link::First;
        }
        self.close();
    }

    /// Carries out the sweep that waits, once everything from its epoch up to it is received: older epochs are closed. What of them is
    /// to go: all below the epoch.
    pub fn carry_out(&mut self, rules: &Rules) -> Option<Epoch> {
        let PendingSweep { below, at } = self.sweep?;
        if !self.is_complete_between(below, at) && rules.holds(Rule::SweepWhenComplete) {
            return None;
        }
        self.sweep = None;
        self.swept = self.swept.max(below);
        if rules.holds(Rule::SweepClosesOlder) {
            self.close_below(below);
        }
        Some(below)
    }

    /// Whether all from an epoch's beginning up to an event is received, over the epochs that are linked in between.
    fn is_complete_between(&self, first: Epoch, last: Version) -> bool {
        if last.epoch < self.floor {
            return true; // it was closed, as any complete epoch is
        }
        let mut epoch = match self.lowest() {
            Some((lowest, _)) => lowest.max(first),
            None => first,
        };
        while let Some(inbox) = self.epochs.get(&epoch) {
            if epoch == last.epoch {
                return inbox.watermark >= last.sequence;
            }
            let mut later = self.epochs.range(Epoch(epoch.0.saturating_add(1))..);
            match later.next() {
                Some((&next, after)) if inbox.is_complete() && after.link == Link::After(epoch) => {
                    epoch = next;
                }
                _ => return false,
            }
        }
        false
    }

    /// Closes all below an epoch, whatever is missing of it.
    pub fn close_below(&mut self, below: Epoch) {
        self.floor = self.floor.max(below);
        let open = self.epochs.split_off(&below);
        // Their rows stand until they are swept.
        for (_, inbox) in std::mem::replace(&mut self.epochs, open) {
            self.state.digest += inbox.digest;
        }
        self.state.discarded = 0;
        self.closed = Closed {
            since: self.floor,
            ..Closed::default()
        };
        self.close();
    }

    /// The highest epoch of which anything was received; zero if nothing was.
    pub fn highest(&self) -> Epoch {
        let closed = Epoch(self.floor.0.saturating_sub(1));
        let open = self.epochs.last_key_value();
        open.map_or(closed, |(epoch, _)| closed.max(*epoch))
    }

    /// Drops the lowest epochs while they are complete and nothing unknown can lie before them.
    fn close(&mut self) {
        while let Some((epoch, inbox)) = self.lowest()
            && inbox.is_complete()
        {
            let (hash, digest) = (inbox.hash, inbox.digest);
            self.floor = Epoch(epoch.0 + 1);
            self.closed.hash += hash;
            self.state.digest += digest;
            let closed = self.epochs.remove(&epoch);
            self.just_closed.extend(closed.map(|inbox| (epoch, inbox)));
        }
    }

    /// The lowest open epoch, if it is known that nothing open lies before it.
    fn lowest(&self) -> Option<(Epoch, &EpochInbox)> {
        let (&epoch, inbox) = self.epochs.first_key_value()?;
        // An epoch that another is linked to is open or closed: what is not among the open ones is closed.
        (inbox.link != Link::Unknown).then_some((epoch, inbox))
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
        let (lowest_open, digest) = (self.lowest_open(), self.digest());
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
            closed: self.closed,
            digest,
        };
        self.epochs.iter().map(receipt).collect()
    }
}

#[cfg(test)]
mod tests;
