//! `duet up`: the whole pair in one terminal, supervised.
//!
//! Everything that runs is a child of this process in a process group of its own, so that Ctrl-C reaches only `duet`,
//! which stops them in order. All of it happens on the main thread: on Linux a child is bound to the *thread* that
//! started it.

mod child; // one process, started again when it dies
mod exporting; // where the services' telemetry goes
mod leftovers; // what a `duet up` that was killed left running
pub(crate) mod nats; // which nats-server, and when it is ready
#[cfg(feature = "jaeger")]
mod pages; // the OTLP receiver and Jaeger's pages
mod parts; // the processes: their command lines, their order
mod ports; // every address, taken or refused before anything starts
mod roster; // what runs, kept in up.json
mod upset; // what a `duet compare` keeps down for a while, and what it left so
mod welcome; // what to do next

use super::{on_one_thread, print, print_json};
use crate::{
    channel_file::ChannelFile,
    data_dir::DataDir,
    failure::{Failure, Kind},
    running::{Running, Service},
    signals::Signals,
};
use duet_telemetry::Protocol;
use exporting::Exporting;
pub(crate) use nats::nats_version;
use parts::Parts;
use ports::Addresses;
use roster::Roster;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataDir,
    /// The Channel document; made with its defaults if it isn't there [default: DIR/channel.yaml]
    #[arg(long, value_name = "FILE")]
    channel: Option<PathBuf>,
    /// Use this NATS server (2.14 or later, with JetStream) instead of starting one
    #[arg(long, value_name = "URL", value_parser = addresses_of(&["nats", "tls"]))]
    nats: Option<String>,
    /// The nats-server to start [default: what `make tools` fetched, else the one on PATH]
    #[arg(long, value_name = "PATH", env = "DUET_NATS_SERVER")]
    nats_server: Option<PathBuf>,
    #[command(flatten)]
    listen: Listen,
    /// Seconds each service may take to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    grace: u16,
    /// Send spans there instead of to Jaeger's pages here
    #[arg(long, value_name = "URL", value_parser = addresses_of(&["http", "https"]))]
    otlp: Option<String>,
    /// How: grpc or http/protobuf [default: http/protobuf at port 4318, else grpc]
    #[arg(long, value_name = "PROTOCOL", requires = "otlp", value_parser = protocol)]
    otlp_protocol: Option<Protocol>,
    /// Print addresses and processes as JSON when all is ready
    #[arg(long)]
    json: bool,
}

/// Trending's public port, where no other is named.
const TRENDING: &str = "127.0.0.1:8100";

/// Where the parts answer; port 0 takes a free one.
#[derive(Debug, clap::Args)]
struct Listen {
    /// Reaction
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    reaction: SocketAddr,
    /// Reaction's internal port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    reaction_internal: SocketAddr,
    /// Notification
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    notification: SocketAddr,
    /// Notification's internal port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
    notification_internal: SocketAddr,
    /// Run Trending too, a second receiver, at this address if one is given, and make the Channel be to it as well. Without this it
    /// runs if the Channel is to it
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = TRENDING)]
    trending: Option<SocketAddr>,
    /// Trending's internal port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8101")]
    trending_internal: SocketAddr,
    /// Jaeger's pages
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:16686")]
    jaeger: SocketAddr,
}

/// A value parser for addresses with one of these schemes, which leaves them as they are.
fn addresses_of(
    schemes: &'static [&'static str],
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| {
        let is_one = reqwest::Url::parse(text)
            .is_ok_and(|url| url.has_host() && schemes.contains(&url.scheme()));
        let wanted = schemes.join(":// or ");
        is_one
            .then(|| text.to_owned())
            .ok_or_else(|| format!("not an address that begins with {wanted}://"))
    }
}

fn protocol(name: &str) -> Result<Protocol, String> {
    Protocol::named(name).ok_or_else(|| "not grpc or http/protobuf".to_owned())
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    on_one_thread(up(options))
}

