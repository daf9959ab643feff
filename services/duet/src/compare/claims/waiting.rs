//! What callers wait for: the receiver's own time, and that of a second one.

use super::{
    Judged,
    rules::{MOVES_ON, WAITS, least},
    view::{View, Weighed, did_not_hold, held, in_part, weigh},
};
use crate::compare::{
    measured::{Measured, Quantiles, Traffic},
    printed::Time,
};
use duet_crd::Mode;
use std::{fmt, time::Duration};

/// What callers wait when a receiver takes longer by `added`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Growth {
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    pub(crate) added: Duration,
}

impl Growth {
    /// Of medians of all answers: a failure was waited for too.
    fn between(before: &Traffic, after: &Traffic, added: Duration) -> Result<Self, String> {
        let median = |traffic: &Traffic| {
            least(&traffic.waits_of_all, "callers' waits").map(|Quantiles { p50, .. }| *p50)
        };
        if added.is_zero() {
            return Err("nothing was added to the receiver's time".to_owned());
        }
        Ok(Self {
            before: median(before)?,
            after: median(after)?,
            added,
        })
    }

    /// The share of what was added that callers paid.
    pub(crate) fn paid(self) -> f64 {
        self.after.saturating_sub(self.before).as_secs_f64() / self.added.as_secs_f64()
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            before,
            after,
            added,
        } = *self;
        write!(
            f,
            "callers' median {} → {} with the receiver slower by {}",
            Time(before),
            Time(after),
            Time(added)
        )
    }
}

/// What callers pay of what the receiver takes longer, from its fastest step to its slowest.
pub(crate) fn slowed(view: View<'_>) -> Result<Growth, String> {
    let steps = &view.of(|it| &it.slow)?.steps;
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) => {
            let added = last.delay.saturating_sub(first.delay);
            Growth::between(&first.traffic, &last.traffic, added)
        }
        _ => Err("the receiver was not slowed".to_owned()),
    }
}

/// What callers pay of a slow second receiver.
pub(crate) fn joined(view: View<'_>) -> Result<Growth, String> {
    let joined = view.of(|it| &it.second_receiver)?;
    let with_slow = joined.with_slow.get()?;
    Growth::between(&joined.alone, with_slow, joined.slow_by)
}

pub(super) fn blocked(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.slow).into();
    weigh(measured, Mode::Sync, [done], slowed, |sync, other| {
        let asynchronous = match other {
            Ok(growth) => format!("{} in Async", paid(*growth)),
            Err(_) => "Async was not measured".to_owned(),
        };
        let because = format!(
            "Of {} that Notification took longer, callers in Sync paid {}; {asynchronous}.",
            Time(sync.added),
            paid(*sync)
        );
        match sync.paid() {
            WAITS.. => held(because),
            ..=MOVES_ON => did_not_hold(because),
            _ => in_part(because),
        }
    })
}

pub(super) fn moves_on(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.slow).into();
    weigh(measured, Mode::Async, [done], slowed, |asynchronous, _| {
        spared(*asynchronous, "Notification took longer")
    })
}

pub(super) fn several(measured: &Measured) -> Judged {
    let done = (&measured.scenarios.second_receiver).into();
    weigh(
        measured,
        Mode::Async,
        [done],
        joined,
        |asynchronous, sync| {
            let sync = sync?;
            let because = format!(
                "Of {} that a second receiver took, callers paid {} in Sync and {} in Async.",
                Time(asynchronous.added),
                paid(*sync),
                paid(*asynchronous)
            );
            match (sync.paid() >= WAITS, asynchronous.paid() <= MOVES_ON) {
                (true, true) => held(because),
                (false, true) | (true, false) if asynchronous.paid() < WAITS => in_part(because),
                _ => did_not_hold(because),
            }
        },
    )
}

/// Whether callers are spared what was added.
fn spared(growth: Growth, what: &str) -> Weighed {
    let because = format!(
        "Of {} that {what}, callers paid {}.",
        Time(growth.added),
        paid(growth)
    );
    match growth.paid() {
        ..=MOVES_ON => held(because),
        WAITS.. => did_not_hold(because),
        _ => in_part(because),
    }
}

fn paid(growth: Growth) -> String {
    match growth.after.saturating_sub(growth.before) {
        Duration::ZERO => "nothing".to_owned(),
        paid => format!("{} ({:.0} %)", Time(paid), growth.paid() * 100.0),
    }
}
