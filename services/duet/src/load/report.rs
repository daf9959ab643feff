//! What came out: the numbers, which are also the JSON, and the same for people.

use super::{chapter::Difference, modes::Since, progress::Progress, story::Begun};
use crate::{
    failure::{Failure, Kind},
    took::Took,
    waits::Waits,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// Changes of the mode that are printed; while a canary acts, each few answers tell another.
const SHOWN: usize = 12;

/// The traffic of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Part of every post's and owner's id.
    run: String,
    per_second: u32,
    /// Seconds from the first request that was due to the last answer.
    seconds: f64,
    owners: u64,
    posts: u64,
    /// Requests to set, change or undo a reaction.
    sent: u64,
    /// Answered 200: the notification was stored.
    delivered: u64,
    /// Answered 202: it will be.
    accepted: u64,
    /// Everything else, by status, or `unreachable`, or `unanswered`.
    failed: BTreeMap<String, u64>,
    /// Requests that were due and not sent, since too many were under way.
    pub(crate) unsent: u64,
    /// Why the traffic ended before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cut_short: Option<String>,
    /// How long callers waited for a success, from the time that the request was due, by mode.
    latencies: BTreeMap<String, Latencies>,
    /// The mode that answers told, and when it changed.
    modes: Vec<Since>,
    /// Seconds from the last answer until Notification showed everything, or was not waited for any longer.
    pub(crate) arrived_after_seconds: f64,
    /// Reactions that were accepted and that Notification does not show.
    pub(crate) missing: u64,
    /// Reactions that Notification shows and that were not accepted, or only once.
    pub(crate) doubled: u64,
    /// Why some could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_compared: Option<String>,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Latencies {
    answers: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// What a run tells beside its progress.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) run: String,
    pub(super) per_second: u32,
    pub(super) took: Duration,
    pub(super) begun: Begun,
    pub(super) traffic: Traffic,
    pub(super) arrived_after: Duration,
    pub(super) left: (Difference, Option<String>),
}

/// How the traffic ended.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Requests that were due by then and not sent.
    pub(super) unsent: u64,
    /// Why it ended before its time.
    pub(super) cut_short: Option<CutShort>,
}

/// Traffic that nobody receives is not gone on with.
#[derive(Debug)]
pub(super) struct CutShort {
    /// After this time.
    pub(super) after: Duration,
    /// Reactions that had not been seen at Notification.
    pub(super) unseen: usize,
}

impl Report {
    pub(super) fn of(progress: Progress, ending: Ending) -> Self {
        let (Difference { missing, doubled }, not_compared) = ending.left;
        let waits = progress.waits.iter();
        Self {
            run: ending.run,
            per_second: ending.per_second,
            seconds: ending.took.as_secs_f64(),
            owners: ending.begun.owners,
            posts: ending.begun.posts,
            sent: progress.sent,
            delivered: progress.delivered,
            accepted: progress.accepted,
            unsent: ending.traffic.unsent,
            cut_short: ending.traffic.cut_short.map(|it| it.to_string()),
            latencies: waits
                .map(|(mode, waits)| (mode.clone(), Latencies::of(waits)))
                .collect(),
            failed: progress.failed,
            modes: progress.modes.into_changes(),
            arrived_after_seconds: ending.arrived_after.as_secs_f64(),
            missing,
            doubled,
            not_compared,
        }
    }

    /// Whether all went well, the worst first.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let failed: u64 = self.failed.values().sum();
        if self.missing + self.doubled > 0 {
            let (missing, doubled) = (self.missing, self.doubled);
            let what = format!(
                "{missing} accepted reactions are missing at Notification, {doubled} are there that should not be"
            );
            return Err(Failure::new(Kind::Differs, what)
                .hint("If Notification is only behind, wait longer with --wait; `duet status` tells what is on its way."));
        }
        if let Some(why) = &self.not_compared {
            return Err(Failure::new(
                Kind::NotRunning,
                format!("not everything could be compared: {why}"),
            ));
        }
        if let Some(why) = &self.cut_short {
            return Err(Failure::new(Kind::Failed, why).hint(
                "Is Notification there, and fast enough? `duet status` tells what is on its way; a lower --rate makes less.",
            ));
        }
        if failed > 0 {
            return Err(Failure::new(
                Kind::Failed,
                format!("{failed} of {} requests failed", self.sent),
            ));
        }
        if self.unsent > 0 {
            let what = format!(
                "{} requests were due and not sent: the answers came too slowly",
                self.unsent
            );
            return Err(Failure::new(Kind::Failed, what));
        }
        Ok(())
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, unseen } = self;
        let after = duet_crd::duration::Duration::from_secs(after.as_secs());
        write!(
            f,
            "the traffic was ended after {after}: {unseen} reactions had not been seen at Notification, and no more are kept"
        )
    }
}

impl Latencies {
    fn of(waits: &Waits) -> Self {
        let ms = |share| waits.within(share).as_secs_f64() * 1e3;
        Self {
            answers: waits.count(),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            sent,
            posts,
            owners,
            delivered,
            accepted,
            ..
        } = self;
        let took = duet_crd::duration::Duration::from_secs(self.seconds.round() as u64);
        writeln!(
            f,
            "{sent} requests in {took}, to {posts} posts of {owners} owners (…-{run})"
        )?;
        writeln!(f, "  delivered {delivered:>8}")?;
        writeln!(f, "  accepted  {accepted:>8}")?;
        let failed: u64 = self.failed.values().sum();
        write!(f, "  failed    {failed:>8}")?;
        for (end, times) in &self.failed {
            write!(f, "  {end}: {times}")?;
        }
        writeln!(f)?;
        if self.unsent > 0 {
            writeln!(f, "  not sent  {:>8}", self.unsent)?;
        }
        if let Some(why) = &self.cut_short {
            writeln!(f, "{why}")?;
        }
        for (
            mode,
            Latencies {
                p50_ms,
                p90_ms,
                p99_ms,
                max_ms,
                ..
            },
        ) in &self.latencies
        {
            let took = |ms: f64| Took(Duration::from_secs_f64(ms / 1e3));
            writeln!(
                f,
                "  {mode:<9} p50 {}  p90 {}  p99 {}  longest {}",
                took(*p50_ms),
                took(*p90_ms),
                took(*p99_ms),
                took(*max_ms)
            )?;
        }
        for (nth, Since { mode, since }) in self.modes.iter().enumerate().take(SHOWN) {
            let since = since.strftime("%H:%M:%S%.3fZ");
            match nth {
                0 => write!(f, "  mode      {mode}")?,
                _ => write!(f, ", {mode} from {since}")?,
            }
        }
        match self.modes.len().saturating_sub(SHOWN) {
            0 if self.modes.is_empty() => {}
            0 => writeln!(f)?,
            more => writeln!(f, ", and {more} more changes, as while a canary acts")?,
        }
        if self.missing + self.doubled == 0 && self.not_compared.is_none() {
            let after = Took(Duration::from_secs_f64(self.arrived_after_seconds));
            writeln!(
                f,
                "Notification shows each accepted reaction once, {after} after the last answer."
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
