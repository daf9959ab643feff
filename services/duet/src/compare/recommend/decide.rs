//! From the criteria to a recommendation.

use super::{
    Answers,
    cited::{Cited, Nearly, Sentence, say},
    criteria::{Criterion, Fits, Name},
};
use crate::compare::{
    claims::{ENOUGH, Noticed, Peak, RECEIVER_AWAY, View, noticed, peak, same, slowed},
    measured::{Measured, PreferWait, Quantiles, Traffic},
    printed::{PerSecond, Share},
};
use duet_crd::Mode;
use serde::Serialize;

/// From this share on a `Prefer: wait` is worth asking for.
const WORTH_WAITING: f64 = 0.95;

/// What is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Choice {
    /// Sync.
    Sync,
    /// Async.
    Async,
    /// Async, and callers that want the answer say `Prefer: wait`.
    AsyncWithWait,
    /// Sync, and a share of the pairs in Async to try it.
    Canary,
    /// Either: they don't differ in what matters here.
    Either,
    /// Nothing can be recommended from this run.
    TooLittleData,
}

impl Choice {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Sync => "Sync",
            Self::Async => "Async",
            Self::AsyncWithWait => "Async, with Prefer: wait where a caller wants the answer",
            Self::Canary => "Sync, with a canary of Async to try it",
            Self::Either => "Either: keep what you have",
            Self::TooLittleData => "None: too little data",
        }
    }
}

/// What is recommended, and why.
pub(super) fn decide(
    measured: &Measured,
    answers: &Answers,
    criteria: &[Criterion],
) -> (Choice, Vec<Sentence>) {
    let healthy = match healthy(measured) {
        Ok(healthy) => healthy,
        Err(why) => return (Choice::TooLittleData, vec![why]),
    };
    if let Some(unsound) = unsound(measured) {
        return unsound;
    }
    let (fits, because) = (
        |name| found(criteria, name).is_some_and(|it| it.fits == Fits::Yes),
        |name| found(criteria, name).and_then(|it| it.because.clone()),
    );
    let reasons = |names: &[Name]| {
        names
            .iter()
            .filter_map(|name| because(*name))
            .collect::<Vec<_>>()
    };
    let needed = fits(Name::NeedsAnswer);

    // A job that no deadline holds can't be answered within one, whoever needs the answer.
    if fits(Name::LongJob) {
        let (choice, asked) = match needed {
            true => (Choice::AsyncWithWait, Name::NeedsAnswer),
            false => (Choice::Async, Name::DelayOkay),
        };
        return (choice, reasons(&[Name::LongJob, asked]));
    }
    if needed {
        let asked = found(criteria, Name::NeedsAnswer).is_some_and(|it| it.assumed);
        return match (asked, worth_waiting(measured)) {
            // Nobody said so: then the answer can be had in Async too, by who asks for it, if it comes in time.
            (true, Some(wait)) if fits(Name::DelayOkay) => {
                let mut why = reasons(&[Name::NeedsAnswer]);
                why.push(wait);
                (Choice::AsyncWithWait, why)
            }
            _ => (
                Choice::Sync,
                reasons(&[Name::NeedsAnswer, Name::LittleTime]),
            ),
        };
    }
    if fits(Name::RealTime) {
        return (Choice::Sync, reasons(&[Name::RealTime, Name::LittleTime]));
    }
    let Some(Criterion {
        fits: Fits::Yes, ..
    }) = found(criteria, Name::DelayOkay)
    else {
        return (Choice::TooLittleData, vec![undecided(criteria)]);
    };

    // A delay is okay: what does it buy?
    let mut gains = Vec::new();
    gains.extend(
        fits(Name::SeveralServices)
            .then(|| because(Name::SeveralServices))
            .flatten(),
    );
    gains.extend(gain_in_waits(&healthy));
    gains.extend(gain_when_slow(measured));
    gains.extend(gain_in_outages(measured));
    gains.extend(gain_in_surges(measured));
    if gains.is_empty() {
        return (Choice::Either, vec![healthy.sentence()]);
    }
    let said = answers.needs_answer.is_some() && answers.acceptable_delay.is_some();
    let (choice, why) = match said || already(measured) == Some(Mode::Async) {
        true => (
            Choice::Async,
            reasons(&[Name::NeedsAnswer, Name::DelayOkay]),
        ),
        // It rests on what was assumed: tried on a few before it is done to all.
        false => (
            Choice::Canary,
            reasons(&[Name::DelayOkay, Name::NeedsAnswer]),
        ),
    };
    gains.extend(why);
    (choice, gains)
}

