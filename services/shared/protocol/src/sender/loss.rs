//! What is overdue: judged by the order of sending, by the place in the broker, or by age.

use std::time::Duration;

use super::Common;
use super::path_state::Stream;
use super::peer::Peer;
use super::repair::{Lost, Repair};
use super::timing::Timing;
use super::track::{Slot, Track};
use super::wire::{Backlog, BrokerPlace, Path};
use crate::rules::Rule;
use crate::time::Moment;

impl Peer {
    /// Whether the broker is to be asked: something sent through it awaits a receipt.
    pub(super) fn ask_backlog(&mut self, now: Moment, timing: &Timing) -> bool {
        self.awaits_broker() && self.broker_path.ask_backlog(now, timing)
    }

    pub(super) fn awaits_broker(&self) -> bool {
        self.broker_path.order > 0 && self.has_awaiting()
    }

    pub(super) fn observe(&mut self, backlog: Backlog, common: &Common, now: Moment) {
        let done_before = self.broker_path.done_unasked();
        if self.broker_path.observe(backlog, now, &common.timing) == Stream::Reset
            && common.rules.holds(Rule::StreamReset)
        {
            self.lose_what_it_held(now);
        } else if done_before.is_some_and(|done| self.awaits_up_to(done)) {
            // A receipt would have come since the last look: purged, perhaps. The receiver knows.
            self.hello.want(now, &common.timing);
        }
    }

    /// Whether something awaits a receipt that the broker had at a place up to this one.
    fn awaits_up_to(&self, done: BrokerPlace) -> bool {
        let is_up_to = |slot: Slot| match slot {
            Slot::Sent { path, place, .. } => {
                path == Path::Broker && place.is_some_and(|place| place <= done)
            }
            _ => false,
        };
        let mut awaiting = self.tracks.values().flat_map(Track::awaiting);
        awaiting.any(|(_, slot)| is_up_to(slot))
    }

    pub(super) fn reconnected(&mut self, path: Path, now: Moment, timing: &Timing) {
        self.path(path).reconnected();
        self.try_too_large(now);
        self.hello.want(now, timing);
    }

    /// What is overdue is sent again.
    pub(super) fn scan(&mut self, common: &mut Common, now: Moment) {
        // Nothing could be sent again, and once it is back it says what it still has.
        let is_waited_for = self.broker_path.is_away() && !common.policy.uses(Path::Call);
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
                let cannot_say = broker.is_silent() || broker.is_away() || place.is_none();
                let by_age = path == Path::Call || cannot_say && !is_waited_for;
                let is_overtaken = || order < latest && age >= patience;
                let is_done_with = || {
                    path == Path::Broker
                        && place.is_some_and(|place| broker.is_over(place, now, timing))
                };
                let is_old = || by_age && age >= timing.loss_age(sends);
                let lost = if is_overtaken() && rules.holds(Rule::LossByOrder) {
                    Lost::Overtaken
                } else if is_done_with() && rules.holds(Rule::LossByPlace) {
                    Lost::DoneWith
                } else if is_old() && rules.holds(Rule::LossByAge) {
                    Lost::Old
                } else {
                    continue;
                };
                overdue.push((*source, sequence, sends, lost));
            }
        }
        // They wait together, to go together and in order: the receiver may have no room for gaps.
        let extra = overdue.iter().map(|(_, _, sends, _)| *sends).min();
        let wait = match extra.map_or(0, |sends| {
            sends.saturating_sub(timing.sends_before_condition)
        }) {
            0 => Duration::ZERO,
            extra => jitter.backoff(timing.order_slack, timing.resend_max, extra),
        };
        for (source, sequence, _, lost) in overdue {
            if let Some(track) = self.tracks.get_mut(&source) {
                track.lose(sequence, lost, now + wait);
            }
        }
    }

    /// What the broker held counts as unsent.
    fn lose_what_it_held(&mut self, now: Moment) {
        for track in self.tracks.values_mut() {
            let held = |slot: Slot| matches!(slot, Slot::Sent { path, .. } if path == Path::Broker);
            let sent: Vec<_> = track.awaiting().filter(|(_, slot)| held(*slot)).collect();
            for (sequence, _) in sent {
                track.lose(sequence, Lost::Reset, now);
            }
        }
    }

    /// How many events are taken for lost and not received yet.
    pub(super) fn lost(&self) -> u64 {
        self.tracks.values().map(|track| track.lost()).sum()
    }

    /// Loss that is repaired since this was asked last.
    pub(super) fn poll_repair(&mut self) -> Option<Repair> {
        let (why, events) = self.repaired.pop_first()?;
        let receiver = self.name.clone();
        Some(Repair {
            receiver,
            why,
            events,
        })
    }
}
