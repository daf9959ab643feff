//! What one receiver is known to hold of one source, and what is still to be sent to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::wire::{BrokerPlace, Path, TransmissionId};
use crate::outbox::Mark;
use crate::sequence::Sequence;
use crate::time::Moment;

/// How one event stands to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// To be sent in the background for the first time.
    Fresh,
    /// A caller waits for it, or its failure is not committed yet: the background leaves it alone.
    Inline,
    /// To be sent again, not before a moment.
    Again { sends: u32, not_before: Moment },
    /// On its way.
    UnderWay {
        sends: u32,
        transmission: TransmissionId,
    },
    /// Sent, and no receipt covers it yet.
    Sent {
        sends: u32,
        path: Path,
        order: u64,
        at: Moment,
        place: Option<BrokerPlace>,
    },
    /// Received.
    Received,
}

/// The unacknowledged events of one source, for one receiver: a slot for each, from the first that is not known to be received.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// All up to here are received.
    base: Sequence,
    slots: VecDeque<Slot>,
    /// The last sequence that is durable, which may lie beyond the slots.
    last: Sequence,
    /// All slots up to here have been looked at for a first sending.
    cursor: Sequence,
    /// When the oldest fresh event that waits was committed: what the linger is counted from.
    waiting_since: Option<Moment>,
    /// Those to be sent again.
    again: BTreeMap<Sequence, Moment>,
    /// How many slots are [`Slot::Sent`].
    sent: usize,
}

/// What became received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// How many events.
    pub(super) events: usize,
    /// The latest in the order of sending, on each path.
    pub(super) call: Option<u64>,
    pub(super) broker: Option<u64>,
}

impl Track {
    pub(super) fn new(mark: &Mark, last: Sequence, max: usize) -> Self {
        let mut track = Track {
            base: mark.watermark,
            cursor: mark.watermark,
            ..Track::default()
        };
        track.grow(last, Moment::START, max);
        track.receive(mark);
        track
    }

