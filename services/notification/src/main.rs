//! One Notification process.

use std::process::ExitCode;

use clap::Parser;

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
    Ok(duet_web::process::block_on(duet_notification::run(
        config,
    ))??)
}
