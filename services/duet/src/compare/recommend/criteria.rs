//! The essay's seven criteria: three for the synchronous mode, four for the asynchronous one.

use super::{
    Answers,
    cited::{Cited, Nearly, Sentence, say},
};
use crate::compare::{
    claims::{ENOUGH, OKAY_DELAY, View, least, retries},
    measured::Measured,
    printed::{Share, Time},
};
use duet_crd::Mode;
use serde::Serialize;
use std::time::Duration;

/// A receiver's p99 up to which it "takes less time to compute and respond": nobody notices it.
const LITTLE: Duration = Duration::from_millis(100);
/// From this part of the deadline on a job is long: one in a hundred is near to failing for its length alone.
const LONG_PART: u32 = 2;
/// From this share on answers are said to differ: what most of them say can't be assumed then.
const VARIED: f64 = 0.05;

/// Which of the seven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Name {
    NeedsAnswer,
    RealTime,
    LittleTime,
    DelayOkay,
    LongJob,
    SeveralServices,
    MayRetry,
}

/// One of the seven, held against this pair.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Criterion {
    pub(crate) name: Name,
    /// The mode that it speaks for.
    pub(crate) of: Mode,
    /// The essay's words.
    pub(crate) words: &'static str,
    pub(crate) fits: Fits,
    /// Whether it rests on something that only the user knows and did not say.
    pub(crate) assumed: bool,
    /// Why; none where there is too little data, which [`Fits::Unknown`] then tells.
    pub(crate) because: Option<Sentence>,
}

/// Whether a criterion fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fits {
    Yes,
    No,
    /// There is too little data: why.
    Unknown(String),
}

/// What was found of a criterion: whether it fits, whether that is assumed, and why.
type Found = Result<(bool, bool, Sentence), String>;

/// All seven, in the essay's order.
pub(super) fn all(measured: &Measured, answers: &Answers) -> Vec<Criterion> {
    let criterion = |name, of, words, found: Found| {
        let (fits, assumed, because) = match found {
            Ok((true, assumed, why)) => (Fits::Yes, assumed, Some(why)),
            Ok((false, assumed, why)) => (Fits::No, assumed, Some(why)),
            Err(why) => (Fits::Unknown(why), false, None),
        };
        Criterion {
            name,
            of,
            words,
            fits,
            assumed,
            because,
        }
    };
    let fresh = fresh(measured, answers);
    // Two sides of one figure: what is late for one is in time for the other.
    let real_time = fresh
        .clone()
        .map(|(okay, assumed, why)| (!okay, assumed, why));
    vec![
        criterion(
            Name::NeedsAnswer,
            Mode::Sync,
            "When you cannot proceed without a response from the other service",
            needs_answer(measured, answers),
        ),
        criterion(
            Name::RealTime,
            Mode::Sync,
            "When you want real-time responses",
            real_time,
        ),
        criterion(
            Name::LittleTime,
            Mode::Sync,
            "When it takes less time to compute and respond",
            little_time(measured),
        ),
        criterion(
            Name::DelayOkay,
            Mode::Async,
            "When delay in processing is okay",
            fresh,
        ),
        criterion(
            Name::LongJob,
            Mode::Async,
            "When the job at hand is long-running and takes time to execute",
            long_job(measured),
        ),
        criterion(
            Name::SeveralServices,
            Mode::Async,
            "When multiple services need to react to the same event",
            several(measured),
        ),
        criterion(
            Name::MayRetry,
            Mode::Async,
            "When it is okay for the processing to fail and you are allowed to retry",
            may_retry(measured, answers),
        ),
    ]
}

fn needs_answer(measured: &Measured, answers: &Answers) -> Found {
    if let Some(needed) = answers.needs_answer {
        let said = if needed { "yes" } else { "no" };
        let why = say("You said whether callers need the answer: ")
            .figure(Cited::word("answers/needsAnswer", said))
            .say(".");
        return Ok((needed, false, why));
    }
    let baseline = View::new(measured, Mode::Sync).baseline()?;
    let whole: u64 = baseline.outcomes.values().sum();
    let most = baseline.outcomes.iter().max_by_key(|(_, times)| **times);
    let Some((word, most)) = most.filter(|_| whole >= ENOUGH) else {
        return Err(format!(
            "{whole} answers told a decision, fewer than {ENOUGH}"
        ));
    };
    let same = Share { part: *most, whole };
    let varied = 1.0 - same.of_one() >= VARIED;
    let verdict = match varied {
        true => {
            "`: a caller can't know it without asking. Assumed to be needed; say `--needs-answer no` if it is not."
        }
        false => {
            "`: under this load a caller learns little from it. Assumed not to be needed; say `--needs-answer` if it is."
        }
    };
    let why = say("Of the answers in Sync, ")
        .figure(Cited::share(
            format!("measured/scenarios/baseline/sync/outcomes/{word}"),
            same,
        ))
        .say(format!(" said `{word}{verdict}"));
    Ok((varied, true, why))
}

