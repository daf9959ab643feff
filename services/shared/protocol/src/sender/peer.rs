//! One receiver, as its sender sees it: what it is known to hold, what is on its way, and the paths to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::call::CallUnderWay;
use super::hello::Hello;
use super::path_state::PathState;
use super::repair::Lost;
use super::timing::sooner;
use super::track::{Slot, Track};
use super::wants::Undelivered;
use super::wire::{Attempt, MessageId, Path, Transmission, TransmissionId, Urgency};
use super::{Common, Kept};
use crate::event::{Event, EventId};
use crate::ledger::Agreement;
use crate::outbox::Mark;
use crate::receipt::ReceiverName;
use crate::record::Recorded;
use crate::sequence::{Epoch, Incarnation, Lane, Sequence, Source};
use crate::time::Moment;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) transmission: Transmission,
    pub(super) order: u64,
    /// When the first of the callers who wait for it stops waiting, and with that the transport.
    pub(super) gives_up: Option<Moment>,
    /// It gave no answer, and is repeated as it is.
    pub(super) repeat_at: Option<Moment>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: ReceiverName,
    /// The first epoch of each lane that it is sent anything of; all of them, where none is named.
    begins: BTreeMap<Lane, Epoch>,
    /// The newest it spoke under.
    pub(super) incarnation: Incarnation,
    pub(super) tracks: BTreeMap<Source, Track>,
    /// What was recorded of each source: the watermark that the store keeps.
    pub(super) held: BTreeMap<Source, Sequence>,
    pub(super) inline: VecDeque<EventId>,
    pub(super) under_way: BTreeMap<TransmissionId, UnderWay>,
    pub(super) call_path: PathState,
    pub(super) broker_path: PathState,
    pub(super) hello: Hello,
    /// The lanes of which its state differed from this store's, when nothing was on its way.
    differs: BTreeSet<Lane>,
    /// Events that this receiver's sending needs no more.
    pub(super) released: Vec<(Source, Sequence)>,
    /// How many events are received that had been lost, by what they were taken for it.
    pub(super) repaired: BTreeMap<Lost, u64>,
    /// Events that were more than their way carries.
    pub(super) too_large: BTreeSet<EventId>,
}

impl Peer {
    pub(super) fn new(
        name: ReceiverName,
        incarnation: Incarnation,
        begin: &[Source],
        now: Moment,
    ) -> Self {
        let begins = begin.iter().map(|source| (source.lane, source.epoch));
        Peer {
            name,
            begins: begins.collect(),
            incarnation,
            tracks: BTreeMap::new(),
            held: BTreeMap::new(),
            inline: VecDeque::new(),
            under_way: BTreeMap::new(),
            call_path: PathState::default(),
            broker_path: PathState::default(),
            hello: Hello::new(now),
            differs: BTreeSet::new(),
            released: Vec::new(),
            repaired: BTreeMap::new(),
            too_large: BTreeSet::new(),
        }
    }

    /// Whether its state differed from this store's, the last time that nothing was on its way.
    pub(super) fn ledger_differs(&self) -> bool {
        !self.differs.is_empty()
    }

    /// Whether it is sent anything of this source: it joined with it, or before.
    pub(super) fn concerns(&self, source: Source) -> bool {
        let begin = self.begins.get(&source.lane);
        begin.is_none_or(|begin| *begin <= source.epoch)
    }

    /// It begins at these sources, with a resync: what is older is sent no more.
    pub(super) fn begin_anew(&mut self, sources: &[Source]) {
        self.begins = sources
            .iter()
            .map(|source| (source.lane, source.epoch))
            .collect();
        let begins = &self.begins;
        let is_older = |source: &Source| {
            let begin = begins.get(&source.lane);
            begin.is_some_and(|begin| source.epoch < *begin)
        };
        self.tracks.retain(|source, _| !is_older(source));
        self.held.retain(|source, _| !is_older(source));
        // What is under way has its answer; what only waited to be repeated is over.
        self.under_way.retain(|_, under_way| {
            let mut events = under_way.transmission.events.iter();
            under_way.repeat_at.is_none() || !events.all(|(event, _)| is_older(&event.source))
        });
        self.hello.overtaken();
        self.incarnation = Incarnation::ZERO;
    }

