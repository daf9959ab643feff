//! One Trending process.

use std::process::ExitCode;

use clap::Parser;

/// The posts with most reactions in the last hour
#[derive(Debug, Parser)]
#[command(name = "duet-trending", version)]
struct Cli {
    #[command(flatten)]
    config: duet_trending::Config,
}

fn main() -> ExitCode {
    let Cli { config } = Cli::parse();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duet-trending: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: duet_trending::Config) -> Result<(), Box<dyn std::error::Error>> {
    Ok(duet_web::process::block_on(duet_trending::run(config))??)
}