/// Whether the delay that Async has is okay.
fn fresh(measured: &Measured, answers: &Answers) -> Found {
    let fresh = View::new(measured, Mode::Async)
        .baseline()?
        .traffic
        .freshness
        .get();
    let took = fresh
        .map_err(|why| format!("freshness in Async: {why}"))?
        .took;
    if took.samples < ENOUGH {
        let few = took.samples;
        return Err(format!(
            "freshness in Async: {few} samples, fewer than {ENOUGH}"
        ));
    }
    let Nearly { time, tail, cited } =
        Nearly::all("measured/scenarios/baseline/async/traffic/freshness", &took);
    let why = say("In Async owners saw it within ")
        .figure(cited)
        .say(format!(" ({tail})"));
    Ok(match answers.acceptable_delay.map(Duration::from) {
        Some(okay) => {
            let why = why
                .say("; you said that ")
                .figure(Cited::time("answers/acceptableDelay", okay))
                .say(" is okay.");
            (time <= okay, false, why)
        }
        None => {
            let why = why.say(format!(
                "; {} is assumed to be okay, say `--acceptable-delay` for another.",
                Time(OKAY_DELAY)
            ));
            (time <= OKAY_DELAY, true, why)
        }
    })
}

fn little_time(measured: &Measured) -> Found {
    let Nearly { time, tail, cited } = receiver_took(measured)?;
    let why = say("The receiver's own work takes ")
        .figure(cited)
        .say(format!(" ({tail}); little is up to {}.", Time(LITTLE)));
    Ok((time <= LITTLE, false, why))
}

/// The receiver's own time for nearly every call.
pub(super) fn receiver_took(measured: &Measured) -> Result<Nearly, String> {
    let baseline = View::new(measured, Mode::Sync).baseline()?;
    let took = least(&baseline.receiver_took, "the receiver's own work")?;
    Ok(Nearly::all(
        "measured/scenarios/baseline/sync/receiverTook",
        took,
    ))
}

fn long_job(measured: &Measured) -> Found {
    let deadline = measured.terms.deadline;
    let Nearly { time, tail, cited } = receiver_took(measured)?;
    let why = say("The receiver's own work takes ")
        .figure(cited)
        .say(format!(" ({tail}); long is half of the deadline of "))
        .figure(Cited::time("measured/terms/deadlineMs", deadline))
        .say(" or more.");
    Ok((time >= deadline / LONG_PART, false, why))
}

fn several(measured: &Measured) -> Found {
    let receivers = &measured.terms.receivers;
    let count = receivers.len() as u64;
    let why = say("The Channel has ")
        .figure(Cited::count("measured/terms/receivers", count))
        .say(match count {
            1 => format!(" receiver, {}.", receivers.join(", ")),
            _ => format!(" receivers: {}.", receivers.join(", ")),
        });
    Ok((count > 1, false, why))
}

fn may_retry(measured: &Measured, answers: &Answers) -> Found {
    if let Some(allowed) = answers.may_retry {
        let said = if allowed { "yes" } else { "no" };
        let why = say("You said whether the receiver may fail and do it later: ")
            .figure(Cited::word("answers/mayRetry", said))
            .say(".");
        return Ok((allowed, false, why));
    }
    let failing = retries(View::new(measured, Mode::Async))?;
    if failing.parked == 0 {
        return Err("no event failed at first".to_owned());
    }
    let healed = failing.left == 0 && failing.lost == 0;
    let why = say("In Async up to ")
        .figure(Cited::count("measured/scenarios/failing/async/parked", failing.parked))
        .say(" events that failed were parked at once, and ")
        .figure(Cited::count("measured/scenarios/failing/async/left", failing.left))
        .say(match healed {
            true => " of them left by the retries. Assumed to be allowed; say `--may-retry no` if it is not.",
            false => " of them left by the retries: they would have to be looked after.",
        });
    Ok((healed, true, why))
}
