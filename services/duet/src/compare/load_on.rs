//! Load on the pair while something is done to it, and what came of the requests of a stretch of it.

use super::{
    clock::Clock,
    ground::{Ground, Waiting, waiting},
    measured::{Figure, Traffic},
    probes::{self, Probe},
    reads::{self, Read},
    stage::Stage,
};
use crate::{
    failure::{Failure, Kind},
    internal::client,
    load::{self, Audience, Call, End, Rate, Report, Services},
    signals::Signals,
    waits::Waits,
};
use std::{cell::RefCell, collections::BTreeMap, ops::Range, time::Duration};
use tokio::time::Instant;

/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen of one load.
pub(super) struct Seen {
    pub(super) calls: Vec<Call>,
    pub(super) probes: Vec<Probe>,
    pub(super) reads: Vec<Read>,
    /// What waited for the receivers, since the start.
    pub(super) waiting: Vec<(Duration, Waiting)>,
    report: Report,
}

/// Keeps each request, and shows the progress.
struct Recorder<'a> {
    stage: &'a Stage,
    clock: &'a Clock,
    calls: Vec<Call>,
}

impl Audience for Recorder<'_> {
    fn began(&mut self, at: Instant) {
        self.clock.begin(at);
    }

    fn heard(&mut self, call: Call) {
        self.calls.push(call);
    }

    fn told(&mut self, line: String) {
        self.stage.shown.running(&line);
    }
}

/// Makes traffic at these rates for as long as `script` goes on, and waits until all of it has arrived.
pub(super) async fn load<T>(
    stage: &Stage,
    ground: &mut Ground,
    rates: &[Rate],
    script: impl AsyncFnOnce(&mut Ground, &Clock) -> Result<T, Failure>,
) -> Result<(Seen, T), Failure> {
    let pair = ground.pair_now().await?;
    let at = Services::at(&pair.reaction, &pair.notification);
    let plan = load::Plan {
        rates: rates.to_vec(),
        length: None,
        patience: stage.plan.patience,
        tells_every: stage.shown.every(),
    };
    let clock = Clock::new();
    let mut recorder = Recorder {
        stage,
        clock: &clock,
        calls: Vec::new(),
    };
    let mut signals = Signals::of(clock.token());
    let looks = RefCell::new(Vec::new());
    let looking = async {
        let http = client();
        let began = clock.began().await;
        loop {
            let now = waiting(&http, &pair).await;
            looks.borrow_mut().push((began.elapsed(), now));
            tokio::time::sleep(LOOK).await;
        }
    };
    let acting = async {
        clock.began().await;
        let outcome = script(ground, &clock).await;
        clock.over();
        outcome
    };
    let measured = async {
        tokio::try_join!(
            load::run(&plan, &at, &mut signals, &mut recorder),
            probes::run(&at, &clock, stage.plan.probe_every, stage.plan.patience),
            reads::run(&at, &clock, stage.plan.read_every),
            acting,
        )
    };
    let (report, probes, reads, told) = tokio::select! {
        measured = measured => measured?,
        () = looking => return Err(Failure::new(Kind::Failed, "the looks ended")),
    };
    let seen = Seen {
        calls: recorder.calls,
        probes,
        reads,
        waiting: looks.into_inner(),
        report,
    };
    stage.note_shortfall(&seen);
    Ok((seen, told))
}

impl Seen {
    /// The requests that were due in that stretch, at that rate.
    pub(super) fn traffic(
        &self,
        within: &Range<Duration>,
        per_second: u32,
    ) -> Result<Traffic, Failure> {
        let calls = self.calls.iter().filter(|it| within.contains(&it.due));
        let (mut waits, mut waits_of_all) = (Waits::new()?, Waits::new()?);
        let (mut sent, mut delivered, mut accepted) = (0, 0, 0);
        let mut failed = BTreeMap::new();
        for call in calls {
            sent += 1;
            waits_of_all.record(call.waited);
            match &call.heard.end {
                End::Stands { delivered: now, .. } => {
                    waits.record(call.waited);
                    *(if *now { &mut delivered } else { &mut accepted }) += 1;
                }
                end => *failed.entry(end.to_string()).or_default() += 1,
            }
        }
        let length = within.end.saturating_sub(within.start);
        let waits_still = self.waiting.last().and_then(|(_, it)| it.unacknowledged);
        let compared = |number: u64| match (&self.report.not_compared, waits_still) {
            (Some(why), _) => Figure::missing(why.as_str()),
            // What is under way is late, not lost.
            (None, Some(waits @ 1..)) if number > 0 => Figure::missing(format!(
                "{number} differed when it was not waited for any longer, with {waits} events still under way"
            )),
            (None, _) => Figure::Measured(number),
        };
        Ok(Traffic {
            per_second: per_second.into(),
            length,
            sent,
            delivered,
            accepted,
            failed,
            unsent: self.report.unsent,
            waits: Figure::from(&waits),
            waits_of_all: Figure::from(&waits_of_all),
            freshness: probes::freshness(&self.probes, within)?,
            lost: compared(self.report.missing),
            surplus: compared(self.report.doubled),
        })
    }

    /// The most that waited in that stretch.
    pub(super) fn most(
        &self,
        within: &Range<Duration>,
        of: impl Fn(&Waiting) -> Option<u64>,
    ) -> Figure<u64> {
        let looks = self.waiting.iter().filter(|(at, _)| within.contains(at));
        let most = looks.filter_map(|(_, it)| of(it)).max();
        Figure::from(most.ok_or("nobody told what waits"))
    }

    /// Requests that were due and not sent.
    pub(super) fn unsent(&self) -> u64 {
        self.report.unsent
    }
}
