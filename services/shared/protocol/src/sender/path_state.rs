//! One way to one receiver: the order of sending on it, its failures, and what its broker says.

use std::collections::VecDeque;
use std::time::Duration;

use super::timing::{Jitter, Timing};
use super::wire::{Backlog, BrokerPlace};
use crate::time::Moment;

/// A path's state.
#[derive(Debug, Default)]
pub(super) struct PathState {
    /// The latest number given in the order of sending.
    pub(super) order: u64,
    /// The latest number that was received.
    pub(super) latest_received: u64,
    /// How many are under way in the background.
    pub(super) in_flight: usize,
    failures: u32,
    /// The background rests until then.
    pub(super) rests_until: Option<Moment>,
    broker: BrokerView,
}

/// What a path's broker was seen to be done with, and when.
#[derive(Debug, Default)]
struct BrokerView {
    asked_at: Option<Moment>,
    /// The highest place that was given, and what it was when the broker was last asked: a stream that ends before that lost it.
    given: BrokerPlace,
    given_when_asked: BrokerPlace,
    known: Option<(u64, BrokerPlace)>,
    /// Ascending in both: from when on everything up to a place was done with.
    done: VecDeque<(Moment, BrokerPlace)>,
    /// All up to there was done with when the hello was asked that is waited for; and when the last one was that was answered.
    done_when_asked: BrokerPlace,
    done_when_answered: BrokerPlace,
    silent: bool,
    away: bool,
}

/// What an observation of a broker means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// It goes on.
    Continues,
    /// It was made anew, or lost its end.
    Reset,
}

impl PathState {
    pub(super) fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    pub(super) fn received(&mut self, order: Option<u64>) {
        self.latest_received = self.latest_received.max(order.unwrap_or(0));
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.rests_until = None;
    }

    pub(super) fn failed(
        &mut self,
        now: Moment,
        retry_after: Option<Duration>,
        timing: &Timing,
        jitter: &mut Jitter,
    ) -> Moment {
        let wait = jitter.backoff(timing.backoff_initial, timing.backoff_max, self.failures);
        self.failures = self.failures.saturating_add(1);
        let until = now + wait.max(retry_after.unwrap_or_default().min(timing.backoff_max * 6));
        self.rests_until = Some(self.rests_until.map_or(until, |rests| rests.max(until)));
        until
    }

    pub(super) fn is_resting(&self, now: Moment) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// The broker stored a message, at a place.
    pub(super) fn stored(&mut self, place: Option<BrokerPlace>) {
        self.succeeded();
        self.broker.given = self.broker.given.max(place.unwrap_or_default());
    }

    /// Whether the broker is to be asked for its backlog; counts as asked.
    pub(super) fn ask_backlog(&mut self, now: Moment, timing: &Timing) -> bool {
        let due = self.backlog_due(timing) <= now;
        if due {
            self.broker.asked_at = Some(now);
            self.broker.given_when_asked = self.broker.given;
        }
        due
    }

    pub(super) fn backlog_due(&self, timing: &Timing) -> Moment {
        self.broker
            .asked_at
            .map_or(Moment::START, |asked| asked + timing.backlog_every)
    }

    /// The connection is new: ask at once.
    pub(super) fn reconnected(&mut self) {
        self.broker.asked_at = None;
        self.succeeded();
    }

    /// What the broker said of its backlog.
    pub(super) fn observe(&mut self, backlog: Backlog, now: Moment, timing: &Timing) -> Stream {
        let view = &mut self.broker;
        view.away = backlog == Backlog::Away;
        view.silent = backlog == Backlog::Unknown;
        let Backlog::Known {
            created,
            last,
            ack_floor,
            outstanding,
        } = backlog
        else {
            return Stream::Continues;
        };
        let anew = view
            .known
            .is_some_and(|(was_created, was_last)| was_created != created || last < was_last);
        let reset = anew || last < view.given_when_asked;
        view.known = Some((created, last));
        if reset {
            (view.given, view.given_when_asked) = (last, last);
            view.done.clear();
            view.done_when_asked = BrokerPlace::default();
            view.done_when_answered = BrokerPlace::default();
            return Stream::Reset;
        }
        let done = if outstanding == 0 { last } else { ack_floor };
        if view.done.back().is_none_or(|(_, before)| *before < done) {
            view.done.push_back((now, done));
        }
        let long_ago = now - timing.place_patience;
        while view.done.get(1).is_some_and(|(at, _)| *at <= long_ago) {
            view.done.pop_front();
        }
        Stream::Continues
    }

    /// Up to where the broker was seen to be done, and the receiver was not asked since.
    pub(super) fn done_unasked(&self) -> Option<BrokerPlace> {
        let done = self.broker.done.back().map(|(_, done)| *done)?;
        (done > self.broker.done_when_answered).then_some(done)
    }

