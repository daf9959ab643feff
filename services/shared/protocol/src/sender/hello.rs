//! When a sender asks a receiver what it holds, and what the answer said.

use super::timing::{Timing, sooner};
use super::wire::HelloId;
use crate::record::{Asked, Health};
use crate::rules::{Rule, Rules};
use crate::sequence::Incarnation;
use crate::time::Moment;

/// The hellos to one receiver.
#[derive(Debug)]
pub(super) struct Hello {
    /// One is wanted, not before this.
    due: Option<Moment>,
    outstanding: Option<(HelloId, Asked, Moment)>,
    last_asked: Option<Moment>,
    pub(super) health: Health,
}

impl Hello {
    /// One is said at start.
    pub(super) fn new(now: Moment) -> Self {
        Hello {
            due: Some(now),
            outstanding: None,
            last_asked: None,
            health: Health::default(),
        }
    }

    /// Something calls for a hello.
    pub(super) fn want(&mut self, now: Moment, timing: &Timing) {
        let pause_ends = self
            .last_asked
            .map_or(now, |asked| asked + timing.hello_pause);
        self.due = sooner(self.due, Some(pause_ends.max(now)));
    }

    /// Whether a hello is to be said now.
    pub(super) fn is_due(&mut self, now: Moment, timing: &Timing, rules: &Rules) -> bool {
        if let Some((_, _, asked)) = self.outstanding {
            if now.since(asked) < timing.hello_patience {
                return false;
            }
            self.outstanding = None;
            self.want(now, timing);
        }
        if self.due.is_none() && self.next(timing).is_some_and(|next| next <= now) {
            if rules.holds(Rule::HelloNowAndThen) {
                self.due = Some(now);
            } else {
                self.last_asked = Some(now);
            }
        }
        self.due.is_some_and(|due| due <= now)
    }

    /// When one is said though nothing calls for it: receipts don't tell what a receiver holds of a store that is gone.
    fn next(&self, timing: &Timing) -> Option<Moment> {
        Some(self.last_asked? + timing.hello_every)
    }

    pub(super) fn asked(&mut self, id: HelloId, asked: Asked, now: Moment) {
        self.due = None;
        self.last_asked = Some(now);
        self.outstanding = Some((id, asked, now));
    }

    /// What was forgotten when this hello was asked; `None` if it is not waited for any more.
    pub(super) fn answered(&self, id: HelloId) -> Option<&Asked> {
        self.outstanding
            .as_ref()
            .filter(|(outstanding, _, _)| *outstanding == id)
            .map(|(_, asked, _)| asked)
    }

    /// A resync begins: an answer that is still under way may tell of what it is about to sweep, and the incarnations that were known are
    /// forgotten.
    pub(super) fn overtaken(&mut self) {
        self.health = Health::Resyncing;
        if let Some((_, asked, _)) = &mut self.outstanding {
            asked.resyncing = true;
            asked.incarnation = Incarnation::ZERO;
        }
    }

    /// The answer was judged.
    pub(super) fn judged(
        &mut self,
        id: HelloId,
        health: Option<Health>,
        now: Moment,
        timing: &Timing,
    ) {
        if self.answered(id).is_none() {
            return;
        }
        self.outstanding = None;
        match health {
            Some(health) => self.health = health,
            None => self.want(now, timing),
        }
    }

    pub(super) fn wake_at(&self, timing: &Timing) -> Option<Moment> {
        if let Some((_, _, asked)) = self.outstanding {
            return Some(asked + timing.hello_patience);
        }
        sooner(self.due, self.next(timing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(std::time::Duration::from_secs(seconds))
    }

    fn asked() -> Asked {
        Asked {
            incarnation: crate::sequence::Epoch::ZERO,
            forgotten: Vec::new(),
            resyncing: false,
        }
    }

    struct Case(Hello, Timing, Rules);

    impl Case {
        /// Said at 0 s, and answered.
        fn answered() -> Self {
            let mut case = Case(Hello::new(at(0)), Timing::default(), Rules::default());
            assert!(case.is_due(0));
            case.asks(1, 0);
            case.0
                .judged(HelloId(1), Some(Health::Sound), at(0), &case.1);
            case
        }

        fn is_due(&mut self, seconds: u64) -> bool {
            self.0.is_due(at(seconds), &self.1, &self.2)
        }

        fn asks(&mut self, id: u64, seconds: u64) {
            self.0.asked(HelloId(id), asked(), at(seconds));
        }
    }

    #[test]
    fn it_is_said_again_after_thirty_seconds() {
        let mut case = Case::answered();
        assert!(!case.is_due(29));
        assert_eq!(case.0.wake_at(&case.1), Some(at(30)));
        assert!(case.is_due(30));
    }

    #[test]
    fn an_answer_that_does_not_come_is_waited_for_five_seconds() {
        let mut case = Case::answered();
        case.asks(2, 30);
        assert!(!case.is_due(34));
        assert!(case.is_due(35));
    }

    #[test]
    fn an_answer_to_an_earlier_question_is_not_listened_to() {
        let mut case = Case::answered();
        case.asks(2, 30);
        assert!(case.is_due(35));
        case.asks(3, 35);
        assert_eq!(case.0.answered(HelloId(2)), None);
        case.0
            .judged(HelloId(2), Some(Health::ReceiverRegressed), at(36), &case.1);
        assert_eq!(case.0.health, Health::Sound);
    }

    #[test]
    fn what_is_wanted_at_once_waits_for_a_pause() {
        let mut case = Case::answered();
        case.0.want(at(0), &case.1);
        assert!(!case.is_due(0));
        assert!(case.is_due(1));
    }
}
