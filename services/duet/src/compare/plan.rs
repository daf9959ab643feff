//! How much a run does: all of it bounded, so that a quick one takes two minutes and a whole one ten.

use super::measured::Length;
use std::{ops::RangeInclusive, time::Duration};

/// Times and rates of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) length: Length,
    /// Requests a second where a scenario says nothing else.
    pub(super) per_second: u32,
    /// The traffic of a scenario in which nothing is away.
    pub(super) traffic: Duration,
    /// The same for the baseline, which the others are held against.
    pub(super) baseline: Duration,
    /// What the receiver takes longer, one after the other.
    pub(super) delays: [Duration; 2],
    /// Traffic before a part is upset.
    pub(super) before: Duration,
    /// How long a part is away. A hung receiver always is for longer than callers wait.
    pub(super) away: Duration,
    /// Each rate of the surge, as a multiple of the usual.
    pub(super) surge: &'static [u32],
    pub(super) surge_step: Duration,
    /// What the receiver takes at most in the surge, as a multiple of the usual rate.
    pub(super) cap: u32,
    /// Between two reactions whose way to the owner is watched.
    pub(super) probe_every: Duration,
    /// Between two reads at the sender.
    pub(super) read_every: Duration,
    /// Writes that are read right afterwards, of each sort.
    pub(super) reads: u32,
    /// Traces that are looked at.
    pub(super) traces: u32,
    /// How long what was accepted may take to arrive.
    pub(super) patience: Duration,
    /// How long one scenario may take in one mode, whatever happens.
    pub(super) longest: Duration,
}

/// A call's deadline that a hung receiver is waited for; a longer one makes a run longer, up to this.
const DEADLINES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

/// An `ackWait` that is waited for, and how long what comes after it may take.
const LONGEST_ACK_WAIT: Duration = Duration::from_secs(60);
const AFTER_ACK_WAIT: Duration = Duration::from_secs(15);

impl Plan {
    /// Two minutes. A hundred samples of everything that is judged by a quantile or a share are just had.
    pub(super) fn quick() -> Self {
        Self {
            length: Length::Quick,
            per_second: 100,
            traffic: Duration::from_millis(1_250),
            baseline: Duration::from_secs(4),
            delays: [50, 200].map(Duration::from_millis),
            before: Duration::from_millis(1_000),
            away: Duration::from_millis(1_500),
            surge: &[1, 2, 4, 7, 10],
            surge_step: Duration::from_millis(1_050),
            cap: 4,
            probe_every: Duration::from_millis(35),
            read_every: Duration::from_micros(8_500),
            reads: 100,
            traces: 5,
            patience: Duration::from_secs(20),
            longest: Duration::from_secs(60),
        }
    }

    /// Ten minutes.
    pub(super) fn full() -> Self {
        Self {
            length: Length::Full,
            traffic: Duration::from_secs(10),
            baseline: Duration::from_secs(30),
            before: Duration::from_secs(3),
            away: Duration::from_secs(10),
            surge: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            surge_step: Duration::from_secs(3),
            reads: 300,
            traces: 10,
            patience: Duration::from_secs(60),
            longest: Duration::from_secs(240),
            ..Self::quick()
        }
    }

    /// Seconds: enough to see that each scenario does what it says.
    pub(super) fn tiny() -> Self {
        Self {
            per_second: 20,
            traffic: Duration::from_millis(700),
            baseline: Duration::from_secs(1),
            before: Duration::from_millis(300),
            away: Duration::from_millis(800),
            surge: &[1, 10],
            surge_step: Duration::from_millis(500),
            probe_every: Duration::from_millis(100),
            reads: 5,
            traces: 1,
            ..Self::quick()
        }
    }

    /// The same, with patience for messages that a receiver took and never answered: the broker gives them out again after `ack_wait`.
    pub(super) fn waiting_for(self, ack_wait: Duration) -> Self {
        let patience = self
            .patience
            .max(ack_wait.min(LONGEST_ACK_WAIT) + AFTER_ACK_WAIT);
        Self {
            patience,
            longest: self.longest.max(2 * patience),
            ..self
        }
    }

    /// How long a receiver hangs: longer than each of its callers waits.
    pub(super) fn hung(&self, deadline: Duration) -> Duration {
        self.away + deadline.clamp(*DEADLINES.start(), *DEADLINES.end())
    }
}