async fn up(mut options: Options) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let given = options.data.given().map(Path::to_owned);
    let held = options.data.hold()?;
    leftovers::end(&options.data).await?;
    upset::begin(&options.data);
    let channel = channel(&options)?;
    let nats_server = match &options.nats {
        Some(url) => {
            nats::check(url).await?;
            None
        }
        None => Some(nats::find(options.nats_server.as_deref()).await?),
    };
    let ports = ports::take(&options, options.trending(&channel))?;
    let addresses = ports.addresses;
    let running = running(&options, &addresses, channel.path())?;
    let roster = Arc::new(Roster::new(options.data.clone(), running));

    // Spans come until the last service has stopped, so this ends after them.
    #[cfg(feature = "jaeger")]
    let _pages = ports.pages.map(pages::serve);
    let announce = || match options.json {
        true => print_json(&roster.now()),
        false => {
            print(welcome::text(&roster.now(), &channel, given.as_deref()));
            Ok(())
        }
    };
    // From here on there is something to stop, whatever happens.
    let mut parts = Parts::new(&options, addresses, ports.held, roster.clone(), nats_server);
    let outcome = tokio::select! {
        outcome = serve(&options.data, &mut parts, &announce) => outcome,
        () = signals.stop() => Ok(()),
    };
    if outcome.is_ok() {
        eprintln!("duet: stopping; Ctrl-C again to end everything at once");
    }
    let stopped = tokio::select! {
        () = parts.stop() => Ok(()),
        () = signals.stop() => {
            parts.abort().await;
            Err(Failure::new(Kind::Failed, "ended at once; what is durable is kept"))
        }
    };
    options.data.tell_nothing();
    drop(held);
    outcome.and(stopped)
}

/// Starts everything and says so; then it is kept running, but for what a `duet compare` upsets for a while.
async fn serve(
    data: &DataDir,
    parts: &mut Parts,
    announce: impl Fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    parts.start().await?;
    announce()?;
    upset::follow(data, parts).await
}

/// The document that both services will watch, made if it isn't there.
fn channel(options: &Options) -> Result<ChannelFile, Failure> {
    let path = options
        .channel
        .clone()
        .unwrap_or_else(|| options.data.channel());
    if DataDir::make_channel(&path, duet_crd::EXAMPLE)? {
        eprintln!("duet: made {} with the defaults", path.display());
    }
    let mut channel = ChannelFile::read(&path)?;
    if options.listen.trending.is_some() && !channel.is_to("trending") {
        channel.add_receiver("trending")?;
        eprintln!("duet: {} is to trending, too, now", path.display());
    }
    Ok(channel)
}

fn running(options: &Options, at: &Addresses, channel: &Path) -> Result<Running, Failure> {
    let duet = crate::process::Process::this()
        .ok_or_else(|| Failure::new(Kind::Failed, "can't tell when this process was started"))?;
    let service = |public, internal| Service {
        public: format!("http://{public}"),
        internal: format!("http://{internal}"),
    };
    let own_otlp = at.otlp.map(|address| format!("http://{address}"));
    Ok(Running {
        duet,
        channel: channel.to_owned(),
        reaction: service(at.reaction, at.reaction_internal),
        notification: service(at.notification, at.notification_internal),
        trending: at
            .trending
            .map(|[public, internal]| service(public, internal)),
        nats: options
            .nats
            .clone()
            .unwrap_or_else(|| format!("nats://{}", at.nats)),
        jaeger: at.jaeger.map(|address| format!("http://{address}")),
        otlp: options.otlp.clone().or(own_otlp),
        children: Default::default(),
    })
}

impl Options {
    /// Where Trending answers, if it is to run: because it is asked for, or because the Channel is to it.
    fn trending(&self, channel: &ChannelFile) -> Option<[SocketAddr; 2]> {
        let usual = || TRENDING.parse().ok().filter(|_| channel.is_to("trending"));
        let public = self.listen.trending.or_else(usual)?;
        Some([public, self.listen.trending_internal])
    }

    fn exporting(&self, at: &Addresses) -> Exporting {
        let pages = at.otlp.map(|address| format!("http://{address}"));
        Exporting::new(self.otlp.as_deref(), self.otlp_protocol, pages)
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.grace.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Up {
        #[command(flatten)]
        options: Options,
    }

    /// Where Trending is to run, by these arguments and a document.
    fn trending(args: &[&str], document: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, document).unwrap();
        let args = [&["up", "--channel", path.to_str().unwrap()], args].concat();
        let options = Up::parse_from(args).options;
        let [public, _] = options.trending(&channel(&options).unwrap())?;
        assert!(ChannelFile::read(&path).unwrap().is_to("trending"));
        Some(public.to_string())
    }

    #[test]
    fn trending_runs_where_it_is_asked_for_or_the_channel_is_to_it() {
        let named = duet_crd::EXAMPLE.replace("{name: notification}", "{name: trending}");
        let usual = Some(TRENDING.to_owned());
        assert_eq!(trending(&[], duet_crd::EXAMPLE), None);
        assert_eq!(trending(&["--trending"], duet_crd::EXAMPLE), usual);
        assert_eq!(trending(&["--trending"], &named), usual);
        assert_eq!(trending(&[], &named), usual);
        let elsewhere = trending(&["--trending", "127.0.0.1:9"], duet_crd::EXAMPLE);
        assert_eq!(elsewhere.as_deref(), Some("127.0.0.1:9"));
    }
}
