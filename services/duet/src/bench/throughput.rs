//! `duet bench throughput`: reactions a second, from the caller to both stores, beside a bare web server's requests.
//!
//! Rounds alternate, baseline first, so that what the machine does meanwhile hits all of them; each mode is compared with the
//! baseline of its own round. Each round of the pair has new stores: rounds are alike, and their spread means something.

use super::{
    baseline::Baseline,
    count::Stored,
    disk::Disk,
    load::{Load, Posts, Reactions, Requests, Users, cores},
    pair::{Pair, Setup, Traces},
    report::{ModeReport, Report, Series, Spread, Terms},
    sample::Sample,
};
use crate::{
    channel_file::name,
    commands::mode::Mode,
    data_dir::DataDir,
    failure::{Doing, Failure, Kind},
};
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
    /// Only this mode [default: both]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Callers, each with a connection of its own and one request under way
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::new(256).unwrap_or(NonZeroU16::MIN))]
    connections: NonZeroU16,
    /// Seconds of load in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    duration: u16,
    /// Seconds of load before each round's measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=3600))]
    warm_up: u16,
    /// Rounds of which the median is told
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Posts that are reacted to
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN))]
    posts: NonZeroU32,
    /// In which order the users of a post come
    #[arg(long, value_enum, default_value_t = Users::Ordered)]
    users: Users,
    /// Which traces are recorded
    #[arg(long, value_enum, default_value_t = Traces::BY_ITSELF)]
    traces: Traces,
    /// The nats-server to start [default: what `make tools` fetched, else the one on PATH]
    #[arg(long, value_name = "PATH", env = "DUET_NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// The stores are made in a directory in this one, and removed afterwards
    #[command(flatten)]
    data: DataDir,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How long the baseline may take to stop.
const STOPPED: Duration = Duration::from_secs(10);

impl Options {
    pub(super) async fn measure(&self) -> Result<Report, Failure> {
        let home = self.data.path();
        std::fs::create_dir_all(home).doing(|| format!("make the directory {}", home.display()))?;
        let home = tempfile::Builder::new().prefix("bench-").tempdir_in(home);
        let home = home.doing(|| format!("make a directory in {}", self.data.path().display()))?;
        // Children may have another working directory.
        let path = std::path::absolute(home.path()).doing(|| "tell where it runs".to_owned())?;
        self.measure_in(&path)
            .await
            .map_err(|failure| match failure.kind() {
                Kind::Differs => {
                    let kept = home.keep();
                    failure.hint(format!(
                        "The stores and the log are kept in {}.",
                        kept.display()
                    ))
                }
                _ => failure,
            })
    }

    async fn measure_in(&self, home: &Path) -> Result<Report, Failure> {
        let terms = self.terms(Disk::under(home)?);
        let baseline = Baseline::start(WORKERS, &home.join("baseline.log")).await?;
        let mut modes: Vec<_> = match self.mode {
            Some(mode) => vec![Rounds::of(mode.into())],
            None => [Mode::Sync, Mode::Async]
                .map(|mode| Rounds::of(mode.into()))
                .into(),
        };
        let mut beside = Vec::new();
        for round in 1..=self.rounds {
            let tell = |what, sample: &Sample| {
                eprintln!(
                    "duet: round {round} of {}: {what} {:.0}/s",
                    self.rounds,
                    sample.per_second()
                );
            };
            let base = self.baseline(&baseline).await?;
            tell("baseline", &base);
            for mode in &mut modes {
                let sample = self.pair(home, mode).await?;
                tell(name(mode.mode), &sample);
                mode.ratios.push(sample.per_second() / base.per_second());
                mode.samples.push(sample);
            }
            beside.push(base);
        }
        baseline.child.stop(STOPPED).await?;
        Ok(Report {
            terms,
            baseline: Series::of(&beside),
            modes: modes.into_iter().map(Rounds::report).collect(),
        })
    }

    /// One round of the baseline.
    async fn baseline(&self, baseline: &Baseline) -> Result<Sample, Failure> {
        let processes = BTreeMap::from([("baseline".to_owned(), baseline.process()?)]);
        let (warm_up, load) = self.loads(baseline.listen);
        warm_up.run(Requests::root()).await?;
        Sample::take(load, Requests::root(), &processes, async { Ok(()) }).await
    }

    /// One round of the pair, over new stores. They are counted afterwards, and go if they hold what was accepted.
    async fn pair(&self, home: &Path, rounds: &mut Rounds) -> Result<Sample, Failure> {
        let dir = home.join(name(rounds.mode));
        std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
        let posts = Posts(self.posts);
        let pair = Pair::start(
            &dir,
            &Setup {
                mode: rounds.mode,
                traces: self.traces,
                posts,
                nats_server: self.nats_server.as_deref(),
            },
        )
        .await?;
        let requests = Requests::Reactions(Reactions::to(posts, self.users));
        let (warm_up, load) = self.loads(pair.reaction);
        let warmed_up = warm_up.run(requests.clone()).await?;
        pair.drained().await?;
        let sample = Sample::take(load, requests, &pair.processes(), pair.drained()).await?;
        pair.stop().await?;

        let accepted = warmed_up.accepted() + sample.answered.accepted();
        Stored::under(&dir)?.must_be(accepted)?;
        rounds.stored += accepted;
        std::fs::remove_dir_all(&dir).doing(|| format!("remove {}", dir.display()))?;
        Ok(sample)
    }

    /// The same for all that is measured: first to warm up, then to measure.
    fn loads(&self, target: SocketAddr) -> (Load, Load) {
        let load = |seconds: u16| Load {
            target,
            connections: self.connections,
            duration: Duration::from_secs(seconds.into()),
        };
        (load(self.warm_up), load(self.duration))
    }

    fn terms(&self, disk: Disk) -> Terms {
        let (warm_up, load) = self.loads(SocketAddr::from(([127, 0, 0, 1], 0)));
        Terms {
            connections: self.connections.get(),
            duration: load.duration,
            warm_up: warm_up.duration,
            rounds: self.rounds,
            posts: self.posts.get(),
            users: self.users,
            workers: WORKERS,
            cores: cores(),
            traces: self.traces,
            disk,
        }
    }
}

/// What the rounds of one mode have brought.
struct Rounds {
    mode: duet_crd::Mode,
    samples: Vec<Sample>,
    ratios: Vec<f64>,
    stored: u64,
}

impl Rounds {
    fn of(mode: duet_crd::Mode) -> Self {
        Self {
            mode,
            samples: Vec::new(),
            ratios: Vec::new(),
            stored: 0,
        }
    }

    fn report(self) -> ModeReport {
        ModeReport {
            mode: name(self.mode),
            ratio: Spread::of(self.ratios),
            drain_seconds: Spread::of(self.samples.iter().map(|it| it.drain().as_secs_f64())),
            series: Series::of(&self.samples),
            stored: self.stored,
        }
    }
}
