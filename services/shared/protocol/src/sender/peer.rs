//! One receiver, as its sender sees it: what it is known to hold, what is on its way, and the paths to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::call::CallUnderWay;
use super::hello::Hello;
use super::path_state::{PathState, Stream};
use super::timing::{Timing, sooner};
use super::track::{Slot, Track};
use super::wire::{
    Attempt, Backlog, BrokerPlace, CallEnd, FailureCause, MessageId, Path, Sent, Transmission,
    TransmissionId, Urgency,
};
use super::{Common, Kept};
use crate::event::{Event, EventId};
use crate::outbox::Mark;
use crate::receipt::ReceiverName;
use crate::receive::Outcome;
use crate::record::Recorded;
use crate::rules::Rule;
use crate::sequence::{Incarnation, Sequence, Source};
use crate::time::Moment;

/// A batch on its way.
#[derive(Debug)]
struct UnderWay {
    transmission: Transmission,
    order: u64,
    /// When the first of the callers who wait for it stops waiting, and with that the transport.
    gives_up: Option<Moment>,
    /// It gave no answer, and is repeated as it is.
    repeat_at: Option<Moment>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: ReceiverName,
    /// The newest it spoke under.
    pub(super) incarnation: Incarnation,
    tracks: BTreeMap<Source, Track>,
    /// What was recorded of each source: the watermark that the store keeps.
    held: BTreeMap<Source, Sequence>,
    inline: VecDeque<EventId>,
    under_way: BTreeMap<TransmissionId, UnderWay>,
    call_path: PathState,
    broker_path: PathState,
    pub(super) hello: Hello,
    /// Events that this receiver's sending needs no more.
    pub(super) released: Vec<(Source, Sequence)>,
}

impl Peer {
    pub(super) fn new(name: ReceiverName, incarnation: Incarnation, now: Moment) -> Self {
        Peer {
            name,
            incarnation,
            tracks: BTreeMap::new(),
            held: BTreeMap::new(),
            inline: VecDeque::new(),
            under_way: BTreeMap::new(),
            call_path: PathState::default(),
            broker_path: PathState::default(),
            hello: Hello::new(now),
            released: Vec::new(),
        }
    }

    pub(super) fn track(&mut self, source: Source, mark: &Mark, last: Sequence, common: &Common) {
        self.held.insert(source, mark.watermark);
        self.tracks
            .insert(source, Track::new(mark, last, common.timing.max_tracked));
    }

    pub(super) fn grow(&mut self, source: Source, last: Sequence, now: Moment, common: &Common) {
        self.tracks
            .entry(source)
            .or_default()
            .grow(last, now, common.timing.max_tracked);
    }

    pub(super) fn forget_source(&mut self, source: Source) {
        self.tracks.remove(&source);
        self.held.remove(&source);
    }

    pub(super) fn base(&self, source: Source) -> Sequence {
        self.tracks.get(&source).map_or(Sequence::ZERO, Track::base)
    }

    pub(super) fn held(&self, source: Source) -> Sequence {
        self.held.get(&source).copied().unwrap_or_default()
    }

    pub(super) fn unreceived(&self, source: Source) -> u64 {
        self.tracks.get(&source).map_or(0, Track::unreceived)
    }

    pub(super) fn all_unreceived(&self) -> u64 {
        self.tracks.values().map(Track::unreceived).sum()
    }