    pub(super) fn track(&mut self, source: Source, mark: &Mark, last: Sequence, common: &Common) {
        if !self.concerns(source) {
            return;
        }
        self.held.insert(source, mark.watermark);
        self.tracks
            .insert(source, Track::new(mark, last, common.timing.max_tracked));
    }

    pub(super) fn grow(&mut self, source: Source, last: Sequence, now: Moment, common: &Common) {
        if !self.concerns(source) {
            return;
        }
        self.tracks
            .entry(source)
            .or_default()
            .grow(last, now, common.timing.max_tracked);
    }

    pub(super) fn forget_source(&mut self, source: Source) {
        self.tracks.remove(&source);
        self.held.remove(&source);
    }

    /// What it needs nothing of any more: all, of what is none of its business.
    pub(super) fn base(&self, source: Source) -> Sequence {
        match self.tracks.get(&source) {
            Some(track) => track.base(),
            None if self.concerns(source) => Sequence::ZERO,
            None => Sequence(u64::MAX),
        }
    }

    /// What was recorded of it: all, of what is none of its business, and of what was received whole and is not tracked any more.
    pub(super) fn held(&self, source: Source) -> Sequence {
        match self.held.get(&source) {
            Some(held) => *held,
            None if self.tracks.contains_key(&source) => Sequence::ZERO,
            None => Sequence(u64::MAX),
        }
    }

    pub(super) fn unreceived(&self, source: Source) -> u64 {
        self.tracks.get(&source).map_or(0, Track::unreceived)
    }

    pub(super) fn all_unreceived(&self) -> u64 {
        self.tracks.values().map(Track::unreceived).sum()
    }

    /// How many of all those open an epoch.
    pub(super) fn openings(&self) -> u64 {
        let opening = self.tracks.values().filter(|track| track.is_opening());
        opening.count() as u64
    }

    /// What was sent so often and is still unreceived.
    pub(super) fn undelivered(&self, often: u32) -> Option<Undelivered> {
        let of_track = |(source, track): (&Source, &Track)| {
            let (events, sequence, sends) = track.sent_often(often)?;
            let source = *source;
            let first = EventId { source, sequence };
            Some(Undelivered {
                events,
                first,
                sends,
            })
        };
        let all = self.tracks.iter().filter_map(of_track);
        all.reduce(|a, b| Undelivered {
            events: a.events + b.events,
            first: a.first,
            sends: a.sends.max(b.sends),
        })
    }

    pub(super) fn has_awaiting(&self) -> bool {
        self.tracks.values().any(Track::has_awaiting)
    }

    /// Whether the receiver is known to hold the event. Of a source that is received whole nothing is kept.
    pub(super) fn is_received(&self, EventId { source, sequence }: EventId) -> bool {
        self.tracks.get(&source).is_none_or(|track| {
            sequence <= track.base() || track.slot(sequence) == Some(Slot::Received)
        })
    }

    /// Whether the event may yet have to be sent from memory.
    pub(super) fn still_sends(&self, source: Source, sequence: Sequence) -> bool {
        let slot = self
            .tracks
            .get(&source)
            .and_then(|track| track.slot(sequence));
        matches!(
            slot,
            Some(
                Slot::Fresh
                    | Slot::Inline
                    | Slot::Again { .. }
                    | Slot::Sorted { .. }
                    | Slot::UnderWay { .. }
            )
        )
    }

    /// A caller waits for this event.
    pub(super) fn call(&mut self, event: &Event) {
        if let Some(track) = self.tracks.get_mut(&event.source) {
            track.set(event.sequence, Slot::Inline);
        }
        self.inline.push_back(event.id());
    }

