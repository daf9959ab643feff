//! What one Notification process is started with: flags, each with an environment variable beside it.

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

    /// How many event streams may be open at once; more are refused, with Retry-After
    #[arg(
        long,
        value_name = "NUMBER",
        env = "DUET_MAX_STREAMS",
        default_value_t = 1024
    )]
    pub max_streams: usize,
}
