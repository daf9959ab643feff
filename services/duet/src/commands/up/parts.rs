//! The processes: their command lines, and the order in which they start and stop.

use super::{
    Options,
    child::{Child, Spec},
    exporting::Exporting,
    nats,
    ports::{Addresses, Held},
    roster::Roster,
};
use crate::{
    data_dir::DataDir,
    failure::{Doing, Failure, Kind, ending},
    internal::{client, readiness},
    running::Running,
};
use std::{
    collections::BTreeSet, ffi::OsString, io::IsTerminal, path::PathBuf, sync::Arc, time::Duration,
};

/// How long a part may take to be ready; it takes a fraction of a second.
const START: Duration = Duration::from_secs(60);
/// Between two looks at a service that starts.
const PAUSE: Duration = Duration::from_millis(20);
/// What a service takes to end after its own grace period is over.
const BEYOND_GRACE: Duration = Duration::from_secs(2);
/// nats-server has nothing to finish once nobody uses it.
const NATS_GRACE: Duration = Duration::from_secs(5);
/// Services send their spans this often, in milliseconds, so that a trace can be looked at right after the request.
const EXPORT_EVERY: &str = "500";

/// What runs, in the order it was started.
#[derive(Debug)]
pub(super) struct Parts {
    data: DataDir,
    grace: Duration,
    addresses: Addresses,
    exporting: Exporting,
    held: Held,
    /// None where the server is somebody else's.
    nats_server: Option<PathBuf>,
    roster: Arc<Roster>,
    children: Vec<Child>,
}

impl Parts {
    pub(super) fn new(
        options: &Options,
        addresses: Addresses,
        held: Held,
        roster: Arc<Roster>,
        nats_server: Option<PathBuf>,
    ) -> Self {
        let (data, grace) = (options.data.clone(), options.grace());
        Self {
            data,
            grace,
            addresses,
            exporting: options.exporting(&addresses),
            held,
            nats_server,
            roster,
            children: Vec::new(),
        }
    }