    pub(super) fn most_sends(&self) -> u32 {
        self.tracks
            .values()
            .map(Track::most_sends)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn has_awaiting(&self) -> bool {
        self.tracks.values().any(Track::has_awaiting)
    }

    /// Whether the event may yet have to be sent from memory.
    pub(super) fn still_sends(&self, source: Source, sequence: Sequence) -> bool {
        let slot = self
            .tracks
            .get(&source)
            .and_then(|track| track.slot(sequence));
        matches!(
            slot,
            Some(Slot::Fresh | Slot::Inline | Slot::Again { .. } | Slot::UnderWay { .. })
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

    fn path(&mut self, path: Path) -> &mut PathState {
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
            call.went_out();
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
        let path = common.policy.path;
        let capacity = common.policy.capacity(path);
        let state = self.path(path);
        if state.is_resting(now) || state.in_flight >= capacity.in_flight {
            return None;
        }
        let linger = common.policy.linger;
        for (source, track) in &mut self.tracks {
            if !track.is_due(now, linger, capacity.events) {
                continue;
            }
            let Some(kept) = sources.get_mut(source).filter(|kept| !kept.waits(now)) else {
                continue;
            };
            let mut events: Vec<(Arc<Event>, Attempt)> = Vec::new();
            let mut sends = Vec::new();
            let mut bytes = 0;
            for sequence in track.candidates(now) {
                let Some(event) = kept.events.get(&sequence) else {
                    if events.is_empty() {
                        kept.wanted = Some(sequence.previous());
                    }
                    break;
                };
                bytes += event.weight();
                if events.len() >= capacity.events || (bytes > capacity.bytes && !events.is_empty())
                {
                    break;
                }
                let sent = match track.slot(sequence) {
                    Some(Slot::Again { sends, .. }) => sends,
                    _ => 0,
                };
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
                let transmission = TransmissionId(common.transmissions + 1);
                track.set(
                    *sequence,
                    Slot::UnderWay {
                        sends: sends + 1,
                        transmission,
                    },
                );
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

    pub(super) fn transmitted(
        &mut self,
        id: TransmissionId,
        sent: Sent,
        calls: &mut BTreeMap<EventId, CallUnderWay>,
        common: &mut Common,
        now: Moment,
    ) -> Vec<(EventId, CallEnd)> {
        let Some(mut under_way) = self.under_way.remove(&id) else {
            return Vec::new();
        };
        let path = under_way.transmission.path;
        if under_way.transmission.urgency != Urgency::Background {
            return self.inline_transmitted(&under_way, sent, calls, now);
        }
        let state = self.path(path);
        state.in_flight = state.in_flight.saturating_sub(1);
        match sent {
            Sent::Answered(outcomes) => {
                state.succeeded();
                let outcomes = outcomes
                    .into_iter()
                    .map(Some)
                    .chain(std::iter::repeat(None));
                let events = under_way
                    .transmission
                    .events
                    .iter()
                    .map(|(event, _)| event.id());
                for (id, outcome) in events.zip(outcomes) {
                    if outcome.is_some_and(|outcome| outcome.is_final()) {
                        self.mark_sent(id, path, under_way.order, now, None);
                    } else {
                        let sends = self.sends(id);
                        let Timing {
                            backoff_initial,
                            backoff_max,
                            ..
                        } = common.timing;
                        let wait = common.jitter.backoff(backoff_initial, backoff_max, sends);
                        self.mark_again(id, now + wait, true);
                    }
                }
            }
            Sent::Stored(place) => {
                state.stored(place);
                for (event, _) in &under_way.transmission.events {
                    let id = event.id();
                    if common.rules.holds(Rule::ForgetOnReceipt) {
                        self.mark_sent(id, path, under_way.order, now, place);
                    } else if let Some(track) = self.tracks.get_mut(&id.source) {
                        track.set(id.sequence, Slot::Received);
                    }
                }
            }
            Sent::NotSent { retry_after } => {
                let until = state.failed(now, retry_after, &common.timing, &mut common.jitter);
                self.again(&under_way, until, false);
            }
            Sent::Unknown => {
                let until = state.failed(now, None, &common.timing, &mut common.jitter);
                if path == Path::Broker
                    && common.policy.path == Path::Broker
                    && common.rules.holds(Rule::RepeatUnanswered)
                {
                    under_way.repeat_at = Some(until);
                    self.under_way.insert(id, under_way);
                } else {
                    self.again(&under_way, until, true);
                }
            }
        }
        Vec::new()
    }

    fn inline_transmitted(
        &mut self,
        under_way: &UnderWay,
        sent: Sent,
        calls: &mut BTreeMap<EventId, CallUnderWay>,
        now: Moment,
    ) -> Vec<(EventId, CallEnd)> {
        let mut ends = Vec::new();
        let turned_away = matches!(sent, Sent::NotSent { .. });
        let in_time = under_way.gives_up.is_none_or(|at| now < at);
        let mut outcomes = match sent {
            Sent::Answered(outcomes) => Some(outcomes.into_iter()),
            Sent::Stored(_) | Sent::NotSent { .. } | Sent::Unknown => None,
        };
        for (event, _) in &under_way.transmission.events {
            let id = event.id();
            let outcome = outcomes.as_mut().and_then(Iterator::next);
            if outcome.as_ref().is_some_and(Outcome::is_final) {
                self.mark_sent(id, Path::Call, under_way.order, now, None);
            }
            let Some(call) = calls.get_mut(&id).filter(|call| call.failed.is_none()) else {
                continue;
            };
            let end = match outcome {
                Some(outcome) => call.answered(&self.name, &outcome),
                None if turned_away => Some(call.turned_away()),
                None if in_time => Some(call.fail(FailureCause::Refused)),
                None => Some(call.fail(FailureCause::Deadline)),
            };
            ends.extend(end.map(|end| (id, end)));
        }
        ends
    }

    fn mark_sent(
        &mut self,
        id: EventId,
        path: Path,
        order: u64,
        at: Moment,
        place: Option<BrokerPlace>,
    ) {
        let Some(track) = self.tracks.get_mut(&id.source) else {
            return;
        };
        let sends = match track.slot(id.sequence) {
            Some(
                Slot::UnderWay { sends, .. } | Slot::Again { sends, .. } | Slot::Sent { sends, .. },
            ) => sends.max(1),
            _ => 1,
        };
        track.set(
            id.sequence,
            Slot::Sent {
                sends,
                path,
                order,
                at,
                place,
            },
        );
        track.went_out(id.sequence, at);
        self.released.push((id.source, id.sequence));
    }

    fn sends(&self, id: EventId) -> u32 {
        let track = self.tracks.get(&id.source);
        match track.and_then(|track| track.slot(id.sequence)) {
            Some(Slot::UnderWay { sends, .. }) => sends,
            _ => 0,
        }
    }

    fn mark_again(&mut self, id: EventId, not_before: Moment, counts: bool) {
        let Some(track) = self.tracks.get_mut(&id.source) else {
            return;
        };
        if let Some(Slot::UnderWay { sends, .. }) = track.slot(id.sequence) {
            let sends = if counts { sends } else { sends - 1 };
            track.set(id.sequence, Slot::Again { sends, not_before });
            // Whether it arrived or had no room there: what is held behind it may be what makes room.
            if counts {
                track.went_out(id.sequence, not_before);
            }
        }
    }

    fn again(&mut self, under_way: &UnderWay, not_before: Moment, counts: bool) {
        for (event, _) in &under_way.transmission.events {
            self.mark_again(event.id(), not_before, counts);
        }
    }

    /// What waits to be repeated on a path that is not taken any more goes the new way.
    pub(super) fn path_changed(&mut self, common: &Common, now: Moment) {
        if common.policy.path == Path::Broker {
            return;
        }
        let waits: Vec<TransmissionId> = self
            .under_way
            .iter()
            .filter(|(_, under_way)| under_way.repeat_at.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in waits {
            if let Some(under_way) = self.under_way.remove(&id) {
                self.again(&under_way, now, true);
            }
        }
    }

    /// It speaks under a new incarnation: only what is forgotten counts as held, until it says more.
    pub(super) fn fall_back(
        &mut self,
        incarnation: Incarnation,
        forgotten: &BTreeMap<Source, Sequence>,
        common: &Common,
        now: Moment,
    ) {
        self.incarnation = self.incarnation.max(incarnation);
        for (source, track) in &mut self.tracks {
            let forgotten = forgotten.get(source).copied().unwrap_or_default();
            track.forget_runs(forgotten, now);
            self.held.insert(*source, forgotten);
        }
        self.hello.want(now, &common.timing);
    }

    pub(super) fn recorded(&mut self, recorded: &Recorded, common: &Common, now: Moment) {
        self.hello.heard(now);
        if recorded.suspicion.is_some() {
            self.hello.want(now, &common.timing);
        }
        for (source, mark) in &recorded.marks {
            // Two records may be told in another order than they were made in.
            let held = self.held.entry(*source).or_default();
            *held = mark.watermark.max(*held);
            if let Some(track) = self.tracks.get_mut(source) {
                let progress = track.receive(mark, now, common.timing.max_tracked);
                self.call_path.received(progress.call);
                self.broker_path.received(progress.broker);
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

    /// Whether the broker is to be asked: something sent through it awaits a receipt.
    pub(super) fn ask_backlog(&mut self, now: Moment, timing: &Timing) -> bool {
        self.awaits_broker() && self.broker_path.ask_backlog(now, timing)
    }

    fn awaits_broker(&self) -> bool {
        self.broker_path.order > 0 && self.has_awaiting()
    }

    pub(super) fn observe(&mut self, backlog: Backlog, common: &Common, now: Moment) {
        if self.broker_path.observe(backlog, now, &common.timing) == Stream::Reset
            && common.rules.holds(Rule::StreamReset)
        {
            self.resend(now, |_, slot| {
                matches!(
                    slot,
                    Slot::Sent {
                        path: Path::Broker,
                        ..
                    }
                )
                .then_some(now)
            });
        }
    }

    pub(super) fn reconnected(&mut self, path: Path, now: Moment, timing: &Timing) {
        self.path(path).reconnected();
        self.hello.want(now, timing);
    }

    /// What is overdue is sent again.
    pub(super) fn scan(&mut self, common: &mut Common, now: Moment) {
        let patience = common.policy.ack_wait + common.timing.order_slack;
        let (call, broker) = (&self.call_path, &self.broker_path);
        let Common {
            timing,
            rules,
            jitter,
            ..
        } = common;
        let mut overdue = Vec::new();
        for (source, track) in &self.tracks {
            for (sequence, slot) in track.awaiting() {
                let Slot::Sent {
                    sends,
                    path,
                    order,
                    at,
                    place,
                } = slot
                else {
                    continue;
                };
                let age = now.since(at);
                let latest = match path {
                    Path::Call => call.latest_received,
                    Path::Broker => broker.latest_received,
                };
                let by_age = path == Path::Call || broker.is_silent() || place.is_none();
                let is_overdue = (order < latest
                    && age >= patience
                    && rules.holds(Rule::LossByOrder))
                    || (path == Path::Broker
                        && place.is_some_and(|place| broker.is_long_done(place, now, timing))
                        && rules.holds(Rule::LossByPlace))
                    || (by_age && age >= timing.loss_age(sends) && rules.holds(Rule::LossByAge));
                if is_overdue {
                    overdue.push((*source, sequence, sends));
                }
            }
        }
        // They wait together, to go together and in order: the receiver may have no room for gaps.
        let extra = overdue.iter().map(|(_, _, sends)| *sends).min();
        let wait = match extra.map_or(0, |sends| {
            sends.saturating_sub(timing.sends_before_condition)
        }) {
            0 => Duration::ZERO,
            extra => jitter.backoff(timing.order_slack, timing.resend_max, extra),
        };
        for (source, sequence, sends) in overdue {
            let not_before = now + wait;
            if let Some(track) = self.tracks.get_mut(&source) {
                track.set(sequence, Slot::Again { sends, not_before });
            }
        }
    }

    fn resend(&mut self, now: Moment, which: impl Fn(Sequence, Slot) -> Option<Moment>) {
        for track in self.tracks.values_mut() {
            let all: Vec<(Sequence, Moment)> = track
                .awaiting()
                .filter_map(|(sequence, slot)| which(sequence, slot).map(|at| (sequence, at)))
                .collect();
            for (sequence, at) in all {
                if let Some(Slot::Sent { sends, .. }) = track.slot(sequence) {
                    track.set(
                        sequence,
                        Slot::Again {
                            sends,
                            not_before: at.max(now),
                        },
                    );
                }
            }
        }
    }

    /// When something may become due by time alone.
    pub(super) fn wake_at(
        &self,
        sources: &BTreeMap<Source, Kept>,
        common: &Common,
    ) -> Option<Moment> {
        let path = common.policy.path;
        let state = match path {
            Path::Call => &self.call_path,
            Path::Broker => &self.broker_path,
        };
        let mut wake = self
            .under_way
            .values()
            .filter_map(|under_way| under_way.repeat_at)
            .min();
        if state.in_flight < common.policy.capacity(path).in_flight {
            let due = self.tracks.iter().filter_map(|(source, track)| {
                let read = sources.get(source).and_then(Kept::may_be_read)?;
                Some(track.due_at(common.policy.linger)?.max(read))
            });
            let due = due.min();
            wake = sooner(
                wake,
                due.map(|due| due.max(state.rests_until.unwrap_or(due))),
            );
        }
        if self.awaits_broker() {
            wake = sooner(wake, Some(self.broker_path.backlog_due(&common.timing)));
        }
        wake
    }
}
