//! The sender's machine: what is committed goes in, transmissions come out, and only receipts make it forget.
//!
//! Inputs carry the time (`committed`, `transmitted`, `recorded`, …); outputs are polled until they give nothing (`poll_*`); and
//! [`Sender::wake_at`] says when to poll again though nothing came in. The machine remembers nothing across a restart: what is in the
//! outbox then counts as unsent, and a hello's answer says what of it was received.

mod call;
mod hello;
mod loss;
mod outcome;
mod path_state;
mod peer;
mod repair;
mod resyncing;
mod sorted;
mod timing;
mod track;
mod wants;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use call::{Answer, CallStep, Outcomes};
pub use repair::{Lost, Repair};
pub use timing::{Capacity, Policy, Timing};
pub use wants::{Load, ReceiverStanding, SayHello, Standing, Undelivered};
pub use wire::{
    Attempt, Backlog, BrokerPlace, CallEnd, FailureCause, HelloId, MayBeApplied, MessageId, Path,
    Sent, Transmission, TransmissionId, Urgency,
};

use crate::accept::{Compensated, Dispatch};
use crate::event::{Event, EventId};
use crate::membership::Changed;
use crate::outbox::{EpochState, Mark};
use crate::receipt::ReceiverName;
use crate::record::{Asked, HELLO_EPOCHS, Health, Recorded};
use crate::rules::{Rule, Rules};
use crate::sequence::{Epoch, Incarnation, Sequence, Source};
use crate::time::Moment;
use call::CallUnderWay;
use peer::Peer;
use resyncing::Resyncing;
use timing::{Jitter, sooner};

/// What of one source is kept in memory, for all receivers.
#[derive(Debug, Default)]
struct Kept {
    last: Sequence,
    events: BTreeMap<Sequence, Arc<Event>>,
    /// Read from the store after this; at most one read is under way.
    wanted: Option<Sequence>,
    loading: bool,
    /// The last read gave nothing: not before this.
    read_again: Option<Moment>,
}

impl Kept {
    /// Whether what is not in memory has to be waited for.
    fn waits(&self, now: Moment) -> bool {
        self.may_be_read().is_none_or(|at| now < at)
    }

    /// When what is not in memory may be asked for; `None` while it is being read.
    fn may_be_read(&self) -> Option<Moment> {
        let free = self.wanted.is_none() && !self.loading;
        free.then(|| self.read_again.unwrap_or(Moment::START))
    }
}

/// What is the same for all of a sender's parts.
#[derive(Debug)]
struct Common {
    rules: Arc<Rules>,
    timing: Timing,
    policy: Policy,
    process: Epoch,
    jitter: Jitter,
    transmissions: u64,
}

/// The sender's machine; see the module.
#[derive(Debug)]
pub struct Sender {
    common: Common,
    sources: BTreeMap<Source, Kept>,
    kept: usize,
    /// What the reads under way may add to that.
    loading: usize,
    peers: BTreeMap<ReceiverName, Peer>,
    calls: BTreeMap<EventId, CallUnderWay>,
    deadlines: BTreeSet<(Moment, EventId)>,
    steps: VecDeque<(EventId, CallStep)>,
    hellos: u64,
    resyncing: Option<Resyncing>,
    next_scan: Moment,
}

impl Sender {
    /// A sender that has just opened its store. `process` is the epoch that it opened, `seed` feeds the jitter.
    pub fn new(
        rules: Arc<Rules>,
        timing: Timing,
        policy: Policy,
        process: Epoch,
        seed: u64,
    ) -> Self {
        Sender {
            common: Common {
                rules,
                timing,
                policy,
                process,
                jitter: Jitter::new(seed),
                transmissions: 0,
            },
            sources: BTreeMap::new(),
            kept: 0,
            loading: 0,
            peers: BTreeMap::new(),
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            steps: VecDeque::new(),
            // An answer to an earlier process's hello must not pass for one to ours.
            hellos: process.0,
            resyncing: None,
            next_scan: Moment::START,
        }
    }

    /// A source that the store holds events of, or whose end a hello may ask about. Given at start, before any receiver.
    pub fn source_opened(&mut self, source: Source, state: EpochState) {
        let kept = self.sources.entry(source).or_default();
        kept.last = kept.last.max(state.last);
    }

