//! What every question is told, and where it is answered: in a directory that is removed afterwards.

use super::{disk::Disk, load::cores, pair::Traces, report::Ground};
use crate::{
    commands::{mode::Mode, up::nats},
    data_dir::DataDir,
    failure::{Doing, Failure, Kind},
};
use duet_web::server::WORKERS;
use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

/// What comes a second at most, each of which is counted by itself, and posts at most, which are made before they are reacted to.
pub(super) const MOST: u32 = 1_000_000;

/// A number on the command line from 1 to [`MOST`].
pub(super) fn up_to_a_million(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &NonZeroU32| number.get() <= MOST)
        .ok_or_else(|| format!("it is a number from 1 to {MOST}"))
}

/// Seconds on the command line.
pub(super) fn seconds(seconds: u16) -> Duration {
    Duration::from_secs(seconds.into())
}

#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Only this mode [default: both]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Rounds of which the median is told
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) rounds: u16,
    /// Which traces are recorded
    #[arg(long, value_enum, default_value_t = Traces::BY_ITSELF)]
    pub(super) traces: Traces,
    /// The nats-server to start [default: what `make tools` fetched, else the one on PATH]
    #[arg(long, value_name = "PATH", env = "DUET_NATS_SERVER")]
    pub(super) nats_server: Option<PathBuf>,
    /// The stores are made in a directory in this one, and removed afterwards
    #[command(flatten)]
    data: DataDir,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    pub(super) fn modes(&self) -> Vec<duet_crd::Mode> {
        match self.mode {
            Some(mode) => vec![mode.into()],
            None => [Mode::Sync, Mode::Async].map(Into::into).into(),
        }
    }

    /// Measures in a directory of its own. It is kept where something was lost.
    pub(super) async fn within<T>(
        &self,
        measure: impl AsyncFnOnce(&Path) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let home = self.data.path();
        std::fs::create_dir_all(home).doing(|| format!("make the directory {}", home.display()))?;
        nats::find(self.nats_server.as_deref()).await?; // before minutes of baselines
        let home = tempfile::Builder::new().prefix("bench-").tempdir_in(home);
        let home = home.doing(|| format!("make a directory in {}", self.data.path().display()))?;
        // Children may have another working directory.
        let path = std::path::absolute(home.path()).doing(|| "tell where it runs".to_owned())?;
        measure(&path)
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

    /// On what everything is measured.
    pub(super) fn ground(&self, home: &Path) -> Result<Ground, Failure> {
        Ok(Ground {
            rounds: self.rounds,
            workers: WORKERS,
            cores: cores(),
            traces: self.traces,
            disk: Disk::under(home)?,
        })
    }
}

/// Tells on stderr what has come so far.
pub(super) fn tell(round: u16, rounds: u16, what: impl std::fmt::Display) {
    eprintln!("duet: round {round} of {rounds}: {what}");
}
