//! `duet bench outage`: Notification is away for a while. In `Async` no caller should notice, and all arrives afterwards.

use super::{
    baseline::{Baseline, Serves},
    load::{Load, Part, Tally, When},
    options::{Common, seconds, tell, up_to_a_million},
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms, lag, quantiles},
    stage::{over_new_stores, reactions},
};
use crate::{channel_file::name, failure::Failure};
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
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN), value_parser = up_to_a_million)]
    rate: NonZeroU32,
    /// Seconds that Notification is away
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    away: u16,
    /// Seconds before that, and after it
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    around: u16,
    /// Connections at most
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

const AWAY: &str = "notification";

/// The load ends once Notification is back for a while; that is far sooner than this.
const LONGEST: Duration = Duration::from_secs(3 * 3600);

/// When it was away, since the load began, and how long all took after the load until it was delivered.
struct Away {
    from: Duration,
    until: Duration,
    drained: Duration,
}

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Findings, Failure> {
        let terms = self.terms(home)?;
        let same_request = Baseline::start(Serves::SameRequest, WORKERS, home).await?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let mut grown: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 1..=self.common.rounds {
            let load = self.load(same_request.listen, seconds(self.around));
            let beside = load.run(reactions()).await?;
            baseline.add("same request", quantiles(&beside.waits));
            for mode in self.common.modes() {
                let (tally, away) = self.round(home, mode).await?;
                let mode = name(mode);
                let [before, during, _] = add(&mut modes, mode, &tally, &away)?;
                let told = format!(
                    "{mode}: p99 {before:.1?} before, {during:.1?} while Notification was away; all delivered {:.1?} after the last request",
                    away.drained
                );
                tell(round, self.common.rounds, told);
                let grew = during.as_secs_f64() / before.as_secs_f64();
                grown.entry(mode).or_default().push(grew);
            }
        }
        same_request.stop().await?;
        let goal = grown.remove(name(Mode::Async)).map(|grown| {
            let of = "Async: p99 while Notification is away to that before";
            Goal::new(of, Spread::of(grown), Bound::AtMost(2.0))
        });
        Ok(Findings {
            question: "outage",
            terms,
            baseline,
            modes,
            goals: goal.into_iter().collect(),
        })
    }

    async fn round(&self, home: &Path, mode: Mode) -> Result<(Tally, Away), Failure> {
        over_new_stores(&self.common, home, mode, async |stage| {
            let at = stage.pair.reaction;
            stage.run(self.load(at, seconds(1))).await?;
            let load = self.load(at, LONGEST);
            let (tally, (from, until)) = stage
                .run_while(load, async |pair| {
                    tokio::time::sleep(seconds(self.around)).await;
                    let from = Instant::now();
                    let down = pair.take_down(AWAY).await?;
                    tokio::time::sleep(seconds(self.away)).await;
                    pair.bring_back(down).await?;
                    let until = Instant::now();
                    tokio::time::sleep(seconds(self.around)).await;
                    Ok((from, until))
                })
                .await?;
            let over = Instant::now();
            stage.pair.drained().await?;
            let away = Away {
                from: from - tally.started,
                until: until - tally.started,
                drained: over.elapsed(),
            };
            Ok((tally, away))
        })
        .await
    }

    fn load(&self, target: SocketAddr, lasts: Duration) -> Load {
        Load {
            target,
            connections: self.connections,
            when: When::at(self.rate.get(), lasts),
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "{} reactions a second, due whatever is answered; after {} s Notification is ended and kept away for {} s. What was accepted is counted in both stores.",
                self.rate, self.around, self.away
            ),
            own: BTreeMap::from([
                ("ratePerSecond", self.rate.get().into()),
                ("awaySeconds", self.away.into()),
                ("aroundSeconds", self.around.into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}

/// A row for each part. Returns each one's p99.
fn add(rows: &mut Rows, mode: &str, tally: &Tally, away: &Away) -> Result<[Duration; 3], Failure> {
    let parts = [
        ("before", Duration::ZERO..away.from),
        ("away", away.from..away.until),
        ("after", away.until..Duration::MAX),
    ];
    let mut p99 = [Duration::ZERO; 3];
    for (p99, (name, time)) in p99.iter_mut().zip(parts) {
        let Part {
            accepted,
            failed,
            waits,
            lag: late,
        } = tally.within(time)?;
        *p99 = waits.within(0.99);
        let drained = Some(away.drained).filter(|_| name == "after");
        let figures = quantiles(&waits)
            .into_iter()
            .chain([
                (Figure::ACCEPTED, accepted as f64),
                (Figure::FAILED, failed as f64),
            ])
            .chain(lag(&late))
            .chain(drained.map(|it| (Figure::DRAIN, it.as_secs_f64())));
        rows.add(&format!("{mode}, {name}"), figures);
    }
    Ok(p99)
}
