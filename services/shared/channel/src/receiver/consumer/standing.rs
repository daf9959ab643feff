//! How consuming stands: what keeps it from going on, and what was put right.

use std::sync::Arc;

use duet_protocol::time::Timestamp;

use crate::failing::{Failing, Reason};
use crate::mended::Mended;
use crate::store::StoreError;
use crate::transport::{ConsumeError, Holder, ProvisionError, Steps, Trouble};

use super::Failed;

/// How consuming stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStanding {
    /// Whether what the broker has is taken.
    pub consumes: bool,
    /// While it is so: why nothing is taken, or what at the broker is not as it should be though it is.
    pub failing: Option<Failing>,
    /// How often consuming was begun anew by the watchdog, though the broker answered, and why last.
    pub rebuilt: Option<Mended>,
    /// How often something at the broker was put right that had been otherwise before, and what last.
    pub corrected: Option<Mended>,
}

impl ConsumerStanding {
    /// It has nothing to consume.
    pub(super) fn idles(&mut self) {
        (self.consumes, self.failing) = (false, None);
    }

    /// It consumes.
    pub(super) fn consumes(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!("consuming again");
        }
        self.consumes = true;
    }

    /// It can't consume; told until it does, logged once.
    pub(super) fn failed(&mut self, error: &Failed, now: Timestamp) {
        if std::mem::take(&mut self.consumes) {
            self.failing = None;
        }
        let cause = error.to_string();
        if self.is_news(reason(error), cause.into(), now) {
            tracing::warn!(%error, "nothing is consumed; trying until it is");
        }
    }

    /// It consumes, and the broker is as it should be, but for what these hold; or not, and it can't be put right.
    pub(super) fn looked(
        &mut self,
        holders: &[Holder],
        error: Option<&ProvisionError>,
        now: Timestamp,
    ) {
        let (reason, cause) = match (error, holders) {
            (Some(error), _) => (refusal(error), error.to_string()),
            (None, []) => {
                if self.failing.take().is_some() {
                    tracing::info!("the broker is as it should be again");
                }
                return;
            }
            (None, held) => (Reason::ForeignConsumer, held_by(held)),
        };
        // Numbers in it change at every look.
        let is_other = self
            .failing
            .as_ref()
            .is_none_or(|before| before.reason != reason);
        self.is_news(reason, cause.as_str().into(), now);
        if is_other {
            tracing::warn!(cause, "the broker is not as it should be");
        }
    }

    fn is_news(&mut self, reason: Reason, cause: Arc<str>, now: Timestamp) -> bool {
        let (failing, is_news) = Failing::after(self.failing.as_ref(), now, (reason, cause));
        self.failing = Some(failing);
        is_news
    }

    pub(super) fn rebuilt(&mut self, trouble: Trouble, now: Timestamp) {
        let rebuilt = Mended::more(self.rebuilt.as_ref(), 1, now, trouble.to_string());
        self.rebuilt = Some(rebuilt);
    }

    pub(super) fn corrected(&mut self, steps: &Steps, now: Timestamp) {
        let corrected = Mended::more(self.corrected.as_ref(), 1, now, steps.0.join("; "));
        self.corrected = Some(corrected);
    }
}

fn reason(error: &Failed) -> Reason {
    match error {
        Failed::Provision(error) => refusal(error),
        Failed::Consume(ConsumeError::Denied(_)) => Reason::BrokerDenies,
        Failed::Consume(ConsumeError::Failed(_)) => Reason::NotConsumed,
        Failed::Consume(ConsumeError::Trouble(Trouble::Deaf)) => Reason::ConsumerDeaf,
        Failed::Consume(ConsumeError::Trouble(_)) => Reason::StreamReset,
        Failed::Store(StoreError::ParkedFull) => Reason::ParkedFull,
        Failed::Store(_) => Reason::StoreFails,
    }
}

fn refusal(error: &ProvisionError) -> Reason {
    match error {
        ProvisionError::Denied(_) => Reason::BrokerDenies,
        ProvisionError::Conflict(_) => Reason::StreamRefused,
        ProvisionError::Unreachable(_) | ProvisionError::Refused(_) => Reason::NotProvisioned,
    }
}

/// What strangers hold, and what to do about it.
fn held_by(holders: &[Holder]) -> String {
    let each: Vec<String> = holders
        .iter()
        .map(|Holder { name, holds, .. }| format!("{name} holds {holds}"))
        .collect();
    format!(
        "consumers that are not Duet's keep messages that all of Duet's have settled, until the stream is full: {}. Remove them, or \
         let them settle what they are given",
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use duet_protocol::sender::BrokerPlace;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn told(standing: &ConsumerStanding) -> Option<(Reason, i64)> {
        let failing = standing.failing.as_ref()?;
        Some((failing.reason, failing.since.micros() / 1_000_000))
    }

    #[test]
    fn what_keeps_it_from_consuming_is_told_since_it_does_until_it_consumes() {
        let mut standing = ConsumerStanding::default();
        let gone = Failed::Consume(ConsumeError::Failed("there is no stream".into()));
        standing.failed(&gone, at(1));
        standing.failed(
            &Failed::Provision(ProvisionError::Refused("no".into())),
            at(2),
        );
        assert_eq!(told(&standing), Some((Reason::NotProvisioned, 1)));
        standing.consumes();
        assert_eq!((told(&standing), standing.consumes), (None, true));
        let deaf = Failed::Consume(ConsumeError::Trouble(Trouble::Deaf));
        standing.failed(&deaf, at(9));
        assert_eq!(told(&standing), Some((Reason::ConsumerDeaf, 9)));
        assert!(!standing.consumes);
    }

    #[test]
    fn what_is_wrong_at_the_broker_is_told_while_it_is_though_it_is_consumed_from() {
        let mut standing = ConsumerStanding::default();
        standing.consumes();
        let sealed = ProvisionError::Conflict("it is sealed".into());
        standing.looked(&[], Some(&sealed), at(1));
        assert_eq!(told(&standing), Some((Reason::StreamRefused, 1)));
        let stranger = Holder {
            name: "stranger".to_owned(),
            ack_floor: BrokerPlace(3),
            holds: 7,
        };
        standing.looked(&[stranger], None, at(2));
        assert_eq!(told(&standing), Some((Reason::ForeignConsumer, 1)));
        let cause = standing
            .failing
            .as_ref()
            .map(|failing| failing.cause.to_string());
        assert!(cause.is_some_and(|cause| cause.contains("stranger holds 7")));
        standing.looked(&[], None, at(3));
        assert_eq!((told(&standing), standing.consumes), (None, true));
    }

    #[test]
    fn what_was_put_right_is_counted_with_what_it_was_last() {
        let mut standing = ConsumerStanding::default();
        standing.rebuilt(Trouble::Deaf, at(1));
        standing.rebuilt(Trouble::Stream, at(2));
        let rebuilt = standing.rebuilt.unwrap();
        assert_eq!((rebuilt.count, rebuilt.last), (2, at(2)));
        assert_eq!(&*rebuilt.why, Trouble::Stream.to_string());
    }
}
