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
    },
    /// It was not delivered in time, but it stands: a later call built on it, or it was received after all.
    Accepted,
    /// It failed, and whether it was taken back is not known.
    Unknown,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct CallUnderWay {
    pub(super) event: Arc<Event>,
    pub(super) deadline: Moment,
    /// What each receiver answered; [`None`] where it has not.
    outcomes: Vec<(ReceiverName, Option<Outcome>)>,
    /// It went out and no answer said what became of it.
    unanswered: bool,
    pub(super) failed: Option<(FailureCause, MayBeApplied)>,
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
            outcomes: receivers.map(|name| (name, None)).collect(),
            unanswered: false,
            failed: None,
        }
    }

    pub(super) fn went_out(&mut self) {
        self.unanswered = true;
    }

    /// A receiver answered.
    pub(super) fn answered(
        &mut self,
        receiver: &ReceiverName,
        outcome: &Outcome,
    ) -> Option<CallEnd> {
        self.unanswered = false;
        let cause = match outcome {
            Outcome::Applied(_) | Outcome::Superseded => {
                for (name, answered) in &mut self.outcomes {
                    if name == receiver {
                        *answered = Some(outcome.clone());
                    }
                }
                let all = self
                    .outcomes
                    .iter()
                    .map(|(name, outcome)| Some((name.clone(), outcome.clone()?)));
                return all.collect::<Option<Outcomes>>().map(CallEnd::Delivered);
            }
            Outcome::Parked | Outcome::Dead => FailureCause::Parked,
            Outcome::Failed(_) => FailureCause::Failed,
            Outcome::Refused | Outcome::Dropped => FailureCause::Refused,
            Outcome::Late => FailureCause::Deadline,
        };
        Some(self.fail(cause))
    }

    /// A receiver turned it away: it was not applied.
    pub(super) fn turned_away(&mut self) -> CallEnd {
        self.unanswered = false;
        self.fail(FailureCause::Refused)
    }

    pub(super) fn fail(&mut self, cause: FailureCause) -> CallEnd {
        let applied = if self.unanswered || cause == FailureCause::Parked {
            MayBeApplied::Unknown
        } else {
            MayBeApplied::No
        };
        self.failed = Some((cause, applied));
        CallEnd::Failed { cause, applied }
    }
}
