//! One synchronous call, from the commit of its event to the answer.

use std::sync::Arc;

use super::wire::{CallEnd, FailureCause, MayBeApplied};
use crate::event::Event;
use crate::receipt::ReceiverName;
use crate::receive::Outcome;
use crate::time::Moment;

/// What the shell does next for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStep {
    /// Take its write back, in a transaction, and say what came of it.
    Compensate,
    /// Tell the caller, and all who joined.
    Answer(Answer),
}

/// What came of an event at each receiver, by the receivers' names. Empty where that is not known.
pub type Outcomes = Arc<[(ReceiverName, Outcome)]>;

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every receiver holds it: what came of it at each.
    Delivered(Outcomes),
    /// It failed, and was taken back.
    Failed {
        /// Why.
        cause: FailureCause,
        /// Whether it may have been applied in the meantime.
        applied: MayBeApplied,
        /// Who failed it.
        by: Arc<[ReceiverName]>,
    },
    /// It was not delivered in time, but it stands: a later call built on it, or it was received after all.
    Accepted,
    /// It failed, and whether it was taken back is not known.
    Unknown,
}

/// How a call stands at one receiver.
#[derive(Clone, Debug)]
enum At {
    /// It was not applied: it did not go out, or was turned away.
    NotApplied,
    /// It went out, and no answer said what became of it.
    Unanswered,
    /// It is held there.
    Held(Outcome),
}

/// A call under way.
#[derive(Debug)]
pub(super) struct CallUnderWay {
    pub(super) event: Arc<Event>,
    pub(super) deadline: Moment,
    /// How it stands at each receiver that it is for.
    at: Vec<(ReceiverName, At)>,
    pub(super) failed: Option<(FailureCause, MayBeApplied, Arc<[ReceiverName]>)>,
}

impl CallUnderWay {
    pub(super) fn new(
        event: Arc<Event>,
        deadline: Moment,
        receivers: impl Iterator<Item = ReceiverName>,
    ) -> Self {
        CallUnderWay {
            event,
            deadline,
            at: receivers.map(|name| (name, At::NotApplied)).collect(),
            failed: None,
        }
    }

    /// A receiver left: it is not waited for any more. The end, if nobody else is.
    pub(super) fn left(&mut self, receiver: &ReceiverName) -> Option<CallEnd> {
        self.at.retain(|(name, _)| name != receiver);
        match self.failed {
            Some(_) => None,
            None if self.at.is_empty() => Some(CallEnd::ForNobody),
            None => self.delivered(),
        }
    }

    fn stands(&mut self, receiver: &ReceiverName, how: At) {
        for (name, at) in &mut self.at {
            if name == receiver {
                *at = how;
                return;
            }
        }
    }

    fn delivered(&self) -> Option<CallEnd> {
        let all = self.at.iter().map(|(name, at)| match at {
            At::Held(outcome) => Some((name.clone(), outcome.clone())),
            At::NotApplied | At::Unanswered => None,
        });
        let outcomes = all.collect::<Option<Outcomes>>()?;
        let mut each = outcomes.iter();
        Some(match each.all(|(_, outcome)| outcome.is_delivered()) {
            true => CallEnd::Delivered(outcomes),
            false => CallEnd::Held,
        })
    }

    pub(super) fn went_out(&mut self, receiver: &ReceiverName) {
        self.stands(receiver, At::Unanswered);
    }

    /// A receiver answered.
    pub(super) fn answered(
        &mut self,
        receiver: &ReceiverName,
        outcome: &Outcome,
    ) -> Option<CallEnd> {
        let cause = match outcome {
            // Parked, it is received, and can't be taken back any more: a job, say, whose work takes longer than a caller waits.
            Outcome::Applied(_) | Outcome::Superseded | Outcome::Parked => {
                self.stands(receiver, At::Held(outcome.clone()));
                return self.delivered();
            }
            Outcome::Dead => FailureCause::Parked,
            Outcome::Failed(_) => FailureCause::Failed,
            Outcome::Refused | Outcome::Dropped => FailureCause::Refused,
            Outcome::Late => FailureCause::Deadline,
        };
        self.stands(receiver, At::NotApplied);
        Some(self.failed_by(receiver, cause))
    }

