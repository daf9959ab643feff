//! `duet bench volume`: what it costs that much is stored, that lists are long, and that much waits for a broker that is away.

mod lists; // lists that are long
mod waiting; // an outbox that is full

use super::{
    count::Stored,
    load::{Load, Posts, Reactions, Requests, Users, When},
    options::{Common, seconds, tell},
    pair::{Pair, Setup},
    report::{Bound, Figure, Findings, Goal, Rows, Spread, Terms, in_micros, shown},
    sample::Sample,
};
use crate::{
    channel_file::name,
    failure::{Doing, Failure},
};
use duet_crd::Mode;
use std::{
    collections::BTreeMap,
    num::{NonZeroU16, NonZeroU32},
    path::{Path, PathBuf},
    time::Instant,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) common: Common,
    /// Reactions in the large stores
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN))]
    rows: NonZeroU32,
    /// Reactions in the small stores
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(10_000).unwrap_or(NonZeroU32::MIN))]
    few: NonZeroU32,
    /// A post's reactions and a user's notifications, where lists are read
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(100_000).unwrap_or(NonZeroU32::MIN))]
    listed: NonZeroU32,
    /// Reactions that are accepted while the broker is away
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(100_000).unwrap_or(NonZeroU32::MIN))]
    waiting: NonZeroU32,
    /// Seconds of load in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Callers, each with a connection of its own and one request under way
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
}

/// Posts that are reacted to.
const POSTS: Posts = Posts(NonZeroU32::new(100).unwrap());
const START: Figure = shown("startSeconds", "start s", 1.0, 2);

/// Stores that a pair is started over, time after time. Rows land in no order: each on a page of its own.
#[derive(Debug)]
struct Stores {
    dir: PathBuf,
    requests: Requests,
    /// Accepted so far.
    held: u64,
}

/// What one round on such stores brought.
#[derive(Debug)]
struct Round {
    sample: Sample,
    /// From the start of the processes until they were ready, in seconds.
    start: f64,
}

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Findings, Failure> {
        let terms = self.terms(home)?;
        let (mut baseline, mut modes) = (Rows::default(), Rows::default());
        let mut goals = self.rates(home, &mut baseline, &mut modes).await?;
        goals.extend(lists::measure(self, home, &mut baseline, &mut modes).await?);
        goals.extend(waiting::measure(self, home, &mut modes).await?);
        Ok(Findings {
            question: "volume",
            terms,
            baseline,
            modes,
            goals,
        })
    }

    /// The rate with much stored beside that with little.
    async fn rates(
        &self,
        home: &Path,
        baseline: &mut Rows,
        modes: &mut Rows,
    ) -> Result<Vec<Goal>, Failure> {
        let mut much = self.filled(home.join("much"), self.rows).await?;
        let mut ratios: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 1..=self.common.rounds {
            for mode in self.common.modes() {
                let mut little = self.filled(home.join("little"), self.few).await?;
                let few = self.round(&mut little, mode).await?;
                little.counted()?;
                let many = self.round(&mut much, mode).await?;
                let mode = name(mode);
                let ratio = many.sample.per_second() / few.sample.per_second();
                tell(
                    round,
                    self.common.rounds,
                    format!("{mode}: {ratio:.2} of the rate with {} reactions", self.few),
                );
                ratios.entry(mode).or_default().push(ratio);
                baseline.add(&format!("{mode}, {} stored", self.few), few.figures());
                modes.add(&format!("{mode}, {} stored", self.rows), many.figures());
            }
        }
        much.counted()?;
        let goal = |(mode, ratios): (&str, Vec<f64>)| {
            let of = format!(
                "{mode}: rate with {} reactions stored to that with {}",
                self.rows, self.few
            );
            Goal::new(of, Spread::of(ratios), Bound::AtLeast(0.6))
        };
        Ok(ratios.into_iter().map(goal).collect())
    }

    /// New stores that hold so many, made by asking the pair for them.
    async fn filled(&self, dir: PathBuf, rows: NonZeroU32) -> Result<Stores, Failure> {
        std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
        let setup = Setup::of(&self.common, Mode::Async, POSTS);
        let mut stores = Stores {
            requests: Requests::Reactions(Reactions::to(POSTS, Users::Scattered)),
            held: 0,
            dir,
        };
        let pair = Pair::start(&stores.dir, &setup).await?;
        let load = self.load(&pair, When::Made(rows.get().into()));
        stores.held += load.run(stores.requests.clone()).await?.accepted();
        pair.drained().await?;
        pair.stop().await?;
        Ok(stores)
    }

    async fn round(&self, stores: &mut Stores, mode: Mode) -> Result<Round, Failure> {
        let setup = Setup::of(&self.common, mode, POSTS).again();
        let began = Instant::now();
        let pair = Pair::start(&stores.dir, &setup).await?;
        let start = began.elapsed().as_secs_f64();
        let warm_up = self.load(&pair, When::Answered(seconds(1)));
        stores.held += warm_up.run(stores.requests.clone()).await?.accepted();
        pair.drained().await?;
        let load = self.load(&pair, When::Answered(seconds(self.duration)));
        let requests = stores.requests.clone();
        let sample = Sample::take(load, requests, &pair.processes(), pair.drained()).await?;
        stores.held += sample.answered.accepted();
        pair.stop().await?;
        Ok(Round { sample, start })
    }

    fn load(&self, pair: &Pair, when: When) -> Load {
        Load {
            target: pair.reaction,
            connections: self.connections,
            when,
        }
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            words: format!(
                "{} callers, {} s a round, the drain included; users come in no order, so that each row lands on a page of its own. Lists of {} are read page by page; {} reactions wait while the broker is away. What was accepted is counted in both stores.",
                self.connections, self.duration, self.listed, self.waiting
            ),
            own: BTreeMap::from([
                ("rows", self.rows.get().into()),
                ("few", self.few.get().into()),
                ("listed", self.listed.get().into()),
                ("waiting", self.waiting.get().into()),
                ("durationSeconds", self.duration.into()),
                ("connections", self.connections.get().into()),
            ]),
            ground: self.common.ground(home)?,
        })
    }
}

impl Stores {
    /// Counts both and removes them.
    fn counted(self) -> Result<(), Failure> {
        Stored::under(&self.dir)?.must_be(self.held)?;
        std::fs::remove_dir_all(&self.dir).doing(|| format!("remove {}", self.dir.display()))
    }
}

impl Round {
    fn figures(&self) -> [(Figure, f64); 4] {
        let wait = |share| in_micros(self.sample.answered.wait(share));
        [
            (Figure::PER_SECOND, self.sample.per_second()),
            (Figure::P50, wait(0.5)),
            (Figure::P99, wait(0.99)),
            (START, self.start),
        ]
    }
}
