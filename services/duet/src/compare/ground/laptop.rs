//! A pair under a `duet up`: the Channel is a file, a part is a process.

use super::{Upset, Wanted};
use crate::{
    commands::up::nats_version,
    compare::{connections, journal::Journal, wanted::merged},
    data_dir::{DataDir, Held},
    failure::{Doing, Failure, Kind},
    internal::{self, client, observed},
    place::Pair,
    process::Process,
    running::{Running, SENDER},
};
use duet_crd::Mode;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a service may take to follow the Channel, and a part to go or to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Children of `duet up`, by name.
const RECEIVER: &str = "notification";
const BROKER: &str = "nats";
/// Said above a document that a run writes.
const HEAD: &str = "# Written by `duet compare`, which puts the one of before back when it ends.\n";

/// The pair, held by this run.
pub(in crate::compare) struct Laptop {
    data: DataDir,
    journal: Journal,
    before: Value,
    now: Value,
    /// What `duet up` ran when the run began.
    children: BTreeSet<String>,
    http: reqwest::Client,
    _held: Held,
}

/// Puts back what a run left that was killed.
pub(super) fn put_back_what_was_left(data: &DataDir) -> Result<String, Failure> {
    match Journal::of(data) {
        None => Ok(format!(
            "nothing is left of a `duet compare` in {}",
            data.path().display()
        )),
        Some(left) if left.is_under_way() => {
            Err(Failure::new(Kind::Taken, left.line()).hint("Stop it: it puts everything back."))
        }
        Some(left) => left.put_back(data),
    }
}

impl Laptop {
    pub(super) fn take(data: &DataDir) -> Result<Self, Failure> {
        let running = data.must_run()?;
        let children = running.children.into_keys().collect();
        let (journal, held) = Journal::begin(data, running.channel)?;
        let before: Value = serde_yaml_ng::from_str(journal.before())
            .doing(|| "read the Channel document".to_owned())?;
        Ok(Self {
            data: data.clone(),
            now: before.clone(),
            before,
            children,
            journal,
            http: client(),
            _held: held,
        })
    }

    pub(super) fn before(&self) -> (&str, &Value) {
        (self.journal.before(), &self.before)
    }

    pub(super) async fn versions(&self) -> BTreeMap<String, String> {
        let nats = match self.running() {
            Ok(running) => nats_version(&running.nats).await,
            Err(_) => None,
        };
        nats.map(|it| ("nats-server".to_owned(), it))
            .into_iter()
            .collect()
    }

    pub(super) fn pair(&self) -> Result<Pair, Failure> {
        Ok(self.running()?.into())
    }

    pub(super) fn connections(&self, mode: Mode) -> Result<u64, Failure> {
        let running = self.running()?;
        let (from, to): (&[_], _) = match mode {
            Mode::Sync => (&[SENDER], &running.notification.internal),
            Mode::Async => (&[SENDER, RECEIVER], &running.nats),
        };
        let port = reqwest::Url::parse(to).ok().and_then(|it| it.port());
        let counted = from
            .iter()
            .map(|name| connections::of(running.children.get(*name)?.pid, port?));
        let sum: Option<u64> = counted.sum();
        sum.ok_or_else(|| {
            Failure::new(
                Kind::Failed,
                "this system doesn't tell a process's connections",
            )
        })
    }

    pub(super) async fn apply(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let document = merged(&self.before, &wanted.patch(jiff::Timestamp::now()));
        if document == self.now {
            return Ok(());
        }
        let text = serde_yaml_ng::to_string(&document).doing(|| "write a Channel".to_owned())?;
        let generations = self.generations().await?;
        self.journal
            .write_channel(&self.data, format!("{HEAD}{text}"))?;
        self.now = document;
        self.follow(&generations).await
    }

    /// The generation that each service has in force.
    async fn generations(&self) -> Result<Vec<Option<u64>>, Failure> {
        let mut all = Vec::new();
        for it in self.pair()?.participants {
            let told = observed(&self.http, it.internal.as_deref().unwrap_or_default()).await;
            let told =
                told.map_err(|why| Failure::new(Kind::NotRunning, format!("{}: {why}", it.name)))?;
            all.push(told.observed_generation);
        }
        Ok(all)
    }

    /// Waits until each has a newer one.
    async fn follow(&self, than: &[Option<u64>]) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.generations().await;
            let follow = |now: &Vec<_>| now.iter().zip(than).all(|(now, before)| now > before);
            match now {
                Ok(now) if follow(&now) => return Ok(()),
                Err(failure) if Instant::now() >= deadline => return Err(failure),
                Ok(_) if Instant::now() >= deadline => {
                    let what = format!("the pair doesn't follow the Channel within {PATIENCE:?}");
                    return Err(Failure::new(Kind::Late, what).hint("`duet status` says why."));
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    pub(super) async fn upset(&mut self, what: Upset) -> Result<(), Failure> {
        match what {
            Upset::Hung => self.journal.stop(&self.data, self.child(RECEIVER)?),
            Upset::Absent => self.take_down(RECEIVER).await,
            Upset::BrokerDown => self.take_down(BROKER).await,
            Upset::BrokerWiped => {
                self.take_down(BROKER).await?;
                let storage = self.data.of(BROKER).join("jetstream");
                match std::fs::remove_dir_all(&storage) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(error).doing(|| format!("remove {}", storage.display()))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    pub(super) async fn mend(&mut self) -> Result<(), Failure> {
        self.journal.go_on(&self.data)?;
        let http = &self.http;
        self.until("is not ready again", async |running| {
            let mut runs = self
                .children
                .iter()
                .map(|name| running.children.contains_key(name));
            let mut ready = runs.all(|runs| runs);
            for (_, service) in running.services() {
                let told = internal::readiness(http, &service.internal).await;
                ready &= told.is_ok_and(|it| it.ready);
            }
            ready
        })
        .await
    }

    pub(super) async fn redeploy(&mut self) -> Result<(), Failure> {
        self.take_down(RECEIVER).await?;
        self.mend().await
    }

    /// Stops a child of `duet up` and keeps it down.
    async fn take_down(&mut self, child: &'static str) -> Result<(), Failure> {
        self.child(child)?;
        self.journal.keep_down(&self.data, child)?;
        self.until("doesn't stop", async |running| {
            !running.children.contains_key(child)
        })
        .await
    }

    /// Waits until it is so.
    async fn until(&self, why: &str, is_so: impl AsyncFn(&Running) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.running()?).await {
            if Instant::now() >= deadline {
                let what = format!("a part of the pair {why} after {PATIENCE:?}");
                return Err(Failure::new(Kind::Late, what));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The `duet up`, with what it runs now.
    fn running(&self) -> Result<Running, Failure> {
        self.data.must_run()
    }

    fn child(&self, name: &str) -> Result<Process, Failure> {
        self.running()?.children.remove(name).ok_or_else(|| {
            let what = match name {
                BROKER => "the broker is not this `duet up`'s own (--nats)".to_owned(),
                name => format!("{name} doesn't run"),
            };
            Failure::new(Kind::NotRunning, what)
        })
    }

    pub(super) async fn put_back(mut self) -> Result<String, Failure> {
        let mended = self.mend().await;
        let generations = self.generations().await;
        let told = self.journal.put_back(&self.data)?;
        mended?;
        if self.now != self.before {
            self.follow(&generations?).await?;
        }
        Ok(told)
    }
}