    /// A receiver turned it away: it was not applied there.
    pub(super) fn turned_away(&mut self, receiver: &ReceiverName) -> CallEnd {
        self.stands(receiver, At::NotApplied);
        self.failed_by(receiver, FailureCause::Refused)
    }

    /// Its time is over, for all who don't hold it.
    pub(super) fn too_late(&mut self) -> CallEnd {
        let waited_for = self.at.iter().filter(|(_, at)| !matches!(at, At::Held(_)));
        let by = waited_for.map(|(name, _)| name.clone()).collect();
        self.fail(FailureCause::Deadline, by)
    }

    /// One receiver's failure is the call's.
    pub(super) fn failed_by(&mut self, receiver: &ReceiverName, cause: FailureCause) -> CallEnd {
        self.fail(cause, [receiver.clone()].into())
    }

    fn fail(&mut self, cause: FailureCause, by: Arc<[ReceiverName]>) -> CallEnd {
        let may_be = |(_, at): &(ReceiverName, At)| {
            matches!(
                at,
                At::Unanswered | At::Held(Outcome::Applied(_) | Outcome::Parked)
            )
        };
        let applied = if self.at.iter().any(may_be) || cause == FailureCause::Parked {
            MayBeApplied::Unknown
        } else {
            MayBeApplied::No
        };
        self.failed = Some((cause, applied, by.clone()));
        CallEnd::Failed { cause, applied, by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Decision;
    use crate::event::{Body, TraceContext};
    use crate::sequence::{Sequence, Source};
    use crate::settings::Generation;
    use crate::time::Timestamp;

    fn call(receivers: &[ReceiverName]) -> CallUnderWay {
        let event = Event {
            source: Source::default(),
            sequence: Sequence::FIRST,
            time: Timestamp::default(),
            body: Body::Opened {
                previous: None,
                joined: Vec::new(),
            },
            trace: TraceContext::default(),
            generation: Generation::FIRST,
        };
        CallUnderWay::new(Arc::new(event), Moment::START, receivers.iter().cloned())
    }

    #[test]
    fn a_call_is_over_when_all_have_answered_and_tells_what_each_said() {
        let names = ["notification", "trending"].map(|name| ReceiverName::new(name).unwrap());
        let [notification, trending] = &names;
        let notified = Outcome::Applied(Some(Decision::named("notified")));
        for first_is_later in [false, true] {
            let mut call = call(&names);
            let mut answers = [(notification, &notified), (trending, &Outcome::Superseded)];
            if first_is_later {
                answers.reverse();
            }
            let [first, last] = answers;
            assert_eq!(call.answered(first.0, first.1), None);
            assert_eq!(call.answered(first.0, first.1), None, "the same once more");
            let end = call.answered(last.0, last.1);
            let outcomes = [
                (notification.clone(), notified.clone()),
                (trending.clone(), Outcome::Superseded),
            ];
            assert_eq!(end, Some(CallEnd::Delivered(outcomes.into())));
        }
    }

    #[test]
    fn one_receivers_failure_is_the_calls() {
        let names = ["notification", "trending"].map(|name| ReceiverName::new(name).unwrap());
        let mut call = call(&names);
        assert_eq!(call.answered(&names[0], &Outcome::Applied(None)), None);
        let failed = CallEnd::Failed {
            cause: FailureCause::Parked,
            applied: MayBeApplied::Unknown,
            by: [names[1].clone()].into(),
        };
        assert_eq!(call.answered(&names[1], &Outcome::Dead), Some(failed));
    }

    #[test]
    fn a_call_whose_event_is_parked_is_accepted_once_all_hold_it() {
        let names = ["notification", "trending"].map(|name| ReceiverName::new(name).unwrap());
        let mut call = call(&names);
        assert_eq!(call.answered(&names[0], &Outcome::Parked), None);
        let end = call.answered(&names[1], &Outcome::Applied(None));
        assert_eq!(end, Some(CallEnd::Held));
    }

    #[test]
    fn a_call_that_is_too_late_names_whom_it_waited_for() {
        let names = ["notification", "trending"].map(|name| ReceiverName::new(name).unwrap());
        let mut call = call(&names);
        assert_eq!(call.answered(&names[0], &Outcome::Applied(None)), None);
        let failed = CallEnd::Failed {
            cause: FailureCause::Deadline,
            applied: MayBeApplied::Unknown,
            by: [names[1].clone()].into(),
        };
        assert_eq!(call.too_late(), failed);
    }
}
