//! Whoever is told of each request.

use super::ask::Heard;
use std::time::Duration;
use tokio::time::Instant;

/// Is told of the traffic while it goes on; each is called where the requests are sent, so it must return at once.
pub(crate) trait Audience {
    /// Posts are made; the first request is due at this instant.
    fn began(&mut self, _at: Instant) {}

    /// A request has ended.
    fn heard(&mut self, _call: Call) {}

    /// A line about the progress.
    fn told(&mut self, _line: String) {}
}

/// A request, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// When it was due, after the traffic began.
    pub(crate) due: Duration,
    /// What its caller waited from then on.
    pub(crate) waited: Duration,
    pub(crate) heard: Heard,
}