fn found(criteria: &[Criterion], name: Name) -> Option<&Criterion> {
    criteria.iter().find(|it| it.name == name)
}

/// Why it can't be told whether a delay is okay.
fn undecided(criteria: &[Criterion]) -> Sentence {
    let why = match found(criteria, Name::DelayOkay).map(|it| &it.fits) {
        Some(Fits::Unknown(why)) => why.as_str(),
        _ => "not measured",
    };
    say("It can't be told how late owners see it in Async: ")
        .figure(Cited::word("measured/scenarios/baseline/async", why))
        .say(".")
}

/// The mode of the Channel before the run.
fn already(measured: &Measured) -> Option<Mode> {
    duet_crd::Channel::from_yaml(&measured.channel)
        .ok()
        .map(|it| it.spec.mode)
}

/// What callers of the healthy pair wait, by mode.
#[derive(Debug)]
struct Healthy {
    sync: Quantiles,
    r#async: Quantiles,
}

impl Healthy {
    fn sentence(&self) -> Sentence {
        say("Callers of the healthy pair wait ")
            .figure(Cited::time(waits("sync"), self.sync.p50))
            .say(" in Sync and ")
            .figure(Cited::time(waits("async"), self.r#async.p50))
            .say(" in Async (medians).")
    }
}

fn waits(mode: &str) -> String {
    format!("measured/scenarios/baseline/{mode}/traffic/waits/p50Ms")
}

/// Both modes of the healthy pair; without it nothing is recommended.
fn healthy(measured: &Measured) -> Result<Healthy, Sentence> {
    let waited = |mode, name: &str| {
        let at = format!("measured/scenarios/baseline/{name}");
        let none = |why: &str| {
            say(format!("The healthy pair in {mode:?}: "))
                .figure(Cited::word(&at, why))
                .say(".")
        };
        let traffic = &View::new(measured, mode)
            .baseline()
            .map_err(|why| none(&why))?
            .traffic;
        match traffic.waits.get() {
            Err(why) => Err(none(why)),
            Ok(waits) if waits.samples < ENOUGH => {
                Err(say(format!("The healthy pair in {mode:?} answered "))
                    .figure(Cited::count(
                        format!("{at}/traffic/waits/samples"),
                        waits.samples,
                    ))
                    .say(format!(
                        " requests: fewer than {ENOUGH} are too few to recommend anything."
                    )))
            }
            Ok(waits) => Ok(*waits),
        }
    };
    Ok(Healthy {
        sync: waited(Mode::Sync, "sync")?,
        r#async: waited(Mode::Async, "async")?,
    })
}

/// A mode that loses what it accepted, with nothing wrong, is not recommended, whatever speaks for it.
fn unsound(measured: &Measured) -> Option<(Choice, Vec<Sentence>)> {
    let lost = |mode, name: &str| {
        let traffic: &Traffic = &View::new(measured, mode).baseline().ok()?.traffic;
        let lost = *traffic.lost.get().ok()?;
        let why = say(format!("In {mode:?} "))
            .figure(Cited::count(format!("measured/scenarios/baseline/{name}/traffic/lost"), lost))
            .say(" accepted reactions did not come to their owners though nothing was wrong: mend that first.");
        (lost > 0).then_some(why)
    };
    match (lost(Mode::Sync, "sync"), lost(Mode::Async, "async")) {
        (None, None) => None,
        (None, Some(why)) => Some((Choice::Sync, vec![why])),
        (Some(why), None) => Some((Choice::Async, vec![why])),
        (Some(one), Some(other)) => Some((Choice::TooLittleData, vec![one, other])),
    }
}

/// Whether an answer comes in time in Async for nearly all who ask for it.
fn worth_waiting(measured: &Measured) -> Option<Sentence> {
    let consistency = View::new(measured, Mode::Async)
        .of(|it| &it.consistency)
        .ok()?;
    let PreferWait {
        asked,
        writes,
        delivered,
        ..
    } = consistency.prefer_wait.get().ok()?;
    let share = Share {
        part: *delivered,
        whole: *writes,
    };
    let at = |field| format!("measured/scenarios/consistency/async/preferWait/{field}");
    (*writes >= ENOUGH && share.of_one() >= WORTH_WAITING).then(|| {
        say("Of the writes that said `Prefer: wait` for ")
            .figure(Cited::time(at("askedMs"), *asked))
            .say(", ")
            .figure(Cited::share(at("delivered"), share))
            .say(" had the receipt in time in Async.")
    })
}

fn gain_in_waits(healthy: &Healthy) -> Option<Sentence> {
    let Healthy { sync, r#async } = healthy;
    (r#async.p50 < sync.p50 && !same(sync.p50, r#async.p50)).then(|| healthy.sentence())
}

fn gain_when_slow(measured: &Measured) -> Option<Sentence> {
    let growth = |mode| slowed(View::new(measured, mode)).ok();
    let (sync, asynchronous) = (growth(Mode::Sync)?, growth(Mode::Async)?);
    let steps = &measured.scenarios.slow.sync.get().ok()?.steps;
    let (last, slowest) = (steps.len().checked_sub(1)?, steps.last()?.delay);
    let at = |mode, field| format!("measured/scenarios/slow/{mode}/steps/{last}/{field}");
    (!same(sync.after, asynchronous.after) && asynchronous.after < sync.after).then(|| {
        say("With the receiver slower by ")
            .figure(Cited::time(at("sync", "delayMs"), slowest))
            .say(", callers wait ")
            .figure(Cited::time(
                at("sync", "traffic/waitsOfAll/p50Ms"),
                sync.after,
            ))
            .say(" in Sync and ")
            .figure(Cited::time(
                at("async", "traffic/waitsOfAll/p50Ms"),
                asynchronous.after,
            ))
            .say(" in Async.")
    })
}

fn gain_in_outages(measured: &Measured) -> Option<Sentence> {
    let [_, absent, _] = RECEIVER_AWAY;
    let failed = |mode| {
        let Noticed { failed, lost, .. } = noticed(View::new(measured, mode), [absent]).ok()?;
        failed.first().map(|(_, share)| (*share, lost))
    };
    let ((sync, _), (asynchronous, lost)) = (failed(Mode::Sync)?, failed(Mode::Async)?);
    let at = |mode, field| format!("measured/scenarios/absent/{mode}/traffic/{field}");
    (asynchronous.of_one() < sync.of_one() && lost == 0).then(|| {
        say("With the receiver absent, ")
            .figure(Cited::share(at("sync", "failed"), sync))
            .say(" of the requests failed in Sync and ")
            .figure(Cited::share(at("async", "failed"), asynchronous))
            .say(" in Async, where ")
            .figure(Cited::count(at("async", "lost"), lost))
            .say(" were lost.")
    })
}

fn gain_in_surges(measured: &Measured) -> Option<Sentence> {
    let stood = |mode| peak(View::new(measured, mode)).ok();
    let (sync, asynchronous): (Peak, Peak) = (stood(Mode::Sync)?, stood(Mode::Async)?);
    let at = |mode, name: &str, rate: PerSecond| {
        let steps = &View::new(measured, mode).of(|it| &it.surge).ok()?.steps;
        let nth = steps
            .iter()
            .position(|it| it.traffic.per_second == rate.0)?;
        let at = format!("measured/scenarios/surge/{name}/steps/{nth}/traffic/perSecond");
        Some(Cited::rate(at, rate))
    };
    (asynchronous.held.0 > sync.held.0).then_some(())?;
    Some(
        say("With a receiver that takes ")
            .figure(Cited::rate(
                "measured/scenarios/surge/async/capPerSecond",
                asynchronous.cap,
            ))
            .say(", callers are served as before up to ")
            .figure(at(Mode::Sync, "sync", sync.held)?)
            .say(" in Sync and ")
            .figure(at(Mode::Async, "async", asynchronous.held)?)
            .say(" in Async."),
    )
}

/// What nearly all callers of the healthy pair wait in Sync.
pub(super) fn healthy_call(measured: &Measured) -> Option<Nearly> {
    let Healthy { sync, .. } = healthy(measured).ok()?;
    Some(Nearly::all(
        "measured/scenarios/baseline/sync/traffic/waits",
        &sync,
    ))
}
