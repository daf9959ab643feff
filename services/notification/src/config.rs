//! What one Notification process is started with: flags, each with an environment variable beside it.

use duet_protocol::receipt::ReceiverName;
use duet_web::service::{Args, with_default};

/// The settings of one Notification process.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("listen", with_default("127.0.0.1:8090")),
    mut_arg("internal_listen", with_default("127.0.0.1:8091")),
    mut_arg("data_dir", with_default(".duet/notification"))
)]
pub struct Config {
    /// What each service's process is started with.
    #[command(flatten)]
    pub args: Args,
}

impl Config {
    /// The name under which a Channel's `to` has this service: its Service's, or on a laptop its own.
    pub(crate) fn receiver(&self) -> ReceiverName {
        let service = self.args.service.as_ref();
        let name = service.map_or("notification", |service| service.as_str());
        ReceiverName::new(name).unwrap_or_else(|| unreachable!("a Service's name is short enough"))
    }
}
