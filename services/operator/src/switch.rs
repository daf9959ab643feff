//! A switch of the mode, from the moment the operator sees it until it can be reported: pure, but for what it remembers.

use std::collections::BTreeMap;

use duet_crd::Mode;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::participants::Participant;
use crate::stored::Subject;

/// How long after the last pod followed callers of the switch may still be waiting.
const SETTLES: SignedDuration = SignedDuration::from_secs(2);
/// How long after the last pod followed what was accepted before is given to drain, before the report goes without.
const DRAINS: SignedDuration = SignedDuration::from_secs(15);
/// How long pods have to follow, before it is said that they don't.
pub(crate) const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// Pods that a report names.
const NAMED: usize = 8;

/// A switch that is under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Switch {
    to: Mode,
    began: Timestamp,
    /// How long each pod took to follow.
    followed: BTreeMap<String, SignedDuration>,
    /// When the last of them was seen to.
    complete: Option<Timestamp>,
    /// Retransmissions of each sender before.
    retransmissions: BTreeMap<String, u64>,
}

/// What a switch was like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    to: Mode,
    followed: BTreeMap<String, SignedDuration>,
    slowest_caller: Option<SignedDuration>,
    retransmissions: u64,
    drained: bool,
}

impl Switch {
    /// A switch begins, from what the pods told last.
    pub(crate) fn begin(
        subject: &Subject,
        to: Mode,
        before: &[Participant],
        now: Timestamp,
    ) -> Switch {
        let told = |pod: &Participant| Some((pod.pod.clone(), pod.told(subject)?.retransmissions?));
        Switch {
            to,
            began: now,
            followed: BTreeMap::new(),
            complete: None,
            retransmissions: before.iter().filter_map(told).collect(),
        }
    }

    /// Looks at what the pods tell now; the report, once it is over.
    pub(crate) fn observe(
        &mut self,
        subject: &Subject,
        pods: &[Participant],
        now: Timestamp,
    ) -> Option<Report> {
        // Of a pod that was not asked before, what was repeated earlier is not this switch's.
        for (pod, told) in pods
            .iter()
            .filter_map(|pod| Some((pod, pod.told(subject)?)))
        {
            if let Some(repeated) = told.retransmissions {
                let first = self.retransmissions.entry(pod.pod.clone());
                first.or_insert(repeated);
            }
        }
        let follows = |pod: &&Participant| pod.divergence(subject, self.to).is_none();
        for pod in pods.iter().filter(follows) {
            // By the pod's clock, as far as it can be right.
            let told = pod
                .told(subject)
                .and_then(|told| told.in_force_since.as_ref());
            let since = told.map_or(now, |since| since.0.clamp(self.began, now));
            self.followed
                .entry(pod.pod.clone())
                .or_insert(since.duration_since(self.began));
        }
        let all = !pods.is_empty() && pods.iter().all(|pod| follows(&pod));
        if !all {
            self.complete = None;
            return None;
        }
        let since = now.duration_since(*self.complete.get_or_insert(now));
        let senders = || {
            pods.iter()
                .filter(|pod| pod.is_sender())
                .filter_map(|pod| pod.told(subject))
        };
        let drained = senders().all(|told| told.drained == Some(true));
        if since < SETTLES || (!drained && since < DRAINS) {
            return None;
        }
        // A process that began meanwhile counts from zero.
        let repeated = |pod: &Participant| {
            let now = pod.told(subject)?.retransmissions?;
            let before = self
                .retransmissions
                .get(&pod.pod)
                .copied()
                .unwrap_or_default();
            Some(now.checked_sub(before).unwrap_or(now))
        };
        Some(Report {
            to: self.to,
            followed: self.followed.clone(),
            slowest_caller: senders().filter_map(|told| told.slowest_caller).max(),
            retransmissions: pods.iter().filter_map(repeated).sum(),
            drained,
        })
    }

    /// Whether pods take longer to follow than they should.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        self.complete.is_none() && now.duration_since(self.began) >= PATIENCE
    }
}

impl Report {
    /// The mode, as metrics name it.
    pub(crate) fn to(&self) -> &'static str {
        match self.to {
            Mode::Sync => "sync",
            Mode::Async => "async",
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the mode is {:?}", self.to)?;
        let named = self.followed.iter().take(NAMED);
        let named: Vec<_> = named
            .map(|(pod, took)| format!("{pod} after {}", text(*took)))
            .collect();
        if !named.is_empty() {
            write!(f, ": {}", named.join(", "))?;
        }
        match self.followed.len().saturating_sub(NAMED) {
            0 => {}
            more => {
                let last = self.followed.values().max().copied().unwrap_or_default();
                write!(f, ", and {more} more, the last after {}", text(last))?;
            }
        }
        if let Some(slowest) = self.slowest_caller {
            write!(f, "; no caller waited over {}", text(slowest))?;
        }
        let events = if self.retransmissions == 1 {
            "event"
        } else {
            "events"
        };
        write!(f, "; {} {events} sent again", self.retransmissions)?;
        if !self.drained {
            f.write_str("; what was accepted before is still on its way")?;
        }
        Ok(())
    }
}