    /// A receiver, the sources that it began with, and what it said so far: under which incarnation, and of which sources. Given at
    /// start.
    pub fn receiver_known(
        &mut self,
        name: ReceiverName,
        incarnation: Incarnation,
        begin: &[Source],
        marks: &[(Source, Mark)],
        now: Moment,
    ) {
        let mut peer = Peer::new(name.clone(), incarnation, begin, now);
        for (source, kept) in &self.sources {
            let mark = marks
                .iter()
                .find(|(marked, _)| marked == source)
                .map(|(_, mark)| mark.clone());
            peer.track(*source, &mark.unwrap_or_default(), kept.last, &self.common);
        }
        self.peers.insert(name, peer);
    }

    /// Receivers joined, left or begin anew, in a transaction after all that was committed so far. To be told in that order.
    pub fn receivers_changed(&mut self, changed: &Changed, now: Moment) {
        for name in &changed.left {
            self.receiver_left(name);
        }
        if changed.resync {
            self.begin_resync(&changed.begin);
        }
        for name in &changed.joined {
            let incarnation = Incarnation::ZERO;
            let mut peer = Peer::new(name.clone(), incarnation, &changed.begin, now);
            for (source, kept) in &self.sources {
                peer.grow(*source, kept.last, now, &self.common); // the events that open its epochs
            }
            self.peers.insert(name.clone(), peer);
        }
        self.may_end_resync(now);
    }

    /// What was on its way to it is nobody's any more, and calls that wait for it alone are over.
    fn receiver_left(&mut self, name: &ReceiverName) {
        if self.peers.remove(name).is_none() {
            return;
        }
        let left = |(id, call): (&EventId, &mut CallUnderWay)| Some((*id, call.left(name)?));
        let over: Vec<_> = self.calls.iter_mut().filter_map(left).collect();
        for (id, end) in over {
            self.end_call(id, end);
        }
        let peers = &self.peers;
        for (source, kept) in &mut self.sources {
            let before = kept.events.len();
            let still_sends = |sequence: &Sequence| {
                let mut peers = peers.values();
                peers.any(|peer| peer.still_sends(*source, *sequence))
            };
            kept.events.retain(|sequence, _| still_sends(sequence));
            self.kept -= before - kept.events.len();
        }
        self.retire_sources();
    }

    /// Other settings are in force. What waits drains the new way; what is under way stays under way.
    pub fn configure(&mut self, policy: Policy, now: Moment) {
        if policy == self.common.policy {
            return;
        }
        self.common.policy = policy;
        for peer in self.peers.values_mut() {
            peer.path_changed(&self.common, now);
        }
    }

    /// Events were committed, in this order.
    pub fn committed(
        &mut self,
        events: impl IntoIterator<Item = (Arc<Event>, Dispatch)>,
        now: Moment,
    ) {
        for (event, dispatch) in events {
            let EventId { source, sequence } = event.id();
            if let Some(resyncing) = &mut self.resyncing {
                resyncing.committed(&event);
            }
            let kept = self.sources.entry(source).or_default();
            kept.last = kept.last.max(sequence);
            let is_wanted = self.peers.values().any(|peer| peer.concerns(source));
            if is_wanted && self.kept < self.common.timing.max_kept {
                self.kept += usize::from(kept.events.insert(sequence, event.clone()).is_none());
            }
            for peer in self.peers.values_mut() {
                peer.grow(source, sequence, now, &self.common);
            }
            if let Dispatch::Inline { deadline } = dispatch {
                let concerned = |peer: &&Peer| peer.concerns(source);
                let names = self.peers.values().filter(concerned);
                let names = names.map(|peer| peer.name.clone());
                let call = CallUnderWay::new(event.clone(), deadline, names);
                self.calls.insert(event.id(), call);
                self.deadlines.insert((deadline, event.id()));
                for peer in self.peers.values_mut() {
                    if peer.concerns(source) {
                        peer.call(&event);
                    }
                }
            }
        }
    }

    /// The next batch to send now.
    pub fn poll_transmit(&mut self, now: Moment) -> Option<Transmission> {
        for peer in self.peers.values_mut() {
            if let Some(transmission) = peer.poll_inline(&mut self.calls, &mut self.common, now) {
                return Some(transmission);
            }
            if let Some(transmission) =
                peer.poll_background(&mut self.sources, &mut self.common, now)
            {
                return Some(transmission);
            }
        }
        None
    }

