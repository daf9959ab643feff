//! What is overdue: judged by the order of sending, by the place in the broker, or by age.

use std::time::Duration;

use super::Common;
use super::path_state::Stream;
use super::peer::Peer;
use super::timing::Timing;
use super::track::Slot;
use super::wire::{Backlog, Path};
use crate::rules::Rule;
use crate::sequence::Sequence;
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
}
