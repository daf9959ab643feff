//! What a caller may believe: after an answer, and without one.

use std::collections::BTreeSet;

use crate::Kind;

/// What a request to change something came to, as its caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It stands.
    Accepted,
    /// It does not stand, or not any more.
    Refused,
    /// Nobody knows: no answer came, one that says so, or one that isn't Duet's.
    Unknown,
    /// Nobody listened, so nothing was sent.
    Away,
}

impl Answer {
    /// An answer by its status and, where its body is a problem, that one's `type`.
    pub fn of(status: u16, problem: Option<&str>) -> Self {
        match (status, problem) {
            (200..300, _) => Self::Accepted,
            (_, Some(kind)) if kind == Kind::OutcomeUnknown.uri() => Self::Unknown,
            // Any other problem says failure, also where a receiver may have shown the change for a moment.
            (_, Some(_)) => Self::Refused,
            (_, None) => Self::Unknown,
        }
    }
}

/// How something may stand after all that callers were told of it: in one way, or in several where an answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible<S>(BTreeSet<S>);

impl<S: Ord> Possible<S> {
    /// It stands so, and no other way.
    pub fn only(standing: S) -> Self {
        Self(BTreeSet::from([standing]))
    }

    /// A caller wanted it to stand so. A success leaves that one way, a failure those that there were before, and what nobody
    /// knows adds one.
    pub fn told(&mut self, wanted: S, answer: Answer) {
        match answer {
            Answer::Accepted => *self = Self::only(wanted),
            Answer::Unknown => drop(self.0.insert(wanted)),
            Answer::Refused | Answer::Away => {}
        }
    }

    /// The one way, if there is but one.
    pub fn certain(&self) -> Option<&S> {
        let mut ways = self.0.iter();
        ways.next().filter(|_| ways.next().is_none())
    }

    /// Whether it may stand so.
    pub fn contains(&self, standing: &S) -> bool {
        self.0.contains(standing)
    }

    /// Every way.
    pub fn ways(&self) -> impl Iterator<Item = &S> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_status_and_its_problem() {
        for (status, problem, answer) in [
            (200, None, Answer::Accepted),
            (202, None, Answer::Accepted),
            (404, Some(Kind::PostNotFound.uri()), Answer::Refused),
            (503, Some(Kind::NotDelivered.uri()), Answer::Refused),
            (503, Some(Kind::OutcomeUnknown.uri()), Answer::Unknown),
            (502, None, Answer::Unknown),
        ] {
            assert_eq!(Answer::of(status, problem), answer, "{status} {problem:?}");
        }
    }

    #[test]
    fn a_lost_answer_leaves_both_ways_and_the_next_success_one() {
        let mut possible = Possible::only(None);
        possible.told(Some("like"), Answer::Refused);
        possible.told(Some("like"), Answer::Away);
        assert_eq!(possible.certain(), Some(&None));
        possible.told(Some("like"), Answer::Unknown);
        assert_eq!(possible.certain(), None);
        assert_eq!(possible.ways().collect::<Vec<_>>(), [&None, &Some("like")]);
        possible.told(Some("love"), Answer::Accepted);
        assert_eq!(possible.certain(), Some(&Some("love")));
        assert!(!possible.contains(&Some("like")));
    }
}
