//! One Notification process.

use std::process::ExitCode;

use clap::Parser;

/// Threads for the channel's tasks; the HTTP ports have their own.
const WORKERS: usize = 2;

/// The inboxes of post owners: applies each event once
#[derive(Debug, Parser)]
#[command(name = "duet-notification", version)]
struct Cli {
    #[command(flatten)]
    config: duet_notification::Config,
}

fn main() -> ExitCode {
    let Cli { config } = Cli::parse();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duet-notification: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: duet_notification::Config) -> Result<(), Box<dyn std::error::Error>> {
    duet_telemetry::logs::init()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    Ok(runtime.block_on(duet_notification::run(config))?)
}
