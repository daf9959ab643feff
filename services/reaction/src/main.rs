//! One Reaction process.

use std::process::ExitCode;

use clap::Parser;

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
    Ok(duet_web::process::block_on(duet_reaction::run(config))??)
}
