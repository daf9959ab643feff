//! `duet bench memory`: what each service holds in memory at rest and under load.

use super::{
    baseline::{Baseline, Serves},
    load::{Load, Requests, When},
    options::{Common, seconds, tell},
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms},
    resident::{Resident, of},
    stage::over_new_stores,
};
use crate::{channel_file::name, failure::Failure, process::Process};
use duet_web::server::WORKERS;
use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU16, path::Path, time::Duration};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Seconds of load
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Callers, each with a connection of its own and one request under way
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// What is held to a bound.
const SERVICES: [&str; 2] = ["reaction", "notification"];
const REST: f64 = 32.0;
const LOADED: f64 = 128.0;
const MIB: f64 = (1 << 20) as f64;

/// What one process held, in bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    rest: u64,
    loaded: u64,
    peak: u64,
    after: u64,
}

type Processes = BTreeMap<String, Process>;

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Findings, Failure> {
        let terms = self.terms(home)?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let mut goals: BTreeMap<String, [Vec<f64>; 2]> = BTreeMap::new();
        for round in 1..=self.common.rounds {
            let bare = Baseline::start(Serves::Bare, WORKERS, home).await?;
            let processes = Processes::from([("bare server".to_owned(), bare.process()?)]);
            let load = self.load(bare.listen);
            let held = watched(&processes, async {
                load.run(Requests::root()).await.map(drop)
            });
            for (name, held) in held.await? {
                baseline.add(&name, held.figures());
            }
            bare.stop().await?;
            for mode in self.common.modes() {
                let held = over_new_stores(&self.common, home, mode, async |stage| {
                    let processes = stage.pair.processes();
                    let load = self.load(stage.pair.reaction);
                    watched(&processes, async {
                        stage.run(load).await?;
                        stage.pair.drained().await
                    })
                    .await
                })
                .await?;
                let mode = name(mode);
                for (process, held) in held {
                    let of = format!("{mode}, {process}");
                    modes.add(&of, held.figures());
                    if SERVICES.contains(&process.as_str()) {
                        let [rest, loaded] = goals.entry(of).or_default();
                        rest.push(held.rest as f64 / MIB);
                        loaded.push(held.loaded.max(held.peak) as f64 / MIB);
                    }
                }
                tell(round, self.common.rounds, format!("{mode} is measured"));
            }
        }
        let goals = goals.into_iter().flat_map(|(of, [rest, loaded])| {
            [
                Goal::new(
                    format!("{of} at rest, MiB"),
                    Spread::of(rest),
                    Bound::AtMost(REST),
                ),
                Goal::new(
                    format!("{of} under load, MiB"),
                    Spread::of(loaded),
                    Bound::AtMost(LOADED),
                ),
            ]
        });
        Ok(Findings {
            question: "memory",
            terms,
            baseline,
            modes,
            goals: goals.collect(),
        })
    }

    fn load(&self, target: SocketAddr) -> Load {
        Load {
            target,
            connections: self.connections,
            when: When::Answered(seconds(self.duration)),
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "What processes hold in memory (resident): at rest before anything was asked, at most under {} s of as much as {} callers ask, and once all is delivered.",
                self.duration, self.connections
            ),
            own: BTreeMap::from([
                ("durationSeconds", self.duration.into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}

impl Held {
    fn figures(self) -> [(Figure, f64); 4] {
        let Self {
            rest,
            loaded,
            peak,
            after,
        } = self;
        [
            (Figure::REST, rest),
            (Figure::LOADED, loaded),
            (Figure::PEAK, peak),
            (Figure::AFTER, after),
        ]
        .map(|(figure, bytes)| (figure, bytes as f64))
    }
}

/// Looks at processes before, during and after what is done with them.
async fn watched(
    processes: &Processes,
    done: impl Future<Output = Result<(), Failure>>,
) -> Result<BTreeMap<String, Held>, Failure> {
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    for (name, process) in processes {
        held.entry(name.clone()).or_default().rest = of(name, process)?.now;
    }
    let mut looking = tokio::time::interval(PAUSE);
    tokio::pin!(done);
    loop {
        tokio::select! {
            done = &mut done => break done?,
            _ = looking.tick() => for (name, process) in processes {
                let held = held.entry(name.clone()).or_default();
                held.loaded = held.loaded.max(of(name, process)?.now);
            },
        }
    }
    for (name, process) in processes {
        let Resident { now, peak } = of(name, process)?;
        let held = held.entry(name.clone()).or_default();
        held.after = now;
        held.peak = peak.unwrap_or(held.loaded);
    }
    Ok(held)
}