    /// The caller is answered: what is not known to be received goes on in the background, behind the event that takes it back.
    pub(super) fn call_over(&mut self, id: EventId, taken_back: Option<Sequence>, now: Moment) {
        if let Some(track) = self.tracks.get_mut(&id.source)
            && track.slot(id.sequence) == Some(Slot::Inline)
        {
            match taken_back {
                Some(by) => track.hold_until(id.sequence, by, now),
                None => track.let_go(id.sequence, now),
            }
        }
    }

    pub(super) fn path(&mut self, path: Path) -> &mut PathState {
        match path {
            Path::Call => &mut self.call_path,
            Path::Broker => &mut self.broker_path,
        }
    }

    /// The calls that wait, as many as a request carries: what one group commit brought together goes together.
    pub(super) fn poll_inline(
        &mut self,
        calls: &mut BTreeMap<EventId, CallUnderWay>,
        common: &mut Common,
        now: Moment,
    ) -> Option<Transmission> {
        let capacity = common.policy.call;
        let mut events: Vec<(Arc<Event>, Attempt)> = Vec::new();
        let mut bytes = 0;
        let mut within: Option<Duration> = None;
        while let Some(&id) = self.inline.front() {
            let Some(call) = calls
                .get_mut(&id)
                .filter(|call| call.failed.is_none() && call.deadline > now)
            else {
                self.inline.pop_front();
                continue;
            };
            let fits =
                events.len() < capacity.events && bytes + call.event.weight() <= capacity.bytes;
            let follows = events
                .last()
                .is_none_or(|(last, _)| last.source == id.source && last.sequence < id.sequence);
            if !(events.is_empty() || fits && follows) {
                break;
            }
            self.inline.pop_front();
            call.went_out(&self.name);
            bytes += call.event.weight();
            let left = call.deadline.since(now);
            within = Some(within.map_or(left, |least| least.min(left)));
            events.push((call.event.clone(), Attempt::First));
        }
        let within = within?;
        Some(self.send(Path::Call, Urgency::Inline { within }, events, common, now))
    }

    fn send(
        &mut self,
        path: Path,
        urgency: Urgency,
        events: Vec<(Arc<Event>, Attempt)>,
        common: &mut Common,
        now: Moment,
    ) -> Transmission {
        common.transmissions += 1;
        let id = TransmissionId(common.transmissions);
        let order = self.path(path).next_order();
        let ends = |event: Option<&(Arc<Event>, Attempt)>| {
            event.map_or((Source::default(), 0), |(event, _)| {
                (event.source, event.sequence.0)
            })
        };
        let (source, first) = ends(events.first());
        let (_, last) = ends(events.last());
        let message = MessageId {
            source,
            first,
            last,
            transmission: id,
            process: common.process,
        };
        let transmission = Transmission {
            id,
            message,
            receiver: self.name.clone(),
            path,
            urgency,
            events,
        };
        let gives_up = match urgency {
            Urgency::Inline { within } => Some(now + within),
            Urgency::Background => None,
        };
        self.under_way.insert(
            id,
            UnderWay {
                transmission: transmission.clone(),
                order,
                gives_up,
                repeat_at: None,
            },
        );
        transmission
    }

    /// The next background batch, if its path has room and does not rest.
    pub(super) fn poll_background(
        &mut self,
        sources: &mut BTreeMap<Source, Kept>,
        common: &mut Common,
        now: Moment,
    ) -> Option<Transmission> {
        if let Some(transmission) = self.poll_repeat(now) {
            return Some(transmission);
        }
        if common.policy.route.is_split() {
            self.sort(sources, common, now);
        }
        let mut paths = common.policy.paths();
        paths.find_map(|path| self.poll_path(path, sources, common, now))
    }