    /// The receiver is asked what it holds.
    pub(super) fn hello_asked(&mut self) {
        let done = self.broker.done.back().map(|(_, done)| *done);
        self.broker.done_when_asked = done.unwrap_or_default();
    }

    /// The receiver said what it held some time after it was asked.
    pub(super) fn hello_answered(&mut self) {
        self.broker.done_when_answered = self.broker.done_when_asked;
    }

    /// Whether nothing more can come of a place: the broker was done with it before the receiver was asked what it holds, and it has
    /// answered; or has been done with it for long.
    pub(super) fn is_over(&self, place: BrokerPlace, now: Moment, timing: &Timing) -> bool {
        let long = |at: Moment| now.since(at) >= timing.place_patience;
        let mut done = self.broker.done.iter();
        place <= self.broker.done_when_answered
            || done.any(|(at, done)| long(*at) && place <= *done)
    }

    /// Whether the broker can't say what it is done with.
    pub(super) fn is_silent(&self) -> bool {
        self.broker.silent
    }

    /// Whether the broker did not answer when it was asked last.
    pub(super) fn is_away(&self) -> bool {
        self.broker.away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn known(created: u64, last: u64, ack_floor: u64, outstanding: u64) -> Backlog {
        Backlog::Known {
            created,
            last: BrokerPlace(last),
            ack_floor: BrokerPlace(ack_floor),
            outstanding,
        }
    }

    fn observed(backlogs: &[(u64, Backlog)]) -> (PathState, Vec<Stream>) {
        let (mut path, timing) = (PathState::default(), Timing::default());
        let streams = backlogs
            .iter()
            .map(|(seconds, backlog)| path.observe(*backlog, at(*seconds), &timing));
        let streams = streams.collect();
        (path, streams)
    }

    #[test]
    fn a_place_is_long_done_sixty_seconds_after_the_floor_was_seen_to_have_passed_it() {
        let (path, _) = observed(&[(0, known(1, 9, 3, 6)), (10, known(1, 9, 5, 4))]);
        let is_done =
            |place, seconds| path.is_over(BrokerPlace(place), at(seconds), &Timing::default());
        assert!(!is_done(3, 59) && is_done(3, 60));
        assert!(!is_done(4, 60) && is_done(5, 70));
        assert!(!is_done(6, 1_000));
    }

    #[test]
    fn an_idle_consumer_is_done_with_all() {
        let (path, _) = observed(&[(0, known(1, 9, 3, 0))]);
        assert!(path.is_over(BrokerPlace(9), at(60), &Timing::default()));
    }

    #[test]
    fn a_stream_made_anew_or_without_its_end_is_reset() {
        let (_, streams) = observed(&[
            (0, known(1, 9, 3, 6)),
            (1, known(1, 8, 3, 5)),
            (2, known(1, 9, 3, 6)),
            (3, known(2, 9, 3, 6)),
        ]);
        use Stream::{Continues, Reset};
        assert_eq!(streams, [Continues, Reset, Continues, Reset]);
    }

    #[test]
    fn a_stream_that_ends_before_a_place_it_gave_is_reset() {
        let (mut path, timing) = (PathState::default(), Timing::default());
        path.stored(Some(BrokerPlace(5)));
        assert!(path.ask_backlog(at(0), &timing));
        let stream = path.observe(known(1, 5, 5, 0), at(1), &timing);
        assert_eq!(stream, Stream::Continues);
        let mut path = PathState::default();
        path.stored(Some(BrokerPlace(5)));
        assert!(path.ask_backlog(at(0), &timing));
        let stream = path.observe(known(1, 4, 4, 0), at(1), &timing);
        assert_eq!(stream, Stream::Reset);
    }

    #[test]
    fn failures_rest_longer_and_longer_and_one_success_ends_that() {
        let (mut path, timing) = (PathState::default(), Timing::default());
        let mut jitter = Jitter::new(1);
        let mut now = at(0);
        for failures in 0..12 {
            let until = path.failed(now, None, &timing, &mut jitter);
            let most = timing.backoff_initial.saturating_mul(1 << failures);
            let waits = until.since(now);
            assert!(
                waits <= most.min(timing.backoff_max) && waits * 2 >= most.min(timing.backoff_max)
            );
            assert!(path.is_resting(now) && !path.is_resting(until));
            now = until;
        }
        path.failed(now, None, &timing, &mut jitter);
        path.succeeded();
        assert!(!path.is_resting(now));
        let until = path.failed(now, None, &timing, &mut jitter);
        assert!(until <= now + timing.backoff_initial);
    }

    #[test]
    fn the_other_sides_wish_to_be_left_alone_is_kept_within_bounds() {
        let (mut path, timing) = (PathState::default(), Timing::default());
        let mut jitter = Jitter::new(1);
        let hour = Some(Duration::from_secs(3_600));
        let until = path.failed(at(0), hour, &timing, &mut jitter);
        assert_eq!(until, at(0) + timing.backoff_max * 6);
    }
}
