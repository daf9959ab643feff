//! What one receiver is known to hold of one source, and what is still to be sent to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::repair::Lost;
use super::sorted::Sorted;
use super::timing::sooner;
use super::wire::{BrokerPlace, Path};
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
    /// To be sent now, by this way: where not all events take one.
    Sorted { sends: u32, path: Path },
    /// On its way.
    UnderWay { sends: u32 },
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

impl Slot {
    /// How often it was sent; none once it is received.
    pub(super) fn sends(self) -> u32 {
        match self {
            Slot::Again { sends, .. }
            | Slot::Sorted { sends, .. }
            | Slot::UnderWay { sends }
            | Slot::Sent { sends, .. } => sends,
            Slot::Fresh | Slot::Inline | Slot::Received => 0,
        }
    }
}

/// The unacknowledged events of one source, for one receiver: a slot for each, from the first that is not known to be received.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// All up to here are received.
    base: Sequence,
    slots: VecDeque<Slot>,
    /// The last sequence that is durable, which may lie beyond the slots.
    last: Sequence,
    /// No slot up to here is fresh, and the next one is, unless this is the end.
    cursor: Sequence,
    /// When the oldest fresh event that waits was committed: what the linger is counted from.
    waiting_since: Option<Moment>,
    /// Those to be sent again, and when.
    again: BTreeMap<Sequence, Moment>,
    /// The same by time.
    again_at: BTreeSet<(Moment, Sequence)>,
    /// Those that are [`Slot::Sorted`].
    sorted: Sorted,
    /// How many slots are [`Slot::Sent`].
    sent: usize,
    /// How many slots are [`Slot::Received`]: what overtook something.
    received: usize,
    /// Events of failed calls, each behind the later event that takes it back: they go out once that has.
    behind: BTreeMap<Sequence, Sequence>,
    /// Those that were taken for lost, and why, until they are received.
    lost: BTreeMap<Sequence, Lost>,
}

/// What became received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Which events above the watermark.
    pub(super) above: Vec<Sequence>,
    /// The latest in the order of sending, on each path.
    pub(super) call: Option<u64>,
    pub(super) broker: Option<u64>,
    /// Why those that had been lost were taken for it.
    pub(super) repaired: Vec<Lost>,
}

impl Progress {
    fn note(&mut self, slot: Slot) {
        if let Slot::Sent { path, order, .. } = slot {
            let latest = match path {
                Path::Call => &mut self.call,
                Path::Broker => &mut self.broker,
            };
            *latest = (*latest).max(Some(order));
        }
    }
}

impl Track {
    pub(super) fn new(mark: &Mark, last: Sequence, max: usize) -> Self {
        let mut track = Track {
            base: mark.watermark,
            cursor: mark.watermark,
            ..Track::default()
        };
        track.grow(last, Moment::START, max);
        track.receive(mark, Moment::START, max);
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
        self.pass_taken();
        if self.cursor < self.end() {
            self.waiting_since.get_or_insert(now);
        }
        self.release_received(now);
    }

