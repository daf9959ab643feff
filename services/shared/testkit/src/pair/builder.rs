//! What a pair is started with, and its start.

use super::{Mode, PATIENCE, Pair, Service, replace, with_mode};
use crate::{NatsServer, Toxiproxy, Wire};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

/// What a [`Pair`] is started with.
#[derive(Debug)]
pub struct PairBuilder {
    program: PathBuf,
    mode: Mode,
    edits: Vec<(String, String)>,
    env: Vec<(OsString, OsString)>,
    trending: bool,
    links: bool,
    wire: bool,
    nats: String,
}

impl PairBuilder {
    pub(super) fn new(program: PathBuf, mode: Mode) -> Self {
        Self {
            program,
            mode,
            edits: Vec::new(),
            env: Vec::new(),
            trending: false,
            links: false,
            wire: false,
            nats: String::new(),
        }
    }

    /// Trending is a second receiver: `duet serve trending` runs too, and the Channel is to it.
    #[must_use]
    pub fn trending(mut self) -> Self {
        self.trending = true;
        let both = "[{name: notification}, {name: trending}]";
        self.channel("[{name: notification}]", both)
    }

    /// Each two processes that speak do so through a link of [`Pair::links`]: `reaction-notification`, `reaction-trending`, and each
    /// service's `NAME-nats`.
    #[must_use]
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// Replaces a piece of the Channel document; it must be there.
    #[must_use]
    pub fn channel(mut self, piece: &str, with: &str) -> Self {
        self.edits.push((piece.to_owned(), with.to_owned()));
        self
    }

    /// A configuration of the broker's own, in nats-server's language.
    #[must_use]
    pub fn nats(self, config: &str) -> Self {
        let nats = config.to_owned();
        Self { nats, ..self }
    }

    /// An environment variable for all services.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Reaction reaches the broker over a wire that may be made to fail: [`Pair::wire`].
    #[must_use]
    pub fn over_a_wire(mut self) -> Self {
        self.wire = true;
        self
    }

    /// Both services export their spans to this endpoint, soon after they end.
    #[must_use]
    pub fn traces(self, endpoint: &str) -> Self {
        self.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
    }

    /// Starts all processes and waits until all services are ready.
    ///
    /// # Panics
    /// If one doesn't get ready.
    pub async fn start(self) -> Pair {
        let dir = tempfile::Builder::new()
            .prefix("duet-pair-")
            .tempdir()
            .expect("a temporary directory can be made");
        let channel = dir.path().join("channel.yaml");
        let mut document = with_mode(duet_crd::EXAMPLE, self.mode);
        for (piece, with) in &self.edits {
            assert!(
                document.contains(piece),
                "the Channel document has no {piece:?}:\n{document}"
            );
            document = document.replacen(piece, with, 1);
        }
        replace(&channel, &document);

        let nats = NatsServer::start_with(&self.nats).await;
        let links = if self.links {
            Some(Toxiproxy::start().await)
        } else {
            None
        };
        // The address by which `from` reaches what is at `to`.
        let reach = async |from: &str, name: &str, to: SocketAddr| match &links {
            Some(links) => links.link(&format!("{from}-{name}"), to).await,
            None => to,
        };
        let wire = if self.wire {
            Some(Wire::to(nats.address()).await)
        } else {
            None
        };
        let service = async |name: &'static str, more: Vec<OsString>| {
            let wire = wire.as_ref().filter(|_| name == "reaction");
            let nats = wire.map_or(nats.address(), Wire::address);
            let nats = reach(name, "nats", nats).await;
            let mut args: Vec<OsString> = vec!["--channel".into(), channel.clone().into()];
            args.extend(["--nats".into(), format!("nats://{nats}").into()]);
            args.extend(more);
            let data = dir.path().join(name);
            Service::start(name, self.program.clone(), data, args, self.env.clone()).await
        };
        let notification = service("notification", Vec::new()).await;
        let trending = if self.trending {
            Some(service("trending", Vec::new()).await)
        } else {
            None
        };
        let mut receivers = Vec::new();
        for receiver in std::iter::once(&notification).chain(&trending) {
            let address = reach("reaction", receiver.name(), receiver.internal_address()).await;
            let address = format!("{}=http://{address}", receiver.name());
            receivers.extend(["--receiver".into(), address.into()]);
        }
        let reaction = service("reaction", receivers).await;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client can be built");
        let pair = Pair {
            reaction,
            notification,
            trending,
            links,
            nats,
            wire,
            http,
            channel,
            _dir: dir,
        };
        pair.ready().await;
        pair
    }
}
