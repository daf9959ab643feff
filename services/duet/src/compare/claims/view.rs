//! One mode of a run, and how a statement is weighed over both.

use super::{Judged, Judgement, Verdict, rules::ENOUGH};
use crate::compare::{
    measured::{Baseline, Figure, Measured, Scenario, Scenarios, Traffic},
    printed::Share,
};
use duet_crd::Mode;
use serde::Serialize;
use std::fmt;

/// One mode of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    measured: &'a Measured,
    pub(crate) mode: Mode,
}

impl<'a> View<'a> {
    pub(crate) fn new(measured: &'a Measured, mode: Mode) -> Self {
        Self { measured, mode }
    }

    /// What a scenario measured in this mode.
    pub(crate) fn of<T>(
        self,
        scenario: fn(&'a Scenarios) -> &'a Scenario<T>,
    ) -> Result<&'a T, String> {
        let scenario = scenario(&self.measured.scenarios);
        let figure: &'a Figure<T> = match self.mode {
            Mode::Sync => &scenario.sync,
            Mode::Async => &scenario.r#async,
        };
        figure.get().map_err(str::to_owned)
    }

    /// The healthy pair.
    pub(crate) fn baseline(self) -> Result<&'a Baseline, String> {
        self.of(|it| &it.baseline)
    }
}

/// The share of requests that failed, of enough.
pub(crate) fn failed(traffic: &Traffic) -> Result<Share, String> {
    match traffic.sent {
        sent if sent < ENOUGH => Err(format!("{sent} requests, fewer than {ENOUGH}")),
        whole => Ok(Share {
            part: traffic.failures(),
            whole,
        }),
    }
}

/// A scenario as a reader repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Done {
    /// The command that repeats it.
    pub(crate) command: String,
    /// What was done, without a full stop; empty where it was not run.
    pub(crate) done: String,
}

impl<T> From<&Scenario<T>> for Done {
    fn from(scenario: &Scenario<T>) -> Self {
        Self {
            command: scenario.command.clone(),
            done: scenario.done.trim_end_matches('.').to_owned(),
        }
    }
}

/// A verdict, or why there is too little data for one.
pub(super) type Weighed = Result<Judgement, String>;

/// Takes the same figure of both modes and weighs what is said of `of`: its own figure must be there, the other's is up to the rule.
pub(super) fn weigh<'a, S: fmt::Display>(
    measured: &'a Measured,
    of: Mode,
    done: impl IntoIterator<Item = Done>,
    figure: impl Fn(View<'a>) -> Result<S, String>,
    rule: impl FnOnce(&S, Result<&S, String>) -> Weighed,
) -> Judged {
    let [sync, r#async] = [Mode::Sync, Mode::Async].map(|mode| figure(View::new(measured, mode)));
    let (own, other) = match of {
        Mode::Sync => (&sync, &r#async),
        Mode::Async => (&r#async, &sync),
    };
    let weighed = own.as_ref().map_err(Clone::clone).and_then(|own| {
        let other = other
            .as_ref()
            .map_err(|why| format!("the other mode: {why}"));
        rule(own, other)
    });
    let judgement = weighed.unwrap_or_else(|why| {
        Judgement::new(Verdict::TooLittleData, format!("{}.", capitalized(&why)))
    });
    let cell = |figure: &Result<S, String>| match figure {
        Ok(figure) => figure.to_string(),
        Err(why) => format!("– ({why})"),
    };
    Judged {
        sync: cell(&sync),
        r#async: cell(&r#async),
        measured: done.into_iter().collect(),
        judgement,
    }
}

pub(super) fn held(because: impl Into<String>) -> Weighed {
    Ok(Judgement::new(Verdict::Held, because))
}

pub(super) fn in_part(because: impl Into<String>) -> Weighed {
    Ok(Judgement::new(Verdict::HeldInPart, because))
}

pub(super) fn did_not_hold(because: impl Into<String>) -> Weighed {
    Ok(Judgement::new(Verdict::DidNotHold, because))
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
