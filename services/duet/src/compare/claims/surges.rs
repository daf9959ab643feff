//! More than the receiver takes: up to which rate callers are served as before, and what becomes of the rest.

use super::{
    Judged,
    rules::{FEW, MANY, Tail, holds, least},
    view::{Done, View, did_not_hold, failed, held, in_part, weigh},
};
use crate::compare::{
    measured::{Measured, SurgeStep},
    printed::{Count, PerSecond, Share, Time},
};
use duet_crd::Mode;
use std::{fmt, time::Duration};

/// Up to which rate callers were served as at the lowest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peak {
    pub(crate) cap: PerSecond,
    /// The highest rate at which they were.
    pub(crate) held: PerSecond,
    /// The highest that was offered.
    pub(crate) offered: PerSecond,
    /// What happened one step above `held`.
    pub(crate) broke: Option<Broke>,
    /// From the last request until nothing waited.
    pub(crate) drained: Option<Duration>,
}

/// A rate at which callers were not served as before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broke {
    at: PerSecond,
    tail: Tail,
    waited: Duration,
    failed: Share,
}

impl Peak {
    /// Whether callers were served at every rate.
    pub(crate) fn held_throughout(&self) -> bool {
        self.broke.is_none()
    }
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            tail,
            waited,
            failed,
        } = self;
        write!(f, "at {at} {tail} {} and {failed} failed", Time(*waited))
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            held,
            cap,
            broke,
            drained,
            ..
        } = self;
        write!(
            f,
            "served as before up to {held} (the receiver takes {cap})"
        )?;
        if let Some(broke) = broke {
            write!(f, "; {broke}")?;
        }
        match drained {
            Some(drained) if !drained.is_zero() => write!(f, "; drained {} later", Time(*drained)),
            _ => Ok(()),
        }
    }
}

/// The peak that this mode stood. There must have been one: a rate above what the receiver takes.
pub(crate) fn peak(view: View<'_>) -> Result<Peak, String> {
    let surge = view.of(|it| &it.surge)?;
    let cap = f64::from(surge.cap_per_second);
    let (first, last) = match &surge.steps[..] {
        [first, .., last] if last.traffic.per_second > cap => (first, last),
        _ => return Err("no rate above what the receiver takes was offered".to_owned()),
    };
    let waits = |step: &'_ SurgeStep| least(&step.traffic.waits_of_all, "callers' waits").copied();
    let all = surge
        .steps
        .iter()
        .map(waits)
        .collect::<Result<Vec<_>, _>>()?;
    let tail = Tail::of(&all);
    let before = tail.time(&waits(first)?);
    let mut peak = Peak {
        cap: PerSecond(cap),
        held: PerSecond(0.0),
        offered: PerSecond(last.traffic.per_second),
        broke: None,
        drained: surge.drained_after.get().ok().map(|it| it.time),
    };
    for (step, waits) in surge.steps.iter().zip(&all) {
        let (at, waited) = (PerSecond(step.traffic.per_second), tail.time(waits));
        let failed = failed(&step.traffic)?;
        if failed.of_one() > FEW || !holds(before, waited) {
            peak.broke = Some(Broke {
                at,
                tail,
                waited,
                failed,
            });
            break;
        }
        peak.held = at;
    }
    Ok(peak)
}

/// What became of requests over the whole surge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    sent: u64,
    failed: u64,
    lost: u64,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, failed, lost } = *self;
        write!(
            f,
            "of {} requests {} failed, {} lost",
            Count(sent),
            Count(failed),
            Count(lost)
        )
    }
}

fn kept(view: View<'_>) -> Result<Kept, String> {
    peak(view)?; // only a surge over the cap says something
    let steps = &view.of(|it| &it.surge)?.steps;
    let none = Kept {
        sent: 0,
        failed: 0,
        lost: 0,
    };
    steps.iter().try_fold(none, |kept, step| {
        let lost = step.traffic.lost.get();
        let lost = lost.map_err(|why| format!("what was lost: {why}"))?;
        Ok(Kept {
            sent: kept.sent + step.traffic.sent,
            failed: kept.failed + step.traffic.failures(),
            // It is counted over the whole surge, and each step tells it.
            lost: kept.lost.max(*lost),
        })
    })
}

fn done(measured: &Measured) -> [Done; 1] {
    [(&measured.scenarios.surge).into()]
}

pub(super) fn provisioned(measured: &Measured) -> Judged {
    weigh(
        measured,
        Mode::Sync,
        done(measured),
        peak,
        |sync, _| match &sync.broke {
            Some(broke) => held(format!(
                "With Notification taking {}, callers in Sync were served as before up to {}; {broke}.",
                sync.cap, sync.held
            )),
            None => did_not_hold(format!(
                "Callers in Sync were served as before up to {}, though Notification took {}.",
                sync.offered, sync.cap
            )),
        },
    )
}

pub(super) fn absorbed(measured: &Measured) -> Judged {
    weigh(
        measured,
        Mode::Async,
        done(measured),
        peak,
        |asynchronous, sync| {
            let sync = sync?;
            let because = format!(
                "Callers were served as before up to {} in Async and {} in Sync.",
                asynchronous.held, sync.held
            );
            match (
                asynchronous.held.0 > sync.held.0,
                asynchronous.held_throughout(),
            ) {
                (true, true) => held(because),
                (true, false) => in_part(because),
                (false, _) => did_not_hold(because),
            }
        },
    )
}

pub(super) fn unprovisioned(measured: &Measured) -> Judged {
    weigh(measured, Mode::Async, done(measured), peak, |peak, _| {
        let Peak {
            cap,
            held: highest,
            drained,
            broke,
            ..
        } = peak;
        match (broke, drained) {
            (None, Some(drained)) => held(format!(
                "A Notification for {cap} stood a peak of {highest}: callers noticed nothing, and it had caught up {} after it.",
                Time(*drained)
            )),
            (None, None) => in_part(format!(
                "Callers noticed nothing of a peak of {highest}; Notification, which takes {cap}, was not seen to catch up."
            )),
            (Some(broke), _) if highest.0 > cap.0 => in_part(format!(
                "Callers noticed nothing up to {highest}, above the {cap} that Notification takes; {broke}."
            )),
            (Some(broke), _) => did_not_hold(format!(
                "Callers noticed a peak over {highest}, with Notification taking {cap}: {broke}."
            )),
        }
    })
}

pub(super) fn none_dropped(measured: &Measured) -> Judged {
    weigh(
        measured,
        Mode::Async,
        done(measured),
        kept,
        |asynchronous, _| {
            let because = format!("Over the whole surge, {asynchronous}.");
            let failed = Share {
                part: asynchronous.failed,
                whole: asynchronous.sent,
            }
            .of_one();
            match (asynchronous.lost, asynchronous.failed) {
                (0, 0) => held(because),
                (0, _) if failed < MANY => in_part(because),
                _ => did_not_hold(because),
            }
        },
    )
}
