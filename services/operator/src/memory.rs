//! What the operator remembers of a Channel between two looks at it. All of it may be lost: status holds what must not be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use duet_crd::Mode;
use duet_crd::kubernetes::{Status, StatusMode};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::observe::Observed;
use crate::participants::Participant;
use crate::status::{Change, NUMBERS, change};
use crate::stored::Subject;
use crate::switch::{Report, Switch};

/// Between two looks while pods are to follow.
const FOLLOWING: Duration = Duration::from_millis(200);
/// For how long after a generation they are waited for so closely.
const CLOSELY: Duration = Duration::from_secs(60);
/// Between two looks while something is under way.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// Between two looks at rest.
const REST: Duration = Duration::from_secs(2);
/// How long what was written may take to be seen by the watch.
const SEEN: Duration = Duration::from_secs(10);
/// Between two attempts, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// What is remembered of one Channel.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The status that was written last.
    status: Option<(Status, Instant)>,
    /// When it was looked at last.
    pub(crate) looked: Option<Timestamp>,
    /// The generation that was seen last, and since when.
    generation: Option<(i64, Instant)>,
    /// The mode that was asked for last.
    mode: Option<Mode>,
    /// What the pods told last.
    pods: Vec<Participant>,
    switch: Option<Switch>,
    /// Since when its deletion is known.
    deleted: Option<Timestamp>,
    told_late: bool,
    /// How many lost events each pod had repaired; a pod that is seen for the first time may have had them long ago.
    repaired: BTreeMap<String, u64>,
    /// Attempts that failed in a row.
    failures: u32,
}

/// What became of a switch.
pub(crate) enum Turn {
    Over(Report),
    Late,
}

impl Memory {
    /// The status that a Channel has: what the operator wrote last, for what the watch shows may be older.
    pub(crate) fn status(&self, there: &Status) -> Status {
        let written = self.status.as_ref().map(|(status, _)| status);
        written.unwrap_or(there).clone()
    }

    /// Whether a status is to be written now, where the API has this one `there`: also if that is not what was written, and can no longer
    /// be an older one. Whoever held the Lease before may have written late.
    pub(crate) fn is_due(
        &self,
        before: &Status,
        after: &Status,
        there: &Status,
        now: Instant,
    ) -> bool {
        match change(before, after) {
            Change::None => self.status.as_ref().is_some_and(|(status, at)| {
                now.duration_since(*at) >= SEEN && in_order(status) != in_order(there)
            }),
            Change::Words => true,
            Change::Numbers => {
                let written = self.status.as_ref().map(|(_, at)| *at);
                written.is_none_or(|at| now.duration_since(at) >= NUMBERS)
            }
        }
    }

    pub(crate) fn written(&mut self, status: Status, now: Instant) {
        self.status = Some((status, now));
    }

    /// For how long its deletion is known: not since it was deleted, for nobody may have been there to see it.
    pub(crate) fn deleted_for(&mut self, subject: &Subject, now: Timestamp) -> SignedDuration {
        if !subject.is_deleted {
            return SignedDuration::ZERO;
        }
        now.duration_since(*self.deleted.get_or_insert(now))
    }

    /// Follows a switch, from the moment at which it was `noticed`.
    pub(crate) fn follow(
        &mut self,
        subject: &Subject,
        observed: &Observed,
        before: &Status,
        noticed: Timestamp,
    ) -> Option<Turn> {
        let mode = observed.accepted()?.spec.mode;
        let pods = observed.participants.as_deref()?;
        let did = self.mode.replace(mode).or(match before.mode {
            Some(StatusMode::Sync) => Some(Mode::Sync),
            Some(StatusMode::Async) => Some(Mode::Async),
            Some(StatusMode::Switching | StatusMode::Unknown) | None => None,
        });
        if did.is_some_and(|did| did != mode) {
            self.switch = Some(Switch::begin(subject, mode, &self.pods, noticed));
            self.told_late = false;
        }
        self.pods = pods.to_vec();
        let switch = self.switch.as_mut()?;
        if let Some(report) = switch.observe(subject, pods, observed.at) {
            self.switch = None;
            return Some(Turn::Over(report));
        }
        let is_late = switch.is_late(observed.at) && !self.told_late;
        self.told_late |= is_late;
        is_late.then_some(Turn::Late)
    }

    /// What was lost and is repaired since the last look: how many events, and by what the last were taken for lost. Of a pod's first look
    /// it is not known when that was.
    pub(crate) fn repaired(
        &mut self,
        subject: &Subject,
        observed: &Observed,
    ) -> Option<(u64, String)> {
        let pods = observed.participants.as_deref()?;
        let (mut events, mut last) = (0, None);
        for pod in pods {
            let Some(told) = pod.told(subject).filter(|_| pod.is_sender()) else {
                continue; // what it said before is not forgotten
            };
            let repaired = told.repaired.clone().unwrap_or_default();
            let before = self.repaired.insert(pod.pod.clone(), repaired.events);
            // A process that began anew counts from zero.
            let more = before.map_or(0, |before| match repaired.events >= before {
                true => repaired.events - before,
                false => repaired.events,
            });
            if more > 0 {
                events += more;
                last = Some(repaired.why);
            }
        }
        self.repaired
            .retain(|name, _| pods.iter().any(|pod| pod.pod == *name));
        Some((events, last?))
    }