    /// The source's durable end moved.
    pub(super) fn grow(&mut self, last: Sequence, now: Moment, max: usize) {
        self.last = self.last.max(last);
        let room = max.saturating_sub(self.slots.len()) as u64;
        let missing = self.last.0.saturating_sub(self.end().0);
        for _ in 0..missing.min(room) {
            self.slots.push_back(Slot::Fresh);
        }
        if self.cursor < self.end() {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// The last sequence that has a slot.
    fn end(&self) -> Sequence {
        Sequence(self.base.0 + self.slots.len() as u64)
    }

    pub(super) fn base(&self) -> Sequence {
        self.base
    }

    /// How many events are not known to be received.
    pub(super) fn unreceived(&self) -> u64 {
        self.last.0.saturating_sub(self.base.0)
    }

    pub(super) fn slot(&self, sequence: Sequence) -> Option<Slot> {
        let at = sequence.0.checked_sub(self.base.0 + 1)?;
        self.slots.get(usize::try_from(at).ok()?).copied()
    }

    pub(super) fn set(&mut self, sequence: Sequence, slot: Slot) {
        let Some(at) = sequence
            .0
            .checked_sub(self.base.0 + 1)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return;
        };
        let Some(old) = self.slots.get_mut(at) else {
            return;
        };
        if *old == Slot::Received {
            return;
        }
        self.sent -= usize::from(matches!(old, Slot::Sent { .. }));
        self.sent += usize::from(matches!(slot, Slot::Sent { .. }));
        match slot {
            Slot::Again { not_before, .. } => self.again.insert(sequence, not_before),
            _ => self.again.remove(&sequence),
        };
        *old = slot;
    }

    /// What a recorded receipt says is held.
    pub(super) fn receive(&mut self, mark: &Mark) -> Progress {
        let mut progress = Progress::default();
        let mut note = |slot: Slot| {
            if slot != Slot::Received {
                progress.events += 1;
            }
            if let Slot::Sent { path, order, .. } = slot {
                let latest = match path {
                    Path::Call => &mut progress.call,
                    Path::Broker => &mut progress.broker,
                };
                *latest = (*latest).max(Some(order));
            }
        };
        while self.base < mark.watermark {
            let Some(slot) = self.slots.pop_front() else {
                self.base = mark.watermark;
                break;
            };
            self.sent -= usize::from(matches!(slot, Slot::Sent { .. }));
            self.base = self.base.next();
            note(slot);
        }
        for run in &mark.runs {
            for sequence in *run.start()..=(*run.end()).min(self.end().0) {
                if let Some(slot) = self.slot(Sequence(sequence)) {
                    note(slot);
                    self.set(Sequence(sequence), Slot::Received);
                }
            }
        }
        while self.slots.front() == Some(&Slot::Received) {
            self.slots.pop_front();
            self.base = self.base.next();
        }
        self.cursor = self.cursor.max(self.base);
        let base = self.base;
        self.again = self.again.split_off(&base.next());
        self.last = self.last.max(self.base);
        if self.cursor >= self.end() {
            self.waiting_since = None;
        }
        progress
    }

    /// What only runs had said is void: those events are to be sent again.
    pub(super) fn forget_runs(&mut self, forgotten: Sequence, now: Moment) {
        while self.base > forgotten {
            self.slots.push_front(Slot::Received);
            self.base = self.base.previous();
        }
        for at in 0..self.slots.len() {
            if self.slots[at] == Slot::Received {
                self.slots[at] = Slot::Again {
                    sends: 1,
                    not_before: now,
                };
                self.again
                    .insert(Sequence(self.base.0 + 1 + at as u64), now);
            }
        }
    }

    /// Whether a batch is due: something to be sent again, a full batch, or one that has lingered.
    pub(super) fn is_due(&self, now: Moment, linger: Duration, full: usize) -> bool {
        let fresh = self.end().0.saturating_sub(self.cursor.0);
        let lingered = self
            .waiting_since
            .is_some_and(|since| now.since(since) >= linger);
        (fresh > 0 && (lingered || fresh >= full as u64))
            || self.again.values().any(|not_before| *not_before <= now)
    }

    /// When [`Track::is_due`] may next become true by time alone.
    pub(super) fn due_at(&self, linger: Duration) -> Option<Moment> {
        let lingers = self.waiting_since.map(|since| since + linger);
        lingers
            .into_iter()
            .chain(self.again.values().min().copied())
            .min()
    }

    /// What the next batch may be taken from, ascending: what is to be sent again, then what is fresh. Skips what callers wait for.
    pub(super) fn candidates(&self, now: Moment) -> impl Iterator<Item = Sequence> + '_ {
        let again = self
            .again
            .iter()
            .filter(move |(_, not_before)| **not_before <= now)
            .map(|(sequence, _)| *sequence);
        let fresh = (self.cursor.0 + 1..=self.end().0)
            .map(Sequence)
            .filter(|sequence| self.slot(*sequence) == Some(Slot::Fresh));
        again.chain(fresh)
    }

    /// All up to here have been taken, or left to others.
    pub(super) fn advance(&mut self, to: Sequence, now: Moment) {
        self.cursor = self.cursor.max(to);
        while self.cursor < self.end() && self.slot(self.cursor.next()) != Some(Slot::Fresh) {
            self.cursor = self.cursor.next();
        }
        self.waiting_since = (self.cursor < self.end()).then_some(now);
    }

    /// What callers wait for is not fresh.
    pub(super) fn pass_inline(&mut self) {
        while self.slot(self.cursor.next()) == Some(Slot::Inline) {
            self.cursor = self.cursor.next();
        }
        if self.cursor >= self.end() {
            self.waiting_since = None;
        }
    }

    /// The events that were sent and are not known to be received.
    pub(super) fn awaiting(&self) -> impl Iterator<Item = (Sequence, Slot)> + '_ {
        let all = if self.sent == 0 { 0 } else { self.slots.len() };
        let numbered = self.slots.iter().take(all).enumerate();
        numbered
            .filter(|(_, slot)| matches!(slot, Slot::Sent { .. }))
            .map(|(at, slot)| (Sequence(self.base.0 + 1 + at as u64), *slot))
    }

    pub(super) fn has_awaiting(&self) -> bool {
        self.sent > 0
    }

    /// How often the most sent of what is unreceived was sent.
    pub(super) fn most_sends(&self) -> u32 {
        let sends = self.slots.iter().map(|slot| match slot {
            Slot::Again { sends, .. } | Slot::UnderWay { sends, .. } | Slot::Sent { sends, .. } => {
                *sends
            }
            Slot::Fresh | Slot::Inline | Slot::Received => 0,
        });
        sends.max().unwrap_or(0)
    }
}