    /// Starts the broker, then all services at once: none waits for another. Ends when all are ready.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let http = client();
        if let Some(program) = self.nats_server.clone() {
            let spec = self.nats(program);
            let monitoring = self.addresses.nats_monitoring;
            let nats = self.child(spec)?;
            ready(nats, nats::ready(&http, monitoring)).await?;
        }
        let running = self.roster.now();
        let receivers = [Some(self.notification(&running)), self.trending(&running)];
        for spec in receivers.into_iter().flatten() {
            self.child(spec)?;
        }
        self.child(self.reaction(&running))?;
        for (name, service) in running.services() {
            let is_ready = async {
                while !readiness(&http, &service.internal)
                    .await
                    .is_ok_and(|told| told.ready)
                {
                    tokio::time::sleep(PAUSE).await;
                }
            };
            if let Some(child) = self.children.iter().find(|child| child.name == name) {
                ready(child, is_ready).await?;
            }
        }
        Ok(())
    }

    /// Keeps those down that are named, and starts the others again that were.
    pub(super) fn keep_down(&self, named: &BTreeSet<String>) {
        for child in &self.children {
            child.keep_down(named.contains(child.name));
        }
    }

    /// Stops all, the last started first: Reaction gives what it has to Notification or the broker.
    pub(super) async fn stop(&mut self) {
        for child in self.children.iter_mut().rev() {
            child.stop().await;
            eprintln!("duet: {} has stopped", child.name);
        }
    }

    /// Ends all at once.
    pub(super) async fn abort(&mut self) {
        self.children.iter().for_each(Child::abort);
        for child in &mut self.children {
            child.gone().await;
        }
    }

    fn child(&mut self, spec: Spec) -> Result<&Child, Failure> {
        let dir = self.data.of(spec.name);
        std::fs::create_dir_all(&dir).doing(|| format!("make the directory {}", dir.display()))?;
        self.held.make_way(spec.name);
        self.children.push(Child::start(spec, self.roster.clone())?);
        self.children
            .last()
            .ok_or_else(|| Failure::new(Kind::Failed, "no child was started"))
    }

    fn nats(&self, program: PathBuf) -> Spec {
        let Addresses {
            nats,
            nats_monitoring,
            ..
        } = self.addresses;
        let mut args = words(["--addr", "127.0.0.1", "--jetstream", "--store_dir"]);
        args.push(self.data.of("nats").into());
        args.extend(words(["--port", &nats.port().to_string()]));
        args.extend(words(["--http_port", &nats_monitoring.port().to_string()]));
        Spec {
            name: "nats",
            program,
            args,
            env: Vec::new(),
            grace: NATS_GRACE,
            // A page of greetings; warnings and errors are marked otherwise.
            noise: |line| line.contains(" [INF] "),
        }
    }

    fn notification(&self, running: &Running) -> Spec {
        let Addresses {
            notification,
            notification_internal,
            ..
        } = self.addresses;
        let listen = [notification, notification_internal].map(|it| it.to_string());
        self.service("notification", listen, running, Vec::new())
    }

    fn trending(&self, running: &Running) -> Option<Spec> {
        let listen = self.addresses.trending?.map(|it| it.to_string());
        Some(self.service("trending", listen, running, Vec::new()))
    }

    fn reaction(&self, running: &Running) -> Spec {
        let Addresses {
            reaction,
            reaction_internal,
            ..
        } = self.addresses;
        let listen = [reaction, reaction_internal].map(|it| it.to_string());
        let receivers = running.services().into_iter().skip(1);
        let receivers =
            receivers.map(|(name, at)| words(["--receiver", &format!("{name}={}", at.internal)]));
        self.service("reaction", listen, running, receivers.flatten().collect())
    }

    fn service(
        &self,
        name: &'static str,
        [public, internal]: [String; 2],
        running: &Running,
        more: Vec<OsString>,
    ) -> Spec {
        let mut args = words([
            "serve",
            name,
            "--listen",
            &public,
            "--internal-listen",
            &internal,
        ]);
        args.extend(["--data-dir".into(), self.data.of(name).into()]);
        args.extend(["--channel".into(), running.channel.clone().into()]);
        args.extend(words(["--nats", &running.nats, "--allow-faults"]));
        args.extend(words([
            "--grace-period",
            &format!("{}s", self.grace.as_secs()),
        ]));
        args.extend(more);
        let mut env = Vec::new();
        let mut unless_set = |name, value: &str| {
            if std::env::var_os(name).is_none() {
                env.push((name, value.into()));
            }
        };
        // Services see a pipe; what it leads to decides.
        if std::io::stderr().is_terminal() {
            unless_set("DUET_LOG_FORMAT", "pretty");
        }
        unless_set("OTEL_BSP_SCHEDULE_DELAY", EXPORT_EVERY);
        let exporting = self.exporting.variables(name).into_iter();
        env.extend(exporting.map(|(name, value)| (name, value.into())));
        let program = std::env::current_exe().unwrap_or_else(|_| "duet".into());
        Spec {
            name,
            program,
            args,
            env,
            grace: self.grace + BEYOND_GRACE,
            noise: |_| false,
        }
    }
}

/// Waits for `is_ready`; a child that dies first, or takes too long, is a failure that names it.
async fn ready(child: &Child, is_ready: impl Future<Output = ()>) -> Result<(), Failure> {
    let name = child.name;
    let hint = "Its log above says why.";
    tokio::select! {
        () = is_ready => Ok(()),
        status = child.dies() => {
            let what = format!("{name} ended before it was ready ({})", ending(status));
            Err(Failure::new(Kind::Failed, what).hint(hint))
        }
        () = tokio::time::sleep(START) => {
            Err(Failure::new(Kind::Failed, format!("{name} isn't ready after {START:?}")).hint(hint))
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).into()
}
