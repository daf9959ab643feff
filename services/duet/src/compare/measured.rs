//! What a run measured: written by the scenarios, read by the judgement and the report, kept as JSON between the two.
//!
//! A figure that could not be had says why (`Figure::Missing`); none is made up, and none is zero for want of knowing. Times are
//! `Duration`s here and carry their unit in their JSON name.

mod figure; // a figure, or why there is none
mod terms; // on what terms the figures stand
mod traffic; // one stretch of load, and how long things took
mod units; // durations as JSON numbers

pub(crate) use figure::Figure;
pub(crate) use terms::{Length, Machine, PairPlace, Terms};
pub(crate) use traffic::{Freshness, Quantiles, Traffic};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The version of this form. A report of another version is refused by name.
pub(crate) const VERSION: u32 = 1;

/// One run of `duet compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// [`VERSION`].
    pub(crate) version: u32,
    pub(crate) terms: Terms,
    /// The Channel document that the pair had before the run, as YAML. The recommended one keeps its names and its stream.
    pub(crate) channel: String,
    pub(crate) scenarios: Scenarios,
    /// What a reader must know of this run beside its figures, a sentence each ("ended by Ctrl-C after hung").
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// What was done, in the order of the report. Each is there also when it was not run: then both modes say why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scenarios {
    /// Nothing is wrong.
    pub(crate) baseline: Scenario<Baseline>,
    /// The receiver takes longer and longer (`faults.delay`).
    pub(crate) slow: Scenario<Slow>,
    /// Each event takes longer than the synchronous deadline.
    pub(crate) long_job: Scenario<LongJob>,
    /// The receiver takes at most so many a second, and more and more come.
    pub(crate) surge: Scenario<Surge>,
    /// The receiver's process is stopped (SIGSTOP): its port is open, nothing answers.
    pub(crate) hung: Scenario<Outage>,
    /// The receiver is not there: a closed port.
    pub(crate) absent: Scenario<Outage>,
    /// The receiver is replaced by a new process, as an update does.
    pub(crate) redeployed: Scenario<Outage>,
    /// The receiver can't apply a share of the events (`faults.errorPercent`).
    pub(crate) failing: Scenario<Failing>,
    /// The broker is stopped, and started again with what it had.
    pub(crate) broker_down: Scenario<Outage>,
    /// The broker is stopped, and started again with nothing.
    pub(crate) broker_wiped: Scenario<Outage>,
    /// A second receiver joins: a fast one, then a slow one.
    pub(crate) second_receiver: Scenario<SecondReceiver>,
    /// The owner's inbox is read right after the answer.
    pub(crate) consistency: Scenario<Consistency>,
    /// What a trace shows.
    pub(crate) traces: Scenario<Traces>,
    /// What a reaction's way is made of.
    pub(crate) way: Scenario<Way>,
    /// The lines of the example of a pair of one's own, `examples/pair.rs`.
    pub(crate) code: Scenario<Code>,
}

/// One thing that was done in both modes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound(deserialize = "T: serde::de::DeserializeOwned")
)]
pub(crate) struct Scenario<T> {
    /// The command that repeats it.
    pub(crate) command: String,
    /// What was done, in a sentence ("Notification was stopped with SIGSTOP for 5 s under 50 requests a second").
    pub(crate) done: String,
    pub(crate) sync: Figure<T>,
    pub(crate) r#async: Figure<T>,
}

impl<T> Scenario<T> {
    /// One that was not run, or not in this place.
    pub(crate) fn missing(command: impl Into<String>, why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            command: command.into(),
            done: String::new(),
            sync: Figure::missing(why.clone()),
            r#async: Figure::missing(why),
        }
    }
}

/// The pair as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Baseline {
    pub(crate) traffic: Traffic,
    /// The receiver's own time for one call or message, from its spans or metrics.
    pub(crate) receiver_took: Figure<Quantiles>,
    /// How many answers told each outcome (`notified`, `muted`, `own`, …); empty where answers tell none.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// CPU that a reaction costs, all processes of the pair together.
    pub(crate) cpu_each: Figure<Micros>,
}

/// A time in whole and parts of microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Micros {
    #[serde(rename = "us", with = "units::micros")]
    pub(crate) time: Duration,
}

/// The receiver at several speeds, the fastest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slow {
    pub(crate) steps: Vec<SlowStep>,
}

/// One speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlowStep {
    /// What was added before each batch is applied.
    #[serde(rename = "delayMs", with = "units::millis")]
    pub(crate) delay: Duration,
    pub(crate) traffic: Traffic,
}

