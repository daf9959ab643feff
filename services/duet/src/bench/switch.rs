//! `duet bench switch`: the mode is switched time after time under a fixed rate, and nobody may notice.

use super::{
    baseline::{Baseline, Serves},
    load::{Answered, Load, Part, When},
    options::{Common, seconds, tell, up_to_a_million},
    pair::Pair,
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms, lag, quantiles},
    stage::{over_new_stores, reactions},
};
use crate::failure::{Failure, Kind};
use duet_crd::Mode;
use duet_web::server::WORKERS;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::Path,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Reactions a second
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(2_000).unwrap_or(NonZeroU32::MIN), value_parser = up_to_a_million)]
    rate: NonZeroU32,
    /// Switches in each round
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=1000))]
    switches: u16,
    /// Seconds before each switch
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=3600))]
    every: u16,
    /// Connections at most
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

/// Who is due so shortly before a switch or after it may notice.
const BEFORE: Duration = Duration::from_millis(200);
const AFTER: Duration = Duration::from_secs(1);

/// What one round has brought.
struct Round {
    sync: Part,
    r#async: Part,
    around: Part,
}

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Findings, Failure> {
        let terms = self.terms(home)?;
        let same_request = Baseline::start(Serves::SameRequest, WORKERS, home).await?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let (mut failed, mut extra) = (Vec::new(), Vec::new());
        for round in 1..=self.common.rounds {
            let beside = self.load(same_request.listen, 2).run(reactions()).await?;
            baseline.add("same request", quantiles(&beside.waits));
            let Round {
                sync,
                r#async,
                around,
            } = self.round(home).await?;
            let slower = sync.waits.within(0.99).max(r#async.waits.within(0.99));
            let worst = around.waits.within(1.0);
            let lost = sync.failed + r#async.failed + around.failed;
            extra.push((worst.as_secs_f64() - slower.as_secs_f64()) * 1e3);
            failed.push(lost as f64);
            let told = format!(
                "the worst caller around a switch waits {worst:.1?}, p99 of the slower mode {slower:.1?}, {lost} failed"
            );
            tell(round, self.common.rounds, told);
            for (name, part) in [
                ("Sync", sync),
                ("Async", r#async),
                ("around switches", around),
            ] {
                let counts = [
                    (Figure::ACCEPTED, part.accepted as f64),
                    (Figure::FAILED, part.failed as f64),
                ];
                let figures = quantiles(&part.waits).into_iter().chain(counts);
                modes.add(name, figures.chain(lag(&part.lag)));
            }
        }
        same_request.stop().await?;
        let goal = |of: &str, is: Vec<f64>, most| {
            Goal::in_every_round(of, Spread::of(is), Bound::AtMost(most))
        };
        Ok(Findings {
            question: "switch",
            terms,
            baseline,
            modes,
            goals: vec![
                goal("requests that fail", failed, 0.0),
                goal(
                    "the worst caller around a switch, over the p99 of the slower mode, ms",
                    extra,
                    50.0,
                ),
            ],
        })
    }

    async fn round(&self, home: &Path) -> Result<Round, Failure> {
        let (tally, switched) = over_new_stores(&self.common, home, Mode::Sync, async |stage| {
            let at = stage.pair.reaction;
            stage.run(self.load(at, 1)).await?;
            stage.pair.drained().await?;
            let all = self.load(at, u32::from(self.switches) + 1);
            stage
                .run_while(all, async |pair| self.switch(pair).await)
                .await
        })
        .await?;
        let switched: Vec<_> = switched.iter().map(|at| *at - tally.started).collect();
        let is_around = |due: Duration| {
            let around = |at: &Duration| due + BEFORE >= *at && due < *at + AFTER;
            switched.iter().any(around)
        };
        let part =
            |is: &dyn Fn(&Answered) -> bool| Part::of(tally.each().iter().filter(|it| is(it)));
        let round = Round {
            sync: part(&|it| !is_around(it.due) && it.status != 202)?,
            r#async: part(&|it| !is_around(it.due) && it.status == 202)?,
            around: part(&|it| is_around(it.due))?,
        };
        if round.sync.accepted == 0 || round.r#async.accepted == 0 {
            let what = "no request was accepted in one of the modes, so nothing tells what a switch changes";
            return Err(Failure::new(Kind::Failed, what));
        }
        Ok(round)
    }

    /// Switches time after time. Returns when.
    async fn switch(&self, pair: &Pair) -> Result<Vec<Instant>, Failure> {
        let mut switched = Vec::new();
        for nth in 0..self.switches {
            tokio::time::sleep(seconds(self.every)).await;
            switched.push(Instant::now());
            let to = [Mode::Async, Mode::Sync][usize::from(nth % 2)];
            pair.switch(to)?;
        }
        tokio::time::sleep(seconds(self.every)).await;
        Ok(switched)
    }

    /// As long as so many switches are apart.
    fn load(&self, target: SocketAddr, times: u32) -> Load {
        Load {
            target,
            connections: self.connections,
            when: When::at(self.rate.get(), seconds(self.every) * times),
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "{} reactions a second, due whatever is answered; the mode is switched {} times, {} s apart. Around a switch is who was due less than {BEFORE:?} before or {AFTER:?} after it. What was accepted is counted in both stores.",
                self.rate, self.switches, self.every
            ),
            own: BTreeMap::from([
                ("ratePerSecond", self.rate.get().into()),
                ("switches", self.switches.into()),
                ("everySeconds", self.every.into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}
