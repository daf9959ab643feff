//! `duet bench latency`: what one caller waits, and what callers wait at shares of the most that the pair takes, beside what the disk
//! and the loopback take by themselves.

use super::{
    baseline::{Baseline, Serves},
    commit, disk,
    load::{Load, Requests, Tally, When},
    options::{Common, seconds, tell, up_to_a_million},
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms, in_micros, lag, quantiles},
    stage::{Stage, over_new_stores, reactions},
};
use crate::{
    channel_file::name,
    failure::Failure,
    pictures::{Axis, Line, Picture, lines},
    waits::Waits,
};
use duet_crd::Mode;
use duet_web::server::WORKERS;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Seconds of each load
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Seconds of load before each mode's measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=3600))]
    warm_up: u16,
    /// Requests a second of the one caller who comes at a fixed rate
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(50).unwrap_or(NonZeroU32::MIN), value_parser = up_to_a_million)]
    rate: NonZeroU32,
    /// Write a picture of it: SVG, by mode
    #[arg(long, value_name = "FILE", conflicts_with = "mode")]
    pub(super) picture: Option<PathBuf>,
    /// Callers where the most that the pair takes is looked for, and at shares of it
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

/// Shares of the most that a closed loop reached, in percent.
const SHARES: [u32; 3] = [10, 50, 80];

impl Options {
    pub(super) async fn measure(
        &self,
        home: &Path,
    ) -> Result<(Findings, Option<Picture>), Failure> {
        let terms = self.terms(home)?;
        let bare = Baseline::start(Serves::Bare, WORKERS, home).await?;
        let same_request = Baseline::start(Serves::SameRequest, WORKERS, home).await?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let mut ratios: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 1..=self.common.rounds {
            let flush = disk::waits(home)?;
            let commit = commit::waits(home)?;
            let trip = self.one_caller(bare.listen).run(Requests::root()).await?;
            let same = self
                .one_caller(same_request.listen)
                .run(reactions())
                .await?;
            for (name, waits) in [
                ("flush", &flush),
                ("commit", &commit),
                ("round trip, bare", &trip.waits),
                ("round trip, same request", &same.waits),
            ] {
                baseline.add(name, quantiles(waits));
            }
            let (commit, trip) = (p50(&commit), p50(&trip.waits));
            for mode in self.common.modes() {
                let one = over_new_stores(&self.common, home, mode, async |stage| {
                    self.mode(stage, mode, &mut modes).await
                })
                .await?;
                let least = match mode {
                    Mode::Sync => 2.0 * commit + trip,
                    Mode::Async => commit,
                };
                let told = format!("{}: one caller waits {one:.0} µs", name(mode));
                tell(round, self.common.rounds, told);
                ratios.entry(name(mode)).or_default().push(one / least);
            }
        }
        bare.stop().await?;
        same_request.stop().await?;
        let goal = |(mode, ratios): (&str, Vec<f64>)| {
            let (to, most) = match mode {
                "Sync" => ("two commits and a round trip", 2.5),
                _ => ("one commit", 1.5),
            };
            let of = format!("{mode}: one caller's p50 to {to}");
            Goal::new(of, Spread::of(ratios), Bound::AtMost(most))
        };
        let picture = drawn(&modes);
        let findings = Findings {
            question: "latency",
            terms,
            baseline,
            modes,
            goals: ratios.into_iter().map(goal).collect(),
        };
        Ok((findings, picture))
    }

