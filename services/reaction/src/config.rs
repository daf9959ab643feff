//! What one Reaction process is started with: flags, each with an environment variable beside it.

use std::time::Duration;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::Timing;
use duet_web::process::duration;
use duet_web::service::{Args, with_default};

/// The settings of one Reaction process.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("listen", with_default("127.0.0.1:8080")),
    mut_arg("internal_listen", with_default("127.0.0.1:8081")),
    mut_arg("data_dir", with_default(".duet/reaction"))
)]
pub struct Config {
    /// What each service's process is started with.
    #[command(flatten)]
    pub args: Args,

    /// Where a receiver takes events in `Sync`: NAME=URL of its internal port; repeat for each receiver. In Kubernetes, one that is not named here is called at http://NAME:8081
    #[arg(
        long = "receiver",
        value_name = "NAME=URL",
        env = "DUET_RECEIVERS",
        value_delimiter = ',',
        default_value = "notification=http://127.0.0.1:8091"
    )]
    pub receivers: Vec<Receiver>,

    /// When something that was sent counts as lost.
    #[command(flatten)]
    pub loss: Loss,
}

/// When something that was sent counts as lost, and is sent again: [`Timing`]'s, where nothing else is said. What is delivered does
/// not depend on it; too short costs copies, which change nothing.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Loss {
    /// An event that was overtaken is sent again after the consumer's ackWait and this [default: 15s]
    #[arg(long, value_name = "DURATION", env = "DUET_ORDER_SLACK", hide_short_help = true, value_parser = duration)]
    pub order_slack: Option<Duration>,

    /// An event is sent again when the broker has been done with it for so long and no receipt came [default: 60s]
    #[arg(long, value_name = "DURATION", env = "DUET_PLACE_PATIENCE", hide_short_help = true, value_parser = duration)]
    pub place_patience: Option<Duration>,

    /// Where a broker can't say what it is done with, an event is sent again at this age [default: 60s]
    #[arg(long, value_name = "DURATION", env = "DUET_AGE_PATIENCE", hide_short_help = true, value_parser = duration)]
    pub age_patience: Option<Duration>,

    /// How often the broker is asked what it is done with, while receipts are missing [default: 10s]
    #[arg(long, value_name = "DURATION", env = "DUET_BACKLOG_EVERY", hide_short_help = true, value_parser = duration)]
    pub backlog_every: Option<Duration>,
}

impl Loss {
    /// The sender's times.
    pub fn timing(&self) -> Timing {
        let usual = Timing::default();
        Timing {
            order_slack: self.order_slack.unwrap_or(usual.order_slack),
            place_patience: self.place_patience.unwrap_or(usual.place_patience),
            age_patience: self.age_patience.unwrap_or(usual.age_patience),
            backlog_every: self.backlog_every.unwrap_or(usual.backlog_every),
            ..usual
        }
    }
}

/// A receiver by its name in the Channel document, and where it takes events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// The name under `spec.to`.
    pub name: ReceiverName,
    /// The base URL of its internal port.
    pub url: String,
}

impl std::str::FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let receiver = text.split_once('=').and_then(|(name, url)| {
            let url = url.starts_with("http://").then_some(url)?;
            Some(Self {
                name: ReceiverName::new(name)?,
                url: url.trim_end_matches('/').to_owned(),
            })
        });
        receiver.ok_or_else(|| "expected NAME=http://HOST:PORT".to_owned())
    }
}