/// Work that takes longer than a caller may wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LongJob {
    #[serde(rename = "jobMs", with = "units::millis")]
    pub(crate) job: Duration,
    /// `sync.deadline`.
    #[serde(rename = "deadlineMs", with = "units::millis")]
    pub(crate) deadline: Duration,
    pub(crate) traffic: Traffic,
}

/// A receiver of bounded rate under growing load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Surge {
    /// What the receiver takes at most (`faults.maxPerSecond`).
    pub(crate) cap_per_second: u32,
    /// From the lowest rate to the highest.
    pub(crate) steps: Vec<SurgeStep>,
    /// Events that were accepted and not received, over the whole of it, the drain included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) backlog: Vec<Backlog>,
    /// From the last request until nothing waited any more.
    pub(crate) drained_after: Figure<Millis>,
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SurgeStep {
    pub(crate) traffic: Traffic,
    /// The most that waited for the receiver meanwhile.
    pub(crate) most_waiting: Figure<u64>,
}

/// What waited at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backlog {
    /// Since the first request of the scenario.
    #[serde(rename = "atMs", with = "units::millis")]
    pub(crate) at: Duration,
    pub(crate) waiting: u64,
}

/// A time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Millis {
    #[serde(rename = "ms", with = "units::millis")]
    pub(crate) time: Duration,
}

/// A part of the system was away for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outage {
    /// How long it was away.
    #[serde(rename = "awayMs", with = "units::millis")]
    pub(crate) away: Duration,
    /// Requests that were due while it was away, and what became of them in the end.
    pub(crate) traffic: Traffic,
    /// `GET /v1/posts` at the sender before, which needs nobody else: successes.
    pub(crate) reads_before: Figure<Quantiles>,
    /// The same while it was away.
    pub(crate) reads_during: Figure<Quantiles>,
    /// Reads that failed while it was away.
    pub(crate) reads_failed: Figure<u64>,
    /// From its return until nothing waited any more.
    pub(crate) caught_up_after: Figure<Millis>,
}

/// A receiver that can't apply some of what it gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failing {
    pub(crate) error_percent: u8,
    pub(crate) traffic: Traffic,
    /// The most that was parked at once.
    pub(crate) parked: Figure<u64>,
    /// What was parked still when the scenario ended, or had become a dead letter.
    pub(crate) left: Figure<u64>,
}

/// Callers with one receiver, and with two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecondReceiver {
    pub(crate) alone: Traffic,
    pub(crate) with_fast: Figure<Traffic>,
    /// What was added to the second receiver's time for a batch.
    #[serde(rename = "slowByMs", with = "units::millis")]
    pub(crate) slow_by: Duration,
    pub(crate) with_slow: Figure<Traffic>,
}

/// Reading what one has written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consistency {
    /// Read right after the answer.
    pub(crate) at_once: Reads,
    /// Read with the answer's `Duet-Position`.
    pub(crate) with_position: Figure<Reads>,
    /// Written with `Prefer: wait`.
    pub(crate) prefer_wait: Figure<PreferWait>,
}

/// Reads of the owner's inbox, each after a write of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reads {
    pub(crate) reads: u64,
    /// Those that did not show the write.
    pub(crate) stale: u64,
    /// How long a read took.
    pub(crate) took: Figure<Quantiles>,
}

/// Writes that said how long they would wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreferWait {
    #[serde(rename = "askedMs", with = "units::millis")]
    pub(crate) asked: Duration,
    pub(crate) writes: u64,
    /// Those that were answered 200, `delivered`, in time.
    pub(crate) delivered: u64,
    pub(crate) took: Figure<Quantiles>,
}

/// Traces of reactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Traces {
    /// Reactions whose trace was asked for.
    pub(crate) asked: u64,
    /// Those whose one trace reached from the caller's request to the receiver's commit.
    pub(crate) whole: u64,
    /// Spans of such a trace.
    pub(crate) spans: Figure<u64>,
    /// One of them, as `duet trace` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tree: Option<String>,
}

/// What a reaction passes on its way to the receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Way {
    /// Processes between the sender's and the receiver's, by name ("nats-server", "load balancer"). On the way of the events; a
    /// caller's own request is not counted.
    pub(crate) between: Vec<String>,
    /// Open connections that carry it.
    pub(crate) connections: Figure<u64>,
    /// Requests or messages between the two services for one reaction.
    pub(crate) messages_each: Figure<f64>,
    /// What each of the receiver's processes got, where it has several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shares: BTreeMap<String, u64>,
}

/// Lines of code, without comments and blank lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Code {
    /// What both modes share.
    pub(crate) shared_lines: u32,
    /// What only this mode needs, its part of the Channel document included.
    pub(crate) own_lines: u32,
}
