//! `duet bench surge`: ten times the usual rate for a while. Nothing may be lost, and in `Async` nobody should notice.

use super::{
    baseline::{Baseline, Serves},
    load::{Load, Part, Tally, When},
    options::{Common, MOST, seconds, tell, up_to_a_million},
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms, lag, quantiles},
    stage::{over_new_stores, reactions},
};
use crate::{
    channel_file::name,
    failure::{Failure, Kind},
    load::Rate,
};
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
    /// Reactions a second before the surge and after it
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN), value_parser = up_to_a_million)]
    rate: NonZeroU32,
    /// How many times as many in it
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    times: u32,
    /// Seconds of the surge, and of the time before it and after it
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Connections at most
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

/// Names of the three parts of a round.
const PARTS: [&str; 3] = ["before", "during", "after"];

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Findings, Failure> {
        if self.rate.get().saturating_mul(self.times) > MOST {
            let what = format!("--rate times --times is at most {MOST}");
            return Err(Failure::new(Kind::Usage, what));
        }
        let terms = self.terms(home)?;
        let same_request = Baseline::start(Serves::SameRequest, WORKERS, home).await?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let mut grown: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 1..=self.common.rounds {
            let beside = self.load(same_request.listen).run(reactions()).await?;
            self.add(&mut baseline, "same request", &beside, None)?;
            for mode in self.common.modes() {
                let (tally, drain) = over_new_stores(&self.common, home, mode, async |stage| {
                    let at = stage.pair.reaction;
                    let warm_up = Load {
                        when: When::at(self.rate.get(), seconds(1)),
                        ..self.load(at)
                    };
                    stage.run(warm_up).await?;
                    let tally = stage.run(self.load(at)).await?;
                    let answered = Instant::now();
                    stage.pair.drained().await?;
                    Ok((tally, answered.elapsed()))
                })
                .await?;
                let mode = name(mode);
                let [before, during, _] = self.add(&mut modes, mode, &tally, Some(drain))?;
                tell(
                    round,
                    self.common.rounds,
                    format!("{mode}: p99 {before:.1?} before, {during:.1?} during the surge"),
                );
                let grew = during.as_secs_f64() / before.as_secs_f64();
                grown.entry(mode).or_default().push(grew);
            }
        }
        same_request.stop().await?;
        let goal = grown.remove(name(Mode::Async)).map(|grown| {
            let of = "Async: p99 during the surge to that before it";
            Goal::new(of, Spread::of(grown), Bound::AtMost(2.0))
        });
        Ok(Findings {
            question: "surge",
            terms,
            baseline,
            modes,
            goals: goal.into_iter().collect(),
        })
    }

    /// A row for each part. Returns each one's p99.
    fn add(
        &self,
        rows: &mut Rows,
        who: &str,
        tally: &Tally,
        drain: Option<Duration>,
    ) -> Result<[Duration; 3], Failure> {
        let each = seconds(self.duration);
        let mut p99 = [Duration::ZERO; 3];
        for (nth, name) in (0u32..).zip(PARTS) {
            let Part {
                accepted,
                failed,
                waits,
                lag: late,
            } = tally.within(each * nth..each * (nth + 1))?;
            p99[nth as usize] = waits.within(0.99);
            let rate = accepted as f64 / each.as_secs_f64();
            let drain = drain.filter(|_| name == "after");
            let figures = [(Figure::PER_SECOND, rate)]
                .into_iter()
                .chain(quantiles(&waits))
                .chain([(Figure::FAILED, failed as f64)])
                .chain(lag(&late))
                .chain(drain.map(|drain| (Figure::DRAIN, drain.as_secs_f64())));
            rows.add(&format!("{who}, {name}"), figures);
        }
        Ok(p99)
    }

    fn load(&self, target: SocketAddr) -> Load {
        let lasts = seconds(self.duration);
        let rate = self.rate.get();
        let rates = [rate, rate.saturating_mul(self.times), rate];
        let rates = rates.map(|per_second| Rate { per_second, lasts });
        Load {
            target,
            connections: self.connections,
            when: When::Due(rates.into(), lasts * 3),
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "{} reactions a second for {} s, then {} times as many for as long, then as before; due whatever is answered, on {} connections at most: what finds none waits, and its wait counts. What was accepted is counted in both stores.",
                self.rate, self.duration, self.times, self.connections
            ),
            own: BTreeMap::from([
                ("ratePerSecond", self.rate.get().into()),
                ("times", self.times.into()),
                ("durationSeconds", self.duration.into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}