    /// When to look again.
    pub(crate) fn next(&mut self, subject: &Subject, status: &Status, now: Instant) -> Duration {
        self.failures = 0;
        let since = match self.generation {
            Some((generation, since)) if generation == subject.generation => since,
            _ => {
                self.generation = Some((subject.generation, now));
                now
            }
        };
        let pods = status.participants.as_ref();
        let all_follow = pods.is_none_or(|pods| pods.diverging.is_empty());
        if !all_follow && now.duration_since(since) < CLOSELY {
            FOLLOWING
        } else if self.switch.is_some() || subject.is_deleted {
            UNDER_WAY
        } else {
            REST
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// How long to wait after the attempts that failed.
    pub(crate) fn backoff(&self) -> Duration {
        let (first, most) = BACKOFF;
        let doublings = self.failures.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(most)
    }
}

/// The status with its lists in one order: the API keeps them by their keys, in an order of its own.
fn in_order(status: &Status) -> Status {
    let mut status = status.clone();
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    if let Some(pods) = &mut status.participants {
        pods.diverging.sort_by(|a, b| a.pod.cmp(&b.pod));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, done, observed, subject, told};
    use crate::participants::ToldRepaired;
    use crate::status::status;

    #[test]
    fn pods_are_watched_closely_for_a_minute_after_a_change() {
        let mut lagging = observed(at(0));
        told(&mut lagging.participants.as_mut().unwrap()[0]).observed_generation = Some(2);
        let lags = status(&subject(), &lagging, &done(), &Status::default());
        let follows = status(&subject(), &observed(at(0)), &done(), &Status::default());
        let mut memory = Memory::default();
        let start = Instant::now();
        let mut next = |generation, status, seconds| {
            let subject = Subject {
                generation,
                ..subject()
            };
            memory.next(&subject, status, start + Duration::from_secs(seconds))
        };
        assert_eq!(next(3, &lags, 0), FOLLOWING);
        assert_eq!(next(3, &follows, 1), REST);
        assert_eq!(next(3, &lags, 59), FOLLOWING);
        assert_eq!(next(3, &lags, 60), REST);
        assert_eq!(next(4, &lags, 61), FOLLOWING);
    }

    #[test]
    fn loss_that_is_repaired_is_told_as_it_grows_and_not_for_what_was_before_the_first_look() {
        let mut memory = Memory::default();
        let mut looks = |events: u64| {
            let mut observed = observed(at(0));
            let pods = observed.participants.as_mut().unwrap();
            told(pods.iter_mut().find(|pod| pod.is_sender()).unwrap()).repaired =
                Some(ToldRepaired {
                    events,
                    why: "the stream was made anew".to_owned(),
                });
            let told = memory.repaired(&subject(), &observed);
            told.map(|(events, why)| format!("{events}: {why}"))
        };
        let some = |events| Some(format!("{events}: the stream was made anew"));
        assert_eq!(looks(7), None);
        assert_eq!(looks(7), None);
        assert_eq!(looks(12), some(5));
        // Its process began anew.
        assert_eq!(looks(2), some(2));
        let mut silent = observed(at(0));
        silent.participants = Some(Vec::new());
        assert_eq!(memory.repaired(&subject(), &silent), None);
    }

    #[test]
    fn numbers_alone_wait_for_five_seconds() {
        let before = status(&subject(), &observed(at(0)), &done(), &Status::default());
        let after = Status {
            unacknowledged: Some(7),
            ..before.clone()
        };
        let start = Instant::now();
        let mut memory = Memory::default();
        assert!(memory.is_due(&before, &after, &before, start));
        memory.written(before.clone(), start);
        let due = |after: &Status, seconds| {
            let now = start + Duration::from_secs(seconds);
            memory.is_due(&before, after, &before, now)
        };
        assert!(!due(&after, 4) && due(&after, 5) && !due(&before, 60));
        assert!(due(
            &Status {
                mode: Some(StatusMode::Switching),
                ..after.clone()
            },
            0
        ));
    }

    #[test]
    fn a_status_that_another_wrote_over_is_put_right() {
        let ours = status(&subject(), &observed(at(0)), &done(), &Status::default());
        let others = Status {
            mode: Some(StatusMode::Sync),
            ..ours.clone()
        };
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.written(ours.clone(), start);
        for (there, seconds, is_due) in
            [(&others, 9, false), (&others, 10, true), (&ours, 60, false)]
        {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(memory.is_due(&ours, &ours, there, now), is_due, "{seconds}");
        }
    }

    #[test]
    fn a_switch_is_noticed_by_the_mode_asked_for_also_after_a_restart() {
        let was = |mode| Status {
            mode: Some(mode),
            ..Status::default()
        };
        for (mode, is_switch) in [
            (StatusMode::Sync, true),
            (StatusMode::Async, false),
            (StatusMode::Unknown, false),
        ] {
            let mut memory = Memory::default();
            assert!(
                memory
                    .follow(&subject(), &observed(at(0)), &was(mode), at(0))
                    .is_none()
            );
            assert_eq!(memory.switch.is_some(), is_switch, "{mode:?}");
            let over = memory.follow(&subject(), &observed(at(3)), &was(mode), at(3));
            assert_eq!(matches!(over, Some(Turn::Over(_))), is_switch);
        }
    }

    #[test]
    fn what_fails_is_tried_again_ever_more_rarely() {
        let mut memory = Memory::default();
        let mut waits = Vec::new();
        for _ in 0..10 {
            memory.failed();
            waits.push(memory.backoff().as_millis());
        }
        assert_eq!(
            waits,
            [
                200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000
            ]
        );
    }
}