    /// What is due goes to its way, whether that has room or not: else what can't go would stand before what can.
    fn sort(&mut self, sources: &mut BTreeMap<Source, Kept>, common: &Common, now: Moment) {
        let (policy, full) = (&common.policy, common.policy.least_full());
        for (source, track) in &mut self.tracks {
            if !track.is_due(now, policy.linger, full) {
                continue;
            }
            let Some(kept) = sources.get_mut(source).filter(|kept| !kept.waits(now)) else {
                continue;
            };
            let path_of = |sequence| Some(policy.path_of(kept.events.get(&sequence)?));
            match track.sort(now, path_of) {
                // What is read now has lingered: if it did so anew, memory could be full of something else by then, again and again.
                Some(unknown) => kept.wanted = Some(unknown.previous()),
                None => track.taken(now),
            }
        }
    }

    fn poll_path(
        &mut self,
        path: Path,
        sources: &mut BTreeMap<Source, Kept>,
        common: &mut Common,
        now: Moment,
    ) -> Option<Transmission> {
        let capacity = common.policy.capacity(path);
        let state = self.path(path);
        if state.is_resting(now) || state.in_flight >= capacity.in_flight {
            return None;
        }
        let (linger, is_split) = (common.policy.linger, common.policy.route.is_split());
        for (source, track) in &mut self.tracks {
            let is_due = match is_split {
                true => !track.sorted(path).is_empty(),
                false => track.is_due(now, linger, capacity.events),
            };
            if !is_due {
                continue;
            }
            // What is sorted and at hand need not wait until what is still to be sorted is read.
            let Some(kept) = sources
                .get_mut(source)
                .filter(|kept| is_split || !kept.waits(now))
            else {
                continue;
            };
            let mut events: Vec<(Arc<Event>, Attempt)> = Vec::new();
            let mut sends = Vec::new();
            let mut bytes = 0;
            let sorted = is_split.then(|| track.sorted(path).iter().copied());
            let unsorted = (!is_split).then(|| track.candidates(now));
            let candidates = sorted.into_iter().flatten();
            for sequence in candidates.chain(unsorted.into_iter().flatten()) {
                let Some(event) = kept.events.get(&sequence) else {
                    if events.is_empty() && !kept.waits(now) {
                        kept.wanted = Some(sequence.previous());
                    }
                    break;
                };
                bytes += event.weight();
                if events.len() >= capacity.events || (bytes > capacity.bytes && !events.is_empty())
                {
                    break;
                }
                let sent = track.slot(sequence).map_or(0, Slot::sends);
                sends.push((sequence, sent));
                events.push((
                    event.clone(),
                    if sent == 0 {
                        Attempt::First
                    } else {
                        Attempt::Again
                    },
                ));
            }
            if events.is_empty() {
                continue;
            }
            for (sequence, sends) in &sends {
                track.set(*sequence, Slot::UnderWay { sends: sends + 1 });
            }
            track.taken(now);
            self.path(path).in_flight += 1;
            return Some(self.send(path, Urgency::Background, events, common, now));
        }
        None
    }

    /// A publish without an answer is repeated as it was, under the same name.
    fn poll_repeat(&mut self, now: Moment) -> Option<Transmission> {
        let due = self
            .under_way
            .values_mut()
            .find(|under_way| under_way.repeat_at.is_some_and(|at| at <= now))?;
        due.repeat_at = None;
        let transmission = due.transmission.clone();
        self.broker_path.in_flight += 1;
        Some(transmission)
    }

    /// What waits for a way that it does not take any more goes the new one.
    pub(super) fn path_changed(&mut self, common: &Common, now: Moment) {
        self.try_too_large(now);
        for track in self.tracks.values_mut() {
            track.unsort(now);
        }
        let goes_on = |under_way: &UnderWay| common.policy.is_way_of(&under_way.transmission);
        let waits: Vec<TransmissionId> = self
            .under_way
            .iter()
            .filter(|(_, under_way)| under_way.repeat_at.is_some() && !goes_on(under_way))
            .map(|(id, _)| *id)
            .collect();
        for id in waits {
            if let Some(under_way) = self.under_way.remove(&id) {
                self.again(&under_way, now, true);
            }
        }
    }

