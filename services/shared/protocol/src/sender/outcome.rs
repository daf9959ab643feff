//! What came of a transmission, for each of its events.

use std::collections::BTreeMap;

use super::Common;
use super::call::CallUnderWay;
use super::peer::{Peer, UnderWay};
use super::timing::Timing;
use super::track::Slot;
use super::wire::{BrokerPlace, CallEnd, FailureCause, Path, Sent, TransmissionId, Urgency};
use crate::event::EventId;
use crate::receive::Outcome;
use crate::rules::Rule;
use crate::time::Moment;

impl Peer {
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
            Sent::TooLarge => {
                // The way is well: others need not wait for these.
                for (event, _) in &under_way.transmission.events {
                    let (id, timing) = (event.id(), &common.timing);
                    let (initial, max) = (timing.backoff_max, timing.resend_max);
                    let failures = self.sends(id).saturating_sub(1);
                    let max = max.max(initial);
                    let wait = common.jitter.backoff(initial, max, failures);
                    self.mark_again(id, now + wait, true);
                    self.too_large.insert(id);
                }
            }
            Sent::Unknown => {
                let until = state.failed(now, None, &common.timing, &mut common.jitter);
                if path == Path::Broker
                    && common.policy.is_way_of(&under_way.transmission)
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
        let turned_away = matches!(sent, Sent::NotSent { .. } | Sent::TooLarge);
        let in_time = under_way.gives_up.is_none_or(|at| now < at);
        let mut outcomes = match sent {
            Sent::Answered(outcomes) => Some(outcomes.into_iter()),
            Sent::Stored(_) | Sent::NotSent { .. } | Sent::TooLarge | Sent::Unknown => None,
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
                None if turned_away => Some(call.turned_away(&self.name)),
                None if in_time => Some(call.failed_by(&self.name, FailureCause::Refused)),
                None => Some(call.failed_by(&self.name, FailureCause::Deadline)),
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
                Slot::UnderWay { sends } | Slot::Again { sends, .. } | Slot::Sent { sends, .. },
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

    /// The way may carry more than before: what was more than it carries goes at once.
    pub(super) fn try_too_large(&mut self, now: Moment) {
        for EventId { source, sequence } in std::mem::take(&mut self.too_large) {
            if let Some(track) = self.tracks.get_mut(&source) {
                track.hurry_one(sequence, now);
            }
        }
    }

    fn sends(&self, id: EventId) -> u32 {
        let track = self.tracks.get(&id.source);
        match track.and_then(|track| track.slot(id.sequence)) {
            Some(Slot::UnderWay { sends }) => sends,
            _ => 0,
        }
    }

    fn mark_again(&mut self, id: EventId, not_before: Moment, counts: bool) {
        let Some(track) = self.tracks.get_mut(&id.source) else {
            return;
        };
        if let Some(Slot::UnderWay { sends }) = track.slot(id.sequence) {
            let sends = if counts { sends } else { sends - 1 };
            track.set(id.sequence, Slot::Again { sends, not_before });
            // Whether it arrived or had no room there: what is held behind it may be what makes room.
            if counts {
                track.went_out(id.sequence, not_before);
            }
        }
    }

    pub(super) fn again(&mut self, under_way: &UnderWay, not_before: Moment, counts: bool) {
        for (event, _) in &under_way.transmission.events {
            self.mark_again(event.id(), not_before, counts);
        }
    }
}