/// To the millisecond below a second, else to a tenth.
fn text(took: SignedDuration) -> String {
    match took.as_millis() {
        millis @ ..1_000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use duet_protocol::receipt::ReceiverName;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::fixtures::{follower, subject, told};
    use crate::participants::Role;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).unwrap()
    }

    fn pods() -> [Participant; 2] {
        let mut sender = follower("reaction-0", Role::Sender);
        told(&mut sender).in_force_since = Some(Time(at(82)));
        told(&mut sender).retransmissions = Some(5);
        told(&mut sender).slowest_caller = Some(SignedDuration::from_millis(12));
        [
            sender,
            follower(
                "notification-0",
                Role::Receiver(ReceiverName::new("notification").unwrap()),
            ),
        ]
    }

    #[test]
    fn the_report_says_who_followed_when_and_what_it_cost() {
        let mut pods = pods();
        told(&mut pods[0]).retransmissions = Some(3);
        let mut switch = Switch::begin(&subject(), Mode::Async, &pods, at(0));
        let mut late = pods.clone();
        told(&mut late[1]).mode = Some(Mode::Sync);
        assert_eq!(switch.observe(&subject(), &late, at(200)), None);
        told(&mut pods[0]).retransmissions = Some(5);
        assert_eq!(switch.observe(&subject(), &pods, at(400)), None);
        assert_eq!(switch.observe(&subject(), &pods, at(2_399)), None);
        let report = switch.observe(&subject(), &pods, at(2_400)).unwrap();
        assert_eq!(
            report.to_string(),
            "the mode is Async: notification-0 after 400 ms, reaction-0 after 82 ms; no caller waited over 12 ms; 2 events sent again"
        );
    }

    #[test]
    fn a_clock_that_is_wrong_makes_no_time_negative_or_longer_than_it_was() {
        for (told_at, shown) in [(-5_000, "0 ms"), (82, "82 ms"), (9_000, "400 ms")] {
            let mut pods = pods();
            told(&mut pods[0]).in_force_since = Some(Time(at(told_at)));
            let mut switch = Switch::begin(&subject(), Mode::Async, &[], at(0));
            switch.observe(&subject(), &pods, at(400));
            let report = switch.observe(&subject(), &pods, at(5_000)).unwrap();
            assert!(
                report
                    .to_string()
                    .contains(&format!("reaction-0 after {shown};")),
                "{report}"
            );
        }
    }

    #[test]
    fn it_waits_for_what_was_accepted_before_but_not_for_ever() {
        let mut pods = pods();
        told(&mut pods[0]).drained = Some(false);
        let mut switch = Switch::begin(&subject(), Mode::Async, &pods, at(0));
        for millis in [0, 2_000, 14_999] {
            assert_eq!(switch.observe(&subject(), &pods, at(millis)), None);
        }
        let report = switch.observe(&subject(), &pods, at(15_000)).unwrap();
        assert!(report.to_string().ends_with("still on its way"), "{report}");
    }

    #[test]
    fn a_sender_that_began_anew_counts_from_zero() {
        let mut pods = pods();
        told(&mut pods[0]).retransmissions = Some(100);
        let mut switch = Switch::begin(&subject(), Mode::Async, &pods, at(0));
        told(&mut pods[0]).retransmissions = Some(1);
        switch.observe(&subject(), &pods, at(0));
        let report = switch.observe(&subject(), &pods, at(2_000)).unwrap();
        assert!(
            report.to_string().contains("; 1 event sent again"),
            "{report}"
        );
    }

    #[test]
    fn what_was_sent_again_before_an_operator_that_just_began_is_not_the_switchs() {
        let pods = pods();
        let mut switch = Switch::begin(&subject(), Mode::Async, &[], at(0));
        switch.observe(&subject(), &pods, at(0));
        let report = switch.observe(&subject(), &pods, at(2_000)).unwrap();
        assert!(
            report.to_string().contains("; 0 events sent again"),
            "{report}"
        );
    }

    #[test]
    fn pods_that_do_not_follow_in_a_minute_are_late() {
        let mut pods = pods();
        told(&mut pods[0]).mode = Some(Mode::Sync);
        let mut switch = Switch::begin(&subject(), Mode::Async, &pods, at(0));
        switch.observe(&subject(), &pods, at(59_999));
        assert!(!switch.is_late(at(59_999)) && switch.is_late(at(60_000)));
    }
}
