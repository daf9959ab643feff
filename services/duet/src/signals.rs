//! Ctrl-C, and what else asks this process to stop.

use crate::failure::{Doing, Failure};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that ask this process to stop: Ctrl-C, SIGTERM, a terminal that was closed.
#[derive(Debug)]
pub(crate) struct Signals(From);

#[derive(Debug)]
enum From {
    System([Signal; 3]),
    /// Until it was heeded.
    Token(Option<CancellationToken>),
}

impl Signals {
    /// From now on they don't end this process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).doing(|| "listen for signals".to_owned());
        Ok(Self(From::System([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ])))
    }

    /// One comes when the token is cancelled, and no other: for work that whoever listens to the system's drops.
    pub(crate) fn of(token: CancellationToken) -> Self {
        Self(From::Token(Some(token)))
    }

    /// Ends with the next of them.
    pub(crate) async fn stop(&mut self) {
        match &mut self.0 {
            From::System([interrupt, terminate, hangup]) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            },
            From::Token(Some(token)) => {
                token.cancelled().await;
                self.0 = From::Token(None);
            }
            From::Token(None) => std::future::pending().await,
        }
    }
}
