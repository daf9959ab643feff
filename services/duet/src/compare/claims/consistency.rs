//! What the answer tells, and what a reader sees after it.

use super::{
    Judged,
    rules::{ENOUGH, NEARLY_ALL, OKAY_DELAY, Tail, least, same},
    view::{View, did_not_hold, held, in_part, weigh},
};
use crate::compare::{
    measured::{Freshness, Measured, Reads},
    printed::{Share, Time},
};
use duet_crd::Mode;
use std::{fmt, time::Duration};

/// What was there when the caller was answered, and when the owner saw it.
#[derive(Debug, Clone, PartialEq)]
struct Instant {
    delivered: Share,
    fresh: Option<Freshness>,
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with the receiver when answered", self.delivered)?;
        match &self.fresh {
            Some(Freshness { took, .. }) => {
                let tail = Tail::of([took]);
                write!(
                    f,
                    "; seen by the owner p50 {}, {tail} {}",
                    Time(took.p50),
                    Time(tail.time(took))
                )
            }
            None => Ok(()),
        }
    }
}

pub(super) fn real_time(measured: &Measured) -> Judged {
    let instant = |view: View<'_>| {
        let traffic = &view.baseline()?.traffic;
        match traffic.succeeded() {
            few if few < ENOUGH => Err(format!("{few} successes, fewer than {ENOUGH}")),
            whole => Ok(Instant {
                delivered: Share {
                    part: traffic.delivered,
                    whole,
                },
                fresh: traffic.freshness.get().ok().copied(),
            }),
        }
    };
    let done = (&measured.scenarios.baseline).into();
    weigh(measured, Mode::Sync, [done], instant, |sync, other| {
        let compared = match (sync.fresh, other.map(|it| it.fresh)) {
            (Some(own), Ok(Some(other))) if same(own.took.p50, other.took.p50) => format!(
                " Owners saw it after {} (median), in Async after {}, which is as soon: here Async is real-time too.",
                Time(own.took.p50),
                Time(other.took.p50)
            ),
            (Some(own), Ok(Some(other))) => format!(
                " Owners saw it after {} (median), in Async after {}.",
                Time(own.took.p50),
                Time(other.took.p50)
            ),
            _ => String::new(),
        };
        let because = format!(
            "{} of the successes in Sync were with Notification when the caller was answered.{compared}",
            sync.delivered
        );
        match sync.delivered.of_one() {
            NEARLY_ALL.. => held(because),
            0.5.. => in_part(because),
            _ => did_not_hold(because),
        }
    })
}

pub(super) fn response(measured: &Measured) -> Judged {
    let known = |view: View<'_>| {
        let baseline = view.baseline()?;
        match baseline.traffic.succeeded() {
            few if few < ENOUGH => Err(format!("{few} successes, fewer than {ENOUGH}")),
            whole => Ok(Known(
                Share {
                    part: baseline.outcomes.values().sum::<u64>().min(whole),
                    whole,
                },
                baseline.outcomes.keys().cloned().collect(),
            )),
        }
    };
    let done = (&measured.scenarios.baseline).into();
    weigh(
        measured,
        Mode::Sync,
        [done],
        known,
        |Known(sync, _), other| {
            let Known(asynchronous, _) = other?;
            let because = format!(
                "{sync} of the answers in Sync told what Notification decided, {asynchronous} of those in Async."
            );
            match (sync.of_one(), asynchronous.of_one()) {
                (NEARLY_ALL.., ..0.01) => held(because),
                (own, other) if own > other => in_part(because),
                _ => did_not_hold(because),
            }
        },
    )
}

/// The share of answers that tell the receiver's decision, and the decisions.
#[derive(Debug, Clone, PartialEq)]
struct Known(Share, Vec<String>);

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of answers tell the decision", self.0)?;
        match self.1.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.1.join(", ")),
        }
    }
}

/// What callers wait, and what owners do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Delay {
    pub(crate) caller: Duration,
    pub(crate) owner: Freshness,
    pub(crate) lost: u64,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, owner, .. } = self;
        let tail = Tail::of([&owner.took]);
        write!(
            f,
            "callers p50 {}; owners p50 {}, {tail} {}",
            Time(*caller),
            Time(owner.took.p50),
            Time(tail.time(&owner.took))
        )
    }
}

pub(crate) fn delayed(view: View<'_>) -> Result<Delay, String> {
    let traffic = &view.baseline()?.traffic;
    let owner = traffic
        .freshness
        .get()
        .map_err(|why| format!("freshness: {why}"))?;
    match owner.took.samples {
        few if few < ENOUGH => Err(format!("freshness: {few} samples, fewer than {ENOUGH}")),
        _ => Ok(Delay {
            caller: least(&traffic.waits, "callers' waits")?.p50,
            owner: *owner,
            lost: *traffic
                .lost
                .get()
                .map_err(|why| format!("what was lost: {why}"))?,
        }),
    }
}

pub(super) fn delay(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.baseline).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        delayed,
        |asynchronous, sync| {
            let sync = sync?;
            let tail = Tail::of([&asynchronous.owner.took]);
            let late = tail.time(&asynchronous.owner.took);
            let because = format!(
                "Owners saw it within {} ({tail}) in Async; callers waited {} (median) instead of {} in Sync.",
                Time(late),
                Time(asynchronous.caller),
                Time(sync.caller)
            );
            let sooner =
                asynchronous.caller < sync.caller && !same(asynchronous.caller, sync.caller);
            match (asynchronous.lost, late <= OKAY_DELAY, sooner) {
                (1.., _, _) | (_, false, false) => did_not_hold(because),
                (0, true, true) => held(because),
                (0, true, false) => in_part(format!(
                    "{because} With a healthy receiver the delay buys callers little."
                )),
                (0, false, true) => {
                    in_part(format!("{because} That is over {}.", Time(OKAY_DELAY)))
                }
            }
        },
    )
}

/// How many reads right after the answer missed the write, and with its position.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stale {
    at_once: Share,
    with_position: Option<Share>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of reads at once were stale", self.at_once)?;
        match self.with_position {
            Some(share) => write!(f, "; with `Duet-Position` {share}"),
            None => Ok(()),
        }
    }
}

pub(super) fn eventual(measured: &Measured) -> Judged {
    let stale = |view: View<'_>| {
        let consistency = view.of(|it| &it.consistency)?;
        let share = |reads: &Reads| match reads.reads {
            few if few < ENOUGH => Err(format!("{few} reads, fewer than {ENOUGH}")),
            whole => Ok(Share {
                part: reads.stale,
                whole,
            }),
        };
        Ok(Stale {
            at_once: share(&consistency.at_once)?,
            with_position: consistency
                .with_position
                .get()
                .ok()
                .and_then(|it| share(it).ok()),
        })
    };
    let done = (&measured.scenarios.consistency).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        stale,
        |asynchronous, sync| {
            let mut because = format!(
                "{} of reads right after a 202 did not show the write",
                asynchronous.at_once
            );
            if let Ok(sync) = sync {
                because += &format!(", {} of those after an answer in Sync", sync.at_once);
            }
            if let Some(share) = asynchronous.with_position {
                because += &format!("; with `Duet-Position` {share}");
            }
            because.push('.');
            match (asynchronous.at_once.part, asynchronous.with_position) {
                (0, _) => did_not_hold(because),
                (_, Some(Share { part: 0, .. })) => {
                    in_part(format!("{because} Who asks for it reads what they wrote."))
                }
                _ => held(because),
            }
        },
    )
}
