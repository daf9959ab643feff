//! Ctrl-C, and what else asks this process to stop.

use crate::failure::{Doing, Failure};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this process to stop: Ctrl-C, SIGTERM, a terminal that was closed.
#[derive(Debug)]
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    /// From now on they don't end this process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).doing(|| "listen for signals".to_owned());
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Ends with the next of them.
    pub(crate) async fn stop(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