    /// What came of a transmission.
    pub fn transmitted(
        &mut self,
        receiver: &ReceiverName,
        id: TransmissionId,
        sent: Sent,
        now: Moment,
    ) {
        let Some(peer) = self.peers.get_mut(receiver) else {
            return;
        };
        for (id, end) in peer.transmitted(id, sent, &mut self.calls, &mut self.common, now) {
            self.end_call(id, end);
        }
        self.drop_kept(receiver);
    }

    /// Only what is still to be sent is kept whole.
    fn drop_kept(&mut self, receiver: &ReceiverName) {
        let Some(peer) = self.peers.get_mut(receiver) else {
            return;
        };
        for (source, sequence) in std::mem::take(&mut peer.released) {
            let wanted = self
                .peers
                .values()
                .any(|peer| peer.still_sends(source, sequence));
            if let Some(kept) = self.sources.get_mut(&source)
                && !wanted
            {
                self.kept -= usize::from(kept.events.remove(&sequence).is_some());
            }
        }
    }

    fn end_call(&mut self, id: EventId, end: CallEnd) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        self.deadlines.remove(&(call.deadline, id));
        match end {
            CallEnd::Delivered(outcomes) => {
                self.calls.remove(&id);
                self.steps
                    .push_back((id, CallStep::Answer(Answer::Delivered(outcomes))));
            }
            CallEnd::Held | CallEnd::ForNobody => {
                self.calls.remove(&id);
                self.steps
                    .push_back((id, CallStep::Answer(Answer::Accepted)));
            }
            CallEnd::Failed { cause, applied, by } => {
                if !self.common.rules.holds(Rule::CompensateBeforeAnswer) {
                    let failed = Answer::Failed { cause, applied, by };
                    self.steps.push_back((id, CallStep::Answer(failed)));
                }
                self.steps.push_back((id, CallStep::Compensate));
            }
        }
    }

    /// What the shell does next for a call. Ends the calls whose deadline has passed.
    pub fn poll_call(&mut self, now: Moment) -> Option<(EventId, CallStep)> {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            let Some(call) = self.calls.get_mut(&id) else {
                self.deadlines.remove(&(deadline, id));
                continue;
            };
            let end = call.too_late();
            self.end_call(id, end);
        }
        self.steps.pop_front()
    }

    /// What came of a call's compensation; `None` if the transaction failed, so that nobody knows.
    pub fn compensated(&mut self, id: EventId, compensated: Option<Compensated>, now: Moment) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        let answer = match (compensated, call.failed) {
            (Some(Compensated::Undone(_)), Some((cause, applied, by))) => {
                Answer::Failed { cause, applied, by }
            }
            (Some(Compensated::Stands), _) => Answer::Accepted,
            (None, _) | (_, None) => Answer::Unknown,
        };
        self.steps.push_back((id, CallStep::Answer(answer)));
        let taken_back = match compensated {
            // Where a receiver joined in between, it is of another epoch, and no order holds between the two.
            Some(Compensated::Undone(by))
                if by.source == id.source && self.common.rules.holds(Rule::CompensationFirst) =>
            {
                Some(by.sequence)
            }
            _ => None,
        };
        for peer in self.peers.values_mut() {
            peer.call_over(id, taken_back, now);
        }
    }

    /// What to read back from the store.
    pub fn poll_load(&mut self) -> Option<Load> {
        // Always at least a batch: what memory is full of may have to wait for it.
        let batch = self.common.policy.batch();
        let taken = self.kept + self.loading;
        let room = self.common.timing.max_kept.saturating_sub(taken);
        let limit = room.min(batch.max(256)).max(batch);
        let (source, kept) = self
            .sources
            .iter_mut()
            .find(|(_, kept)| kept.wanted.is_some() && !kept.loading)?;
        kept.loading = true;
        let after = kept.wanted.take()?;
        self.loading += limit;
        Some(Load {
            source: *source,
            after,
            limit,
        })
    }

    /// What was read; empty if it could not be.
    pub fn loaded(&mut self, load: Load, events: Vec<Event>, now: Moment) {
        self.loading = self.loading.saturating_sub(load.limit);
        let Some(kept) = self.sources.get_mut(&load.source) else {
            return;
        };
        kept.loading = false;
        kept.read_again = events
            .is_empty()
            .then(|| now + self.common.timing.backoff_initial);
        let read = load.after.next()..=events.last().map_or(load.after, |event| event.sequence);
        for event in events {
            let sequence = event.sequence;
            let wanted = self
                .peers
                .values()
                .any(|peer| peer.still_sends(load.source, sequence));
            if wanted {
                self.kept += usize::from(kept.events.insert(sequence, Arc::new(event)).is_none());
            }
        }
        // Memory may be full of what has to wait: of that, what is sent last is read back later.
        while self.kept > self.common.timing.max_kept {
            let others = kept.events.keys().rev();
            let Some(last) = others.copied().find(|sequence| !read.contains(sequence)) else {
                break;
            };
            kept.events.remove(&last);
            self.kept -= 1;
        }
        for peer in self.peers.values_mut() {
            peer.grow(load.source, kept.last, now, &self.common);
        }
    }

    /// What recording a receipt changed.
    pub fn recorded(&mut self, receiver: &ReceiverName, recorded: &Recorded, now: Moment) {
        let held: Option<BTreeMap<Source, Sequence>> = recorded.new_incarnation.map(|_| {
            // What it says now need not be given up first, however much is kept for another.
            let says = recorded
                .marks
                .iter()
                .map(|(at, mark)| (*at, mark.watermark));
            self.forgotten().chain(says).collect()
        });
        let Some(peer) = self.peers.get_mut(receiver) else {
            return;
        };
        if let (Some(incarnation), Some(held)) = (recorded.new_incarnation, held) {
            peer.fall_back(incarnation, &held, &self.common, now);
        }
        peer.recorded(recorded, &self.common, now);
        for (source, mark) in &recorded.marks {
            let Some(kept) = self.sources.get_mut(source) else {
                continue;
            };
            let all_hold = self
                .peers
                .values()
                .map(|peer| peer.base(*source))
                .min()
                .unwrap_or(mark.watermark);
            while let Some(entry) = kept.events.first_entry()
                && *entry.key() <= all_hold
            {
                entry.remove();
                self.kept -= 1;
            }
        }
        self.drop_kept(receiver);
        self.retire_sources();
        self.may_end_resync(now);
    }

    /// Whether every receiver is known to hold an event that was accepted; or, of one that a resync overtook, all that it tells.
    pub fn is_received(&self, event: EventId) -> bool {
        let resyncing = self.resyncing.as_ref();
        if resyncing.is_some_and(|resyncing| resyncing.overtook(event.source)) {
            return false;
        }
        self.peers.values().all(|peer| peer.is_received(event))
    }

    /// Up to where each source is held by every receiver, and so forgotten.
    fn forgotten(&self) -> impl Iterator<Item = (Source, Sequence)> + '_ {
        self.sources.iter().map(|(source, kept)| {
            let held = self.peers.values().map(|peer| peer.held(*source));
            (*source, held.min().unwrap_or_default().min(kept.last))
        })
    }

    /// Sources that are received whole and too old for a hello are of no more use.
    fn retire_sources(&mut self) {
        if self.sources.len() <= HELLO_EPOCHS {
            return;
        }
        let is_done = |source: &Source| {
            self.peers
                .values()
                .all(|peer| peer.unreceived(*source) == 0)
        };
        let (mut lane, mut newer) = (None, 0);
        let mut done = Vec::new();
        for source in self.sources.keys().rev() {
            if lane.replace(source.lane) != Some(source.lane) {
                newer = 0;
            }
            if newer >= HELLO_EPOCHS && is_done(source) {
                done.push(*source);
            }
            newer += 1;
        }
        for source in done {
            let kept = self.sources.remove(&source);
            self.kept -= kept.map_or(0, |kept| kept.events.len());
            for peer in self.peers.values_mut() {
                peer.forget_source(source);
            }
        }
    }

    /// A receiver to whose broker the question for its backlog is due; it counts as asked.
    pub fn poll_backlog(&mut self, now: Moment) -> Option<ReceiverName> {
        let timing = &self.common.timing;
        self.peers
            .values_mut()
            .find_map(|peer| peer.ask_backlog(now, timing).then(|| peer.name.clone()))
    }

    /// What the broker said.
    pub fn backlog(&mut self, receiver: &ReceiverName, backlog: Backlog, now: Moment) {
        if let Some(peer) = self.peers.get_mut(receiver) {
            peer.observe(backlog, &self.common, now);
        }
    }

    /// A path's connection is new: what it remembered may be gone.
    pub fn reconnected(&mut self, path: Path, now: Moment) {
        for peer in self.peers.values_mut() {
            peer.reconnected(path, now, &self.common.timing);
        }
    }

    /// Loss that is repaired: what had been lost is received.
    pub fn poll_repair(&mut self) -> Option<Repair> {
        self.peers.values_mut().find_map(Peer::poll_repair)
    }

    /// A hello that is due.
    pub fn poll_hello(&mut self, now: Moment) -> Option<SayHello> {
        let due = |peer: &mut Peer| {
            peer.hello
                .is_due(now, &self.common.timing, &self.common.rules)
        };
        let receiver = self
            .peers
            .values_mut()
            .find_map(|peer| due(peer).then(|| peer.name.clone()))?;
        let peer = self.peers.get(&receiver)?;
        let asked = Asked {
            incarnation: peer.incarnation,
            forgotten: self
                .forgotten()
                .filter(|(source, _)| peer.concerns(*source))
                .collect(),
            resyncing: self.is_resyncing(),
        };
        self.hellos += 1;
        let id = HelloId(self.hellos);
        let peer = self.peers.get_mut(&receiver)?;
        peer.hello.asked(id, asked, now);
        peer.broker_path.hello_asked();
        Some(SayHello {
            id,
            receiver,
            path: self.common.policy.route.mode.into(),
        })
    }

    /// What was forgotten when a hello was asked; `None` if its answer is not waited for any more.
    pub fn asked(&self, receiver: &ReceiverName, id: HelloId) -> Option<Asked> {
        self.peers.get(receiver)?.hello.answered(id).cloned()
    }

    /// What a hello's answer was judged to mean; `None` if it said nothing, or none came.
    pub fn judged(
        &mut self,
        receiver: &ReceiverName,
        id: HelloId,
        health: Option<Health>,
        now: Moment,
    ) {
        if let Some(peer) = self.peers.get_mut(receiver) {
            if health.is_some() && peer.hello.answered(id).is_some() {
                peer.broker_path.hello_answered();
            }
            peer.hello.judged(id, health, now, &self.common.timing);
        }
    }

    /// Looks through what awaits receipts. Called when woken; does nothing before it is due.
    pub fn scan(&mut self, now: Moment) {
        if now < self.next_scan {
            return;
        }
        self.next_scan = now + self.common.timing.scan_every;
        for peer in self.peers.values_mut() {
            peer.scan(&mut self.common, now);
        }
    }

    /// When to poll again though nothing comes in. `None` if only an input can change anything.
    pub fn wake_at(&self) -> Option<Moment> {
        let timing = &self.common.timing;
        let mut wake = self.deadlines.first().map(|(deadline, _)| *deadline);
        for peer in self.peers.values() {
            wake = sooner(wake, peer.wake_at(&self.sources, &self.common));
            wake = sooner(wake, peer.hello.wake_at(timing));
            if peer.has_awaiting() {
                wake = sooner(wake, Some(self.next_scan));
            }
        }
        wake
    }

    /// Events that the slowest receiver is not known to hold.
    pub fn unacknowledged(&self) -> u64 {
        let all = self.peers.values().map(Peer::all_unreceived);
        all.max().unwrap_or(0)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let of = |peer: &Peer| ReceiverStanding {
            name: peer.name.clone(),
            unacknowledged: peer.all_unreceived(),
            openings: peer.openings(),
            health: match peer.hello.health {
                Health::Sound if self.is_resyncing() => Health::Resyncing,
                health => health,
            },
            lost: peer.lost(),
            undelivered: peer.undelivered(self.common.timing.sends_before_condition),
            ledger_differs: peer.ledger_differs() && !self.is_resyncing(),
        };
        Standing {
            unacknowledged: self.unacknowledged(),
            calls: self.calls.len(),
            kept: self.kept,
            is_resyncing: self.is_resyncing(),
            receivers: self.peers.values().map(of).collect(),
        }
    }
}
