//! One Reaction process.

use std::process::ExitCode;

use clap::Parser;

/// Threads for the channel's tasks; the HTTP ports have their own.
const WORKERS: usize = 2;

/// Posts and reactions: accepts, stores, and sends an event for each
#[derive(Debug, Parser)]
#[command(name = "duet-reaction", version)]
struct Cli {
    #[command(flatten)]
    config: duet_reaction::Config,
}

fn main() -> ExitCode {
    let Cli { config } = Cli::parse();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duet-reaction: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: duet_reaction::Config) -> Result<(), Box<dyn std::error::Error>> {
    duet_telemetry::logs::init()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    Ok(runtime.block_on(duet_reaction::run(config))?)
}
