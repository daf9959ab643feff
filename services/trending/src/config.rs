//! What one Trending process is started with: flags, each with an environment variable beside it.

use duet_web::service::{Args, with_default};

/// The settings of one Trending process.
#[derive(Debug, Clone, clap::Args)]
#[command(
    mut_arg("listen", with_default("127.0.0.1:8100")),
    mut_arg("internal_listen", with_default("127.0.0.1:8101")),
    mut_arg("data_dir", with_default(".duet/trending"))
)]
pub struct Config {
    /// What each service's process is started with.
    #[command(flatten)]
    pub args: Args,
}