    /// It speaks under a new incarnation: only what is forgotten counts as held, and what it says now.
    pub(super) fn fall_back(
        &mut self,
        incarnation: Incarnation,
        held: &BTreeMap<Source, Sequence>,
        common: &Common,
        now: Moment,
    ) {
        self.incarnation = self.incarnation.max(incarnation);
        for (source, track) in &mut self.tracks {
            let held = held.get(source).copied().unwrap_or_default();
            track.forget_runs(held, now);
            self.held.insert(*source, held);
        }
        self.hello.want(now, &common.timing);
    }

    pub(super) fn recorded(&mut self, recorded: &Recorded, common: &Common, now: Moment) {
        if recorded.suspicion.is_some() {
            self.hello.want(now, &common.timing);
        }
        match recorded.state {
            Some((lane, Agreement::Differs)) => drop(self.differs.insert(lane)),
            Some((lane, Agreement::Agrees)) => drop(self.differs.remove(&lane)),
            None => {}
        }
        for (source, mark) in &recorded.marks {
            if !self.concerns(*source) {
                continue;
            }
            // Two records may be told in another order than they were made in.
            let held = self.held.entry(*source).or_default();
            *held = mark.watermark.max(*held);
            if let Some(track) = self.tracks.get_mut(source) {
                let progress = track.receive(mark, now, common.timing.max_tracked);
                self.call_path.received(progress.call);
                self.broker_path.received(progress.broker);
                for why in progress.repaired {
                    *self.repaired.entry(why).or_default() += 1;
                }
                let above = progress.above.into_iter();
                self.released
                    .extend(above.map(|sequence| (*source, sequence)));
            }
        }
        let received = |id: EventId| !self.still_sends(id.source, id.sequence);
        let over = |under_way: &UnderWay| {
            under_way.repeat_at.is_some()
                && under_way
                    .transmission
                    .events
                    .iter()
                    .all(|(event, _)| received(event.id()))
        };
        let over: Vec<TransmissionId> = self
            .under_way
            .iter()
            .filter(|(_, under_way)| over(under_way))
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.under_way.remove(&id);
        }
    }

    /// When something may become due by time alone.
    pub(super) fn wake_at(
        &self,
        sources: &BTreeMap<Source, Kept>,
        common: &Common,
    ) -> Option<Moment> {
        let policy = &common.policy;
        let mut wake = self
            .under_way
            .values()
            .filter_map(|under_way| under_way.repeat_at)
            .min();
        let due = |at: &dyn Fn(&Track) -> Option<Moment>| {
            let due = self.tracks.iter().filter_map(|(source, track)| {
                let read = sources.get(source).and_then(Kept::may_be_read)?;
                Some(at(track)?.max(read))
            });
            due.min()
        };
        let unsorted = |track: &Track| track.due_at(policy.linger);
        if policy.route.is_split() {
            wake = sooner(wake, due(&unsorted));
        }
        for path in policy.paths() {
            let state = match path {
                Path::Call => &self.call_path,
                Path::Broker => &self.broker_path,
            };
            if state.in_flight >= policy.capacity(path).in_flight {
                continue;
            }
            let sorted = |track: &Track| (!track.sorted(path).is_empty()).then_some(Moment::START);
            let due = match policy.route.is_split() {
                true => due(&sorted),
                false => due(&unsorted),
            };
            let due = due.map(|due| due.max(state.rests_until.unwrap_or(due)));
            wake = sooner(wake, due);
        }
        if self.awaits_broker() {
            wake = sooner(wake, Some(self.broker_path.backlog_due(&common.timing)));
        }
        wake
    }
}