    /// Moves the cursor over what is not fresh.
    fn pass_taken(&mut self) {
        while self.cursor < self.end() && self.slot(self.cursor.next()) != Some(Slot::Fresh) {
            self.cursor = self.cursor.next();
        }
        if self.cursor >= self.end() {
            self.waiting_since = None;
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
        let above = self.last.0.saturating_sub(self.base.0);
        above.saturating_sub(self.received as u64)
    }

    /// Whether the epoch's own first event is among them, which nobody accepted.
    pub(super) fn is_opening(&self) -> bool {
        self.base == Sequence::ZERO && self.last >= Sequence::FIRST
    }

    pub(super) fn slot(&self, sequence: Sequence) -> Option<Slot> {
        self.slots.get(self.index(sequence)?).copied()
    }

    fn index(&self, sequence: Sequence) -> Option<usize> {
        usize::try_from(sequence.0.checked_sub(self.base.0 + 1)?).ok()
    }

    pub(super) fn set(&mut self, sequence: Sequence, slot: Slot) {
        let Some(old) = self.index(sequence).and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        if *old == Slot::Received {
            return;
        }
        self.sent -= usize::from(matches!(old, Slot::Sent { .. }));
        self.sent += usize::from(matches!(slot, Slot::Sent { .. }));
        self.received += usize::from(slot == Slot::Received);
        if let Slot::Sorted { path, .. } = *old {
            self.sorted.remove(path, sequence);
        }
        if let Slot::Sorted { path, .. } = slot {
            self.sorted.put(path, sequence);
        }
        *old = slot;
        let next = match slot {
            Slot::Again { not_before, .. } => Some(not_before),
            _ => None,
        };
        self.set_again(sequence, next);
        if sequence == self.cursor.next() {
            self.pass_taken();
        }
    }

    fn set_again(&mut self, sequence: Sequence, next: Option<Moment>) {
        let before = match next {
            Some(at) => self.again.insert(sequence, at),
            None => self.again.remove(&sequence),
        };
        if let Some(at) = before {
            self.again_at.remove(&(at, sequence));
        }
        if let Some(at) = next {
            self.again_at.insert((at, sequence));
        }
    }

    /// An event that a caller waited for goes to the background.
    pub(super) fn let_go(&mut self, sequence: Sequence, now: Moment) {
        if self.slot(sequence) == Some(Slot::Inline) {
            let again = Slot::Again {
                sends: 0,
                not_before: now,
            };
            self.set(sequence, again);
        }
    }

    /// The same, once the event that takes it back has gone out: the receiver then never shows it.
    pub(super) fn hold_until(&mut self, sequence: Sequence, by: Sequence, now: Moment) {
        match self.slot(by) {
            Some(Slot::Sent { .. } | Slot::Received) => self.let_go(sequence, now),
            // Received, or beyond what is tracked: it gets there only once this has made room.
            None if by <= self.last => self.let_go(sequence, now),
            _ => {
                self.behind.insert(by, sequence);
            }
        }
    }

    /// An event went out: what is held behind it follows.
    pub(super) fn went_out(&mut self, by: Sequence, now: Moment) {
        if let Some(sequence) = self.behind.remove(&by) {
            self.let_go(sequence, now);
        }
    }

    /// What is held behind events that are received follows, however they came there; and behind what is beyond being tracked.
    fn release_received(&mut self, now: Moment) {
        let received = |by: &Sequence| match self.slot(*by) {
            None => *by <= self.last,
            slot => slot == Some(Slot::Received),
        };
        let over: Vec<Sequence> = self.behind.keys().copied().filter(received).collect();
        for by in over {
            self.went_out(by, now);
        }
    }

    /// What a recorded receipt says is held.
    pub(super) fn receive(&mut self, mark: &Mark, now: Moment, max: usize) -> Progress {
        let mut progress = Progress::default();
        let base_before = self.base;
        while self.base < mark.watermark {
            let Some(slot) = self.slots.pop_front() else {
                self.base = mark.watermark;
                break;
            };
            self.sent -= usize::from(matches!(slot, Slot::Sent { .. }));
            self.received -= usize::from(slot == Slot::Received);
            self.base = self.base.next();
            progress.note(slot);
        }
        for run in &mark.runs {
            let first = (*run.start()).max(self.base.next().0);
            for sequence in first..=(*run.end()).min(self.end().0) {
                let sequence = Sequence(sequence);
                match self.slot(sequence) {
                    None | Some(Slot::Received) => {}
                    Some(slot) => {
                        progress.note(slot);
                        progress.above.push(sequence);
                        progress.repaired.extend(self.lost.remove(&sequence));
                        self.set(sequence, Slot::Received);
                    }
                }
            }
        }
        while self.slots.front() == Some(&Slot::Received) {
            self.slots.pop_front();
            self.received -= 1;
            self.base = self.base.next();
        }
        if !self.lost.is_empty() {
            let still = self.lost.split_off(&self.base.next());
            let found = std::mem::replace(&mut self.lost, still);
            progress.repaired.extend(found.into_values());
        }
        let above = self.again.split_off(&self.base.next());
        for (sequence, at) in std::mem::replace(&mut self.again, above) {
            self.again_at.remove(&(at, sequence));
        }
        self.sorted.drop_up_to(self.base);
        self.cursor = self.cursor.max(self.base);
        if self.base > base_before {
            self.hurry(now);
        }
        self.grow(self.base, now, max);
        progress
    }

    /// It was sent, and is taken for lost: it goes again, not before a moment.
    pub(super) fn lose(&mut self, sequence: Sequence, why: Lost, not_before: Moment) {
        if let Some(Slot::Sent { sends, .. }) = self.slot(sequence) {
            self.set(sequence, Slot::Again { sends, not_before });
            self.lost.insert(sequence, why);
        }
    }

    /// How many are taken for lost and not received yet.
    pub(super) fn lost(&self) -> u64 {
        self.lost.len() as u64
    }

    /// The watermark moved: what the receiver had no room for may fit now, and goes again together and in order.
    fn hurry(&mut self, now: Moment) {
        let later = self.again_at.split_off(&(now, Sequence(u64::MAX)));
        for (_, sequence) in later {
            self.again_at.insert((now, sequence));
            self.again.insert(sequence, now);
            if let Some(slot) = self.index(sequence).and_then(|at| self.slots.get_mut(at))
                && let Slot::Again { sends, .. } = *slot
            {
                *slot = Slot::Again {
                    sends,
                    not_before: now,
                };
            }
        }
    }

    /// Why an event waits may be over: if it is to be sent again, it goes at once.
    pub(super) fn hurry_one(&mut self, sequence: Sequence, now: Moment) {
        if let Some(Slot::Again { sends, .. }) = self.slot(sequence) {
            let not_before = now;
            self.set(sequence, Slot::Again { sends, not_before });
        }
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
                self.set_again(Sequence(self.base.0 + 1 + at as u64), Some(now));
            }
        }
        self.received = 0;
    }

    /// Whether a batch is due: something to be sent again, a full batch, or one that has lingered.
    pub(super) fn is_due(&self, now: Moment, linger: Duration, full: usize) -> bool {
        let fresh = self.end().0.saturating_sub(self.cursor.0);
        let lingered = self
            .waiting_since
            .is_some_and(|since| now.since(since) >= linger);
        (fresh > 0 && (lingered || fresh >= full as u64))
            || self.again_at.first().is_some_and(|(at, _)| *at <= now)
    }

    /// When [`Track::is_due`] may next become true by time alone.
    pub(super) fn due_at(&self, linger: Duration) -> Option<Moment> {
        let lingers = self.waiting_since.map(|since| since + linger);
        let again = self.again_at.first().map(|(at, _)| *at);
        sooner(lingers, again)
    }

    /// What the next batch may be taken from, ascending: what is to be sent again and what is fresh. Skips what callers wait for.
    pub(super) fn candidates(&self, now: Moment) -> impl Iterator<Item = Sequence> + '_ {
        let mut again = self
            .again
            .iter()
            .filter(move |(_, not_before)| **not_before <= now)
            .map(|(sequence, _)| *sequence)
            .peekable();
        let mut fresh = (self.cursor.0 + 1..=self.end().0)
            .map(Sequence)
            .filter(|sequence| self.slot(*sequence) == Some(Slot::Fresh))
            .peekable();
        std::iter::from_fn(move || match (again.peek(), fresh.peek()) {
            (Some(a), Some(b)) if b < a => fresh.next(),
            (Some(_), _) => again.next(),
            (None, _) => fresh.next(),
        })
    }

    /// Sorts what is due by the way it takes; where a way is not known, for want of the event, it stops there and says where.
    pub(super) fn sort(
        &mut self,
        now: Moment,
        path_of: impl Fn(Sequence) -> Option<Path>,
    ) -> Option<Sequence> {
        let mut unknown = None;
        let known = self.candidates(now).map_while(|sequence| {
            let path = path_of(sequence);
            if path.is_none() {
                unknown = Some(sequence);
            }
            Some((sequence, path?))
        });
        let known: Vec<(Sequence, Path)> = known.collect();
        for (sequence, path) in known {
            let sends = self.slot(sequence).map_or(0, Slot::sends);
            self.set(sequence, Slot::Sorted { sends, path });
        }
        unknown
    }

    /// What was sorted is to be sorted anew: the ways are others.
    pub(super) fn unsort(&mut self, now: Moment) {
        for sequence in self.sorted.take() {
            let sends = self.slot(sequence).map_or(0, Slot::sends);
            let not_before = now;
            self.set(sequence, Slot::Again { sends, not_before });
        }
    }

    /// What is sorted to go by a way.
    pub(super) fn sorted(&self, path: Path) -> &BTreeSet<Sequence> {
        self.sorted.on(path)
    }

    /// A batch was taken: what is left lingers anew.
    pub(super) fn taken(&mut self, now: Moment) {
        self.waiting_since = self.waiting_since.map(|_| now);
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

    /// Of what was sent at least so often: how many events, the first, and the most sendings.
    pub(super) fn sent_often(&self, often: u32) -> Option<(u64, Sequence, u32)> {
        let numbered = (self.base.0 + 1..).zip(&self.slots);
        let often = numbered.filter(|(_, slot)| slot.sends() >= often);
        let one = often.map(|(sequence, slot)| (1, Sequence(sequence), slot.sends()));
        one.reduce(|a, b| (a.0 + b.0, a.1, a.2.max(b.2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;
    const LINGER: Duration = Duration::from_millis(5);

    fn at(millis: u64) -> Moment {
        Moment::after_start(Duration::from_millis(millis))
    }

    fn mark(watermark: u64, runs: &[std::ops::RangeInclusive<u64>]) -> Mark {
        Mark {
            watermark: Sequence(watermark),
            runs: runs.to_vec(),
        }
    }

    fn track(last: u64) -> Track {
        Track::new(&Mark::default(), Sequence(last), ALL)
    }

    fn candidates(track: &Track, now: Moment) -> Vec<u64> {
        track.candidates(now).map(|sequence| sequence.0).collect()
    }

    fn again(track: &mut Track, sequence: u64, not_before: Moment) {
        let slot = Slot::Again {
            sends: 1,
            not_before,
        };
        track.set(Sequence(sequence), slot);
    }

    fn sent(order: u64) -> Slot {
        Slot::Sent {
            sends: 1,
            path: Path::Broker,
            order,
            at: at(0),
            place: None,
        }
    }

    #[test]
    fn what_goes_again_and_what_is_fresh_go_in_one_ascending_order() {
        let mut track = track(6);
        again(&mut track, 2, at(0));
        again(&mut track, 5, at(0));
        again(&mut track, 4, at(9));
        assert_eq!(candidates(&track, at(0)), [1, 2, 3, 5, 6]);
    }

    #[test]
    fn what_a_caller_waits_for_is_no_candidate_and_lingers_nothing() {
        let mut track = track(1);
        track.set(Sequence(1), Slot::Inline);
        assert_eq!(candidates(&track, at(0)), []);
        assert_eq!(track.due_at(LINGER), None);
        assert!(!track.is_due(at(1_000), LINGER, 1));
    }

    #[test]
    fn a_batch_is_due_when_it_has_lingered_or_is_full() {
        let mut track = Track::default();
        track.grow(Sequence(1), at(10), ALL);
        assert!(!track.is_due(at(14), LINGER, 2));
        assert!(track.is_due(at(15), LINGER, 2));
        track.grow(Sequence(2), at(11), ALL);
        assert!(track.is_due(at(11), LINGER, 2));
        assert_eq!(track.due_at(LINGER), Some(at(15)));
    }

    #[test]
    fn what_a_batch_leaves_lingers_anew() {
        let mut track = Track::default();
        track.grow(Sequence(3), at(10), ALL);
        (1..=2).for_each(|n| track.set(Sequence(n), Slot::UnderWay { sends: 1 }));
        track.taken(at(13));
        assert!(!track.is_due(at(17), LINGER, 2));
        assert_eq!(track.due_at(LINGER), Some(at(18)));
        track.set(Sequence(3), Slot::UnderWay { sends: 1 });
        track.taken(at(18));
        assert_eq!(track.due_at(LINGER), None);
    }

    #[test]
    fn runs_that_were_received_leave_nothing_due() {
        let mut track = track(4);
        track.set(Sequence(1), sent(1));
        track.receive(&mark(0, &[2..=4]), at(0), ALL);
        assert_eq!(track.due_at(LINGER), None);
        track.receive(&mark(1, &[]), at(0), ALL);
        assert_eq!(track.unreceived(), 0);
    }

    #[test]
    fn the_event_that_opens_an_epoch_is_unreceived_until_the_watermark_covers_it() {
        let opening = |watermark, runs: &[_], last| {
            let track = Track::new(&mark(watermark, runs), Sequence(last), ALL);
            (track.is_opening(), track.unreceived())
        };
        assert_eq!(opening(0, &[], 0), (false, 0));
        assert_eq!(opening(0, &[], 1), (true, 1));
        assert_eq!(opening(0, &[2..=3], 3), (true, 1));
        assert_eq!(opening(0, &[1..=1], 3), (false, 2));
        assert_eq!(opening(1, &[], 3), (false, 2));
    }

    #[test]
    fn what_lies_beyond_the_slots_gets_them_once_there_is_room() {
        let mut track = Track::new(&Mark::default(), Sequence(5), 2);
        assert_eq!(candidates(&track, at(0)), [1, 2]);
        track.receive(&mark(2, &[]), at(0), 2);
        assert_eq!(candidates(&track, at(0)), [3, 4]);
    }

    #[test]
    fn what_is_received_tells_the_latest_order_it_was_sent_in() {
        let mut track = track(3);
        (1..=3).for_each(|n| track.set(Sequence(n), sent(10 * n)));
        let progress = track.receive(&mark(1, &[3..=3]), at(0), ALL);
        assert_eq!(progress.broker, Some(30));
        assert_eq!(progress.above, [Sequence(3)]);
        assert_eq!(track.unreceived(), 1);
        assert!(track.has_awaiting());
    }

    #[test]
    fn a_watermark_that_moves_hurries_what_was_put_off() {
        let mut track = track(3);
        (1..=3).for_each(|n| track.set(Sequence(n), sent(n)));
        again(&mut track, 2, at(9_000));
        again(&mut track, 3, at(600_000));
        track.receive(&mark(0, &[]), at(1), ALL);
        assert_eq!(track.due_at(LINGER), Some(at(9_000)));
        track.receive(&mark(1, &[]), at(2), ALL);
        assert_eq!(candidates(&track, at(2)), [2, 3]);
    }

    #[test]
    fn what_is_sorted_waits_for_its_way_and_holds_nothing_up() {
        let mut track = track(6);
        track.set(Sequence(1), Slot::Inline);
        again(&mut track, 4, at(9));
        // Of the third, only its event tells.
        let odd_calls = |sequence: Sequence| match sequence.0 {
            3 => None,
            n if n % 2 == 1 => Some(Path::Call),
            _ => Some(Path::Broker),
        };
        assert_eq!(track.sort(at(0), odd_calls), Some(Sequence(3)));
        let all = |path: Path, track: &Track| -> Vec<u64> {
            track
                .sorted(path)
                .iter()
                .map(|sequence| sequence.0)
                .collect()
        };
        assert_eq!(all(Path::Broker, &track), [2]);
        assert_eq!(candidates(&track, at(0)), [3, 5, 6]);

        let all_known = |sequence: Sequence| odd_calls(sequence).or(Some(Path::Call));
        assert_eq!(track.sort(at(9), all_known), None);
        assert_eq!(all(Path::Call, &track), [3, 5]);
        assert_eq!(all(Path::Broker, &track), [2, 4, 6]);
        assert_eq!(candidates(&track, at(9)), []);
        assert_eq!(track.due_at(LINGER), None);

        track.receive(&mark(3, &[5..=5]), at(9), ALL);
        assert_eq!(all(Path::Call, &track), []);
        assert_eq!(all(Path::Broker, &track), [4, 6]);
        track.unsort(at(9));
        assert_eq!(all(Path::Broker, &track), []);
        assert_eq!(candidates(&track, at(9)), [4, 6]);
    }

    #[test]
    fn what_only_runs_had_said_is_sent_again() {
        let mut track = track(4);
        (1..=4).for_each(|n| track.set(Sequence(n), sent(n)));
        track.receive(&mark(1, &[3..=3]), at(0), ALL);
        track.forget_runs(Sequence(0), at(1));
        assert_eq!(candidates(&track, at(1)), [1, 3]);
        assert_eq!(track.unreceived(), 4);
    }
}