    /// All loads of one mode. Returns what one caller waited in a closed loop, half of the times at most, in microseconds.
    async fn mode(&self, stage: &mut Stage, mode: Mode, rows: &mut Rows) -> Result<f64, Failure> {
        let mode = name(mode);
        let at = stage.pair.reaction;
        let mut warm_up = self.one_caller(at);
        warm_up.when = When::Answered(seconds(self.warm_up));
        stage.run(warm_up).await?;

        let closed = stage.run(self.one_caller(at)).await?;
        rows.add(&format!("{mode}, one caller"), told(&closed));
        let rate = self.rate.get();
        let open = Load {
            when: When::at(rate, self.lasts()),
            ..self.one_caller(at)
        };
        let open = stage.run(open).await?;
        rows.add(&format!("{mode}, one caller, {rate}/s"), told(&open));

        let many = |when| Load {
            target: at,
            connections: self.connections,
            when,
        };
        let most = stage.run(many(When::Answered(self.lasts()))).await?;
        stage.pair.drained().await?;
        rows.add(
            &format!("{mode}, {} callers", self.connections),
            told(&most),
        );
        for share in SHARES {
            let rate = (per_second(&most) * f64::from(share) / 100.0) as u32;
            let load = many(When::at(rate.max(1), self.lasts()));
            let open = stage.run(load).await?;
            stage.pair.drained().await?;
            rows.add(&row(mode, share), told(&open));
        }
        Ok(p50(&closed.waits))
    }

    fn lasts(&self) -> Duration {
        seconds(self.duration)
    }

    /// A closed loop of one.
    fn one_caller(&self, target: SocketAddr) -> Load {
        Load {
            target,
            connections: NonZeroU16::MIN,
            when: When::Answered(self.lasts()),
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "What callers wait. One caller asks again once answered, then {} times a second; {} callers ask again once answered, then together at shares of the rate that they reached. At a rate a wait counts from when the request was due. A commit is of one row.",
                self.rate, self.connections
            ),
            own: BTreeMap::from([
                ("durationSeconds", self.duration.into()),
                ("warmUpSeconds", self.warm_up.into()),
                ("ratePerSecond", self.rate.get().into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}

fn row(mode: &str, share: u32) -> String {
    format!("{mode}, at {share} % of that")
}

/// What callers wait as more come; none where a mode was left out.
fn drawn(rows: &Rows) -> Option<Picture> {
    let points = |mode: Mode, of: Figure| -> Option<Vec<(f64, f64)>> {
        let point = |share: &u32| {
            let row = row(name(mode), *share);
            let rate = rows.median(&row, Figure::PER_SECOND)?;
            Some((rate, rows.median(&row, of)? / 1e3))
        };
        SHARES.iter().map(point).collect()
    };
    let [sync, r#async] = [
        points(Mode::Sync, Figure::P99)?,
        points(Mode::Async, Figure::P99)?,
    ];
    let (busiest_sync, busiest_async) = (*sync.last()?, *r#async.last()?);
    let all = || sync.iter().chain(&r#async);
    let least = all().map(|it| it.1).fold(f64::INFINITY, f64::min);
    let most = all().map(|it| it.1).fold(0.0, f64::max);
    let svg = lines(
        &Axis::up_to("Reactions a second", busiest_sync.0.max(busiest_async.0)),
        &Axis::log("Caller waits, p99, ms", least, most),
        &[
            Line::of(Mode::Sync, sync.clone()),
            Line::of(Mode::Async, r#async.clone()),
        ],
        None,
    );
    let alt = format!(
        "Line chart, logarithmic: of a hundred callers all but one wait at most {:.1} ms in Sync at {:.0} reactions a second, and {:.1} ms in Async at {:.0}.",
        busiest_sync.1, busiest_sync.0, busiest_async.1, busiest_async.0
    );
    let title = "What callers wait as more come, up to 80 % of the most";
    Picture::new("latency", title, alt, svg)
}

fn p50(waits: &Waits) -> f64 {
    in_micros(waits.within(0.5))
}

fn per_second(tally: &Tally) -> f64 {
    tally.answered() as f64 / tally.took.as_secs_f64()
}

fn told(tally: &Tally) -> impl Iterator<Item = (Figure, f64)> {
    [(Figure::PER_SECOND, per_second(tally))]
        .into_iter()
        .chain(quantiles(&tally.waits))
        .chain([(Figure::FAILED, tally.failed() as f64)])
        .chain(lag(&tally.lag))
}
