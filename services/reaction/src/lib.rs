//! Posts and reactions: accepts, stores, and sends an event for each.

mod config;

pub use config::Config;

/// Runs one process of the service until it is told to stop (SIGTERM or SIGINT; a second one aborts).
pub async fn run(config: Config) -> Result<(), Error> {
    tracing::info!(?config, "not built yet");
    Err(Error::NotBuilt)
}

/// Why a process of the service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only the settings are here so far.
    #[error("this service is not built yet")]
    NotBuilt,
}
