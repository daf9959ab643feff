//! `duet bench throughput`: reactions a second, from the caller to both stores, beside a bare web server's requests.
//!
//! Rounds alternate, baseline first, so that what the machine does meanwhile hits all of them; each mode is compared with the
//! baseline of its own round. Each round of the pair has new stores: rounds are alike, and their spread means something.

mod picture; // the rates as bars
mod report; // the numbers
mod text; // the same for people

use super::{
    baseline::{Baseline, Serves},
    broker,
    count::Stored,
    load::{Load, Posts, Reactions, Requests, Users, When},
    options::{Common, seconds, tell, up_to_a_million},
    pair::{Pair, Setup, Traces},
    report::{Bound, Goal, Spread},
    sample::Sample,
};
use crate::{
    channel_file::name,
    failure::{Doing, Failure},
};
use duet_crd::Mode;
use duet_web::server::WORKERS;
use report::{ModeReport, Report, Series, Terms};
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
    /// Callers, each with a connection of its own and one request under way
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
    /// Seconds of load in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Seconds of load before each round's measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=3600))]
    warm_up: u16,
    /// Posts that are reacted to
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN), value_parser = up_to_a_million)]
    posts: NonZeroU32,
    /// Write a picture of it: SVG, by mode
    #[arg(long, value_name = "FILE", conflicts_with = "mode")]
    pub(super) picture: Option<PathBuf>,
    /// In which order the users of a post come
    #[arg(long, value_enum, default_value_t = Users::Ordered)]
    users: Users,
}

/// How long the broker alone is measured in each round.
const BROKER: Duration = Duration::from_secs(1);

/// What is measured in a round beside the modes: the bare server, and the one that is asked the same.
type Beside = [Sample; 2];

impl Options {
    pub(super) async fn measure(&self, home: &Path) -> Result<Report, Failure> {
        let terms = self.terms(home)?;
        let bare = Baseline::start(Serves::Bare, WORKERS, home).await?;
        let same_request = Baseline::start(Serves::SameRequest, WORKERS, home).await?;
        let mut modes: Vec<_> = self.common.modes().into_iter().map(Rounds::of).collect();
        let mut beside = Vec::new();
        for round in 1..=self.common.rounds {
            let tell = |what: &str, sample: &Sample| {
                let told = format!("{what} {:.0}/s", sample.per_second());
                tell(round, self.common.rounds, told);
            };
            let base = [
                self.baseline(&bare, Requests::root()).await?,
                self.baseline(&same_request, self.reactions()).await?,
            ];
            tell("bare server", &base[0]);
            tell("same request", &base[1]);
            for mode in &mut modes {
                let sample = self.pair(home, mode).await?;
                tell(name(mode.mode), &sample);
                mode.add(sample, &base);
            }
            beside.push(base);
        }
        bare.stop().await?;
        same_request.stop().await?;
        let goals = modes.iter().filter_map(|mode| self.goal(mode)).collect();
        let (bare, same_request): (Vec<_>, Vec<_>) =
            beside.into_iter().map(|[bare, same]| (bare, same)).unzip();
        Ok(Report {
            question: "throughput",
            terms,
            baseline: Series::of(&bare),
            same_request: Series::of(&same_request),
            modes: modes.into_iter().map(Rounds::report).collect(),
            goals,
        })
    }

    /// One round of a baseline.
    async fn baseline(&self, baseline: &Baseline, asked: Requests) -> Result<Sample, Failure> {
        let processes = BTreeMap::from([("baseline".to_owned(), baseline.process()?)]);
        let (warm_up, load) = self.loads(baseline.listen);
        warm_up.run(asked.clone()).await?;
        Sample::take(load, asked, &processes, async { Ok(()) }).await
    }

    /// One round of the pair, over new stores. They are counted afterwards, and go if they hold what was accepted.
    async fn pair(&self, home: &Path, rounds: &mut Rounds) -> Result<Sample, Failure> {
        let dir = home.join(name(rounds.mode));
        std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
        let setup = Setup::of(&self.common, rounds.mode, Posts(self.posts));
        let pair = Pair::start(&dir, &setup).await?;
        let requests = self.reactions();
        let (warm_up, load) = self.loads(pair.reaction);
        let warmed_up = warm_up.run(requests.clone()).await?;
        pair.drained().await?;
        let sample = Sample::take(load, requests, &pair.processes(), pair.drained()).await?;
        if rounds.mode == Mode::Async {
            rounds
                .broker
                .push(broker::rate(pair.broker(), BROKER).await?);
        }
        pair.stop().await?;

        let accepted = warmed_up.accepted() + sample.answered.accepted();
        Stored::under(&dir)?.must_be(accepted)?;
        rounds.stored += accepted;
        std::fs::remove_dir_all(&dir).doing(|| format!("remove {}", dir.display()))?;
        Ok(sample)
    }

    fn reactions(&self) -> Requests {
        Requests::Reactions(Reactions::to(Posts(self.posts), self.users))
    }

    /// The same for all that is measured: first to warm up, then to measure.
    fn loads(&self, target: SocketAddr) -> (Load, Load) {
        let load = |lasts: u16| Load {
            target,
            connections: self.connections,
            when: When::Answered(seconds(lasts)),
        };
        (load(self.warm_up), load(self.duration))
    }

    fn terms(&self, home: &Path) -> Result<Terms, Failure> {
        Ok(Terms {
            connections: self.connections.get(),
            duration: seconds(self.duration),
            warm_up: seconds(self.warm_up),
            posts: self.posts.get(),
            users: self.users,
            ground: self.common.ground(home)?,
        })
    }

    /// What the design asks for, at the two numbers of connections that it names.
    fn goal(&self, rounds: &Rounds) -> Option<Goal> {
        let least = match (rounds.mode, self.connections.get(), self.common.traces) {
            (Mode::Async, 256, Traces::Off) => 0.30,
            (Mode::Async, 256, Traces::Default) => 0.25,
            (Mode::Async, 64, _) => 0.22,
            (Mode::Sync, 256, _) => 0.20,
            (Mode::Sync, 64, _) => 0.15,
            _ => return None,
        };
        let of = format!("{} to the bare server", name(rounds.mode));
        let is = Spread::of(rounds.ratios.iter().copied());
        Some(Goal::new(of, is, Bound::AtLeast(least)))
    }
}

/// What the rounds of one mode have brought.
struct Rounds {
    mode: Mode,
    samples: Vec<Sample>,
    ratios: Vec<f64>,
    ratios_same_request: Vec<f64>,
    broker: Vec<f64>,
    stored: u64,
}

impl Rounds {
    fn of(mode: Mode) -> Self {
        Self {
            mode,
            samples: Vec::new(),
            ratios: Vec::new(),
            ratios_same_request: Vec::new(),
            broker: Vec::new(),
            stored: 0,
        }
    }

    fn add(&mut self, sample: Sample, [bare, same_request]: &Beside) {
        let to = |other: &Sample| sample.per_second() / other.per_second();
        self.ratios.push(to(bare));
        self.ratios_same_request.push(to(same_request));
        self.samples.push(sample);
    }

    fn report(self) -> ModeReport {
        ModeReport {
            mode: name(self.mode),
            ratio: Spread::of(self.ratios),
            ratio_same_request: Spread::of(self.ratios_same_request),
            broker_per_second: (!self.broker.is_empty()).then(|| Spread::of(self.broker)),
            drain_seconds: Spread::of(self.samples.iter().map(|it| it.drain().as_secs_f64())),
            series: Series::of(&self.samples),
            stored: self.stored,
        }
    }
}
