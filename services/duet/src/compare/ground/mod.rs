//! The pair that a run measures, and what is done to it: the Channel set, a part hung or taken away, all of it put back.

mod in_cluster; // a release
mod laptop; // under a `duet up`
mod observed; // what waits, as the services tell it

use super::{
    measured::PairPlace,
    printed::Time,
    wanted::{Faults, Wanted},
};
use crate::{
    failure::{Failure, Kind},
    internal::client,
    place::{Pair, Place},
};
use duet_crd::Mode;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

pub(super) use observed::{Waiting, waiting};

/// The service that is the second receiver.
const TRENDING: &str = "trending";

/// A part of the pair that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upset {
    /// The receiver's port is open and nothing answers.
    Hung,
    /// The receiver is not there.
    Absent,
    /// The broker is not there.
    BrokerDown,
    /// The broker is not there, and what it stored is gone.
    BrokerWiped,
}

/// The pair.
pub(super) enum Ground {
    Laptop(Box<laptop::Laptop>),
    Cluster(Box<in_cluster::InCluster>),
}

impl Ground {
    /// Takes the pair for this run alone. What an earlier run left is put back first.
    pub(super) async fn take(place: &Place) -> Result<Self, Failure> {
        Ok(match place.cluster() {
            None => Self::Laptop(Box::new(laptop::Laptop::take(&place.data)?)),
            Some(options) => Self::Cluster(Box::new(in_cluster::InCluster::take(options).await?)),
        })
    }

    /// Only puts back what a run left that was killed. Says what was done.
    pub(super) async fn put_back_what_was_left(place: &Place) -> Result<String, Failure> {
        match place.cluster() {
            None => laptop::put_back_what_was_left(&place.data),
            Some(options) => in_cluster::put_back_what_was_left(options).await,
        }
    }

    /// The Channel document before the run: as YAML, and read.
    pub(super) fn before(&self) -> (&str, &Value) {
        match self {
            Self::Laptop(it) => it.before(),
            Self::Cluster(it) => it.before(),
        }
    }

    /// Which pair it is, for the report.
    pub(super) async fn place(&self) -> Result<PairPlace, Failure> {
        match self {
            Self::Laptop(_) => Ok(PairPlace::Laptop { own: false }),
            Self::Cluster(it) => it.place().await,
        }
    }

    /// What the pair runs on, by name, with its version; who doesn't tell it is left out.
    pub(super) async fn versions(&self) -> BTreeMap<String, String> {
        match self {
            Self::Laptop(it) => it.versions().await,
            Self::Cluster(it) => it.versions().await,
        }
    }

    /// The pair as it is reached now: its processes may have been replaced.
    pub(super) async fn pair_now(&self) -> Result<Pair, Failure> {
        match self {
            Self::Laptop(it) => it.pair(),
            Self::Cluster(it) => it.pair().await,
        }
    }

    /// The names in `spec.to`, as they were before the run.
    pub(super) fn receivers(&self) -> Vec<String> {
        let to = self.before().1["spec"]["to"].as_array();
        let names = to
            .into_iter()
            .flatten()
            .filter_map(|it| it["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// The receiver beside Notification that runs and may join and leave: Trending.
    pub(super) async fn second_receiver(&self) -> Result<String, Failure> {
        let name = match self {
            Self::Laptop(_) => TRENDING.to_owned(),
            Self::Cluster(it) => it.part(TRENDING),
        };
        let pair = self.pair_now().await?;
        let runs = pair
            .participants
            .iter()
            .any(|it| it.name.starts_with(&name));
        runs.then_some(name).ok_or_else(|| {
            let how = match self {
                Self::Laptop(_) => "`duet up --trending` runs it",
                Self::Cluster(_) => "the chart's trending.enabled=true installs it",
            };
            Failure::new(Kind::NotRunning, format!("no second receiver runs; {how}"))
        })
    }

    /// What stands between the two services.
    pub(super) fn between(&self, mode: Mode) -> Vec<String> {
        let between = match (mode, self) {
            (Mode::Async, _) => vec!["nats-server"],
            (Mode::Sync, Self::Laptop(_)) => vec![],
            (Mode::Sync, Self::Cluster(_)) => vec!["the Service's load balancer"],
        };
        between.into_iter().map(str::to_owned).collect()
    }

    /// Open connections that carry events in that mode.
    pub(super) fn connections(&self, mode: Mode) -> Result<u64, Failure> {
        match self {
            Self::Laptop(it) => it.connections(mode),
            Self::Cluster(_) => {
                let what = "connections between pods can't be counted from here";
                Err(Failure::new(Kind::Failed, what))
            }
        }
    }

    /// Sets the Channel, and waits until the pair follows, and until its faults act.
    pub(super) async fn apply(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        match self {
            Self::Laptop(it) => it.apply(wanted).await?,
            Self::Cluster(it) => it.apply(wanted).await?,
        }
        match wanted.faults == Faults::default() {
            true => Ok(()),
            false => self.faults_act().await,
        }
    }

    async fn faults_act(&self) -> Result<(), Failure> {
        observed::faults_act(&client(), &self.pair_now().await?).await
    }

    /// Upsets a part of it; it is so when this ends.
    pub(super) async fn upset(&mut self, what: Upset) -> Result<(), Failure> {
        match self {
            Self::Laptop(it) => it.upset(what).await,
            Self::Cluster(it) => {
                it.upset(what).await?;
                match what {
                    Upset::Hung => self.faults_act().await,
                    _ => Ok(()),
                }
            }
        }
    }

    /// Gives back what was upset; everything is ready again when this ends.
    pub(super) async fn mend(&mut self) -> Result<(), Failure> {
        match self {
            Self::Laptop(it) => it.mend().await,
            Self::Cluster(it) => it.mend().await,
        }
    }

    /// Replaces the receiver's process by a new one, as an update does.
    pub(super) async fn redeploy(&mut self) -> Result<(), Failure> {
        match self {
            Self::Laptop(it) => it.redeploy().await,
            Self::Cluster(it) => it.redeploy().await,
        }
    }

    /// What is done, as a person knows it.
    pub(super) fn how(&self, what: Upset, time: Duration) -> String {
        let time = Time(time);
        let laptop = matches!(self, Self::Laptop(_));
        match (what, laptop) {
            (Upset::Hung, true) => {
                format!("Notification's process was sent SIGSTOP, and SIGCONT after {time}")
            }
            (Upset::Hung, false) => format!(
                "Notification answered nobody for {time} (faults.hangPercent 100: a container's first process can't be sent SIGSTOP from within)"
            ),
            (Upset::Absent, true) => {
                format!("Notification was stopped, its port closed, for {time}")
            }
            (Upset::Absent, false) => {
                format!("Notification's Deployment was scaled to 0 for {time}")
            }
            (Upset::BrokerDown, true) => {
                format!("nats-server was stopped for {time}, and started with what it had")
            }
            (Upset::BrokerDown, false) => format!("NATS' StatefulSet was scaled to 0 for {time}"),
            (Upset::BrokerWiped, true) => format!(
                "nats-server was stopped, its storage removed, and started again after {time}"
            ),
            (Upset::BrokerWiped, false) => {
                "NATS' pod, whose storage ends with it, was deleted".to_owned()
            }
        }
    }

    /// Puts everything back as it was before the run. Says what was done.
    pub(super) async fn put_back(self) -> Result<String, Failure> {
        match self {
            Self::Laptop(it) => it.put_back().await,
            Self::Cluster(it) => it.put_back().await,
        }
    }
}

/// What a run has changed in a release.
pub(crate) use in_cluster::line as line_in_cluster;
